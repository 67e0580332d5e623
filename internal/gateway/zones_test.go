package gateway

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/spec"
)

func TestZone(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/office", Zones: []string{"office"}},
		spec.Route{Method: "GET", Path: "/both", Zones: []string{"office", "home"}},
		spec.Route{Method: "GET", Path: "/public", Public: true, Zones: []string{"office"}},
		spec.Route{Method: "GET", Path: "/anywhere"},
	)
	s.Zones = []spec.Zone{
		{Name: "office", Networks: []string{"203.0.113.0/24", "2001:db8::/32", "192.0.2.7", "fe80::/10"}},
		{Name: "home", Networks: []string{"198.51.100.0/25", "198.51.100.128/25"}},
	}
	s.Sources = map[string]string{spec.PathRoute("orders", "GET", "/office", "zones"): "g.yaml:9:9"}
	c := ConfigFor(t, iss)
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	g := newTestGateway(t, c, s)
	token := "Bearer " + iss.Token(t, nil)
	for _, x := range []struct {
		path, peer, forwarded string
		status                int
	}{
		{"/office", "203.0.113.9:1", "", 200},
		{"/office", "[::ffff:203.0.113.9]:1", "", 200},
		{"/office", "203.0.114.0:1", "", 403},
		{"/office", "203.0.112.255:1", "", 403},
		{"/office", "192.0.2.7:1", "", 200},
		{"/office", "192.0.2.8:1", "", 403},
		{"/office", "[2001:db8:ffff::1]:1", "", 200},
		{"/office", "[2001:db9::1]:1", "", 403},
		{"/office", "[fe80::1%eth0]:1", "", 200},
		{"/office", "198.51.100.1:1", "", 403},
		{"/both", "198.51.100.200:1", "", 200},
		{"/both", "203.0.113.0:1", "", 200},
		{"/both", "127.0.0.1:1", "", 403},
		{"/public", "127.0.0.1:1", "", 403},
		{"/public", "203.0.113.255:1", "", 200},
		{"/anywhere", "127.0.0.1:1", "", 200},
		// Whoever claims to come from the office is believed only behind a trusted proxy.
		{"/office", "127.0.0.1:1", "203.0.113.9", 403},
		{"/office", "10.0.0.1:1", "203.0.113.9", 200},
		{"/office", "10.0.0.1:1", "203.0.113.9, 127.0.0.1", 403},
		{"/office", "10.0.0.1:1", "", 403},
	} {
		headers := []string{"Authorization", token}
		if x.forwarded != "" {
			headers = append(headers, "X-Forwarded-For", x.forwarded)
		}
		l := newLane("GET", x.path, headers...)
		l.request.Remote = mustPeer(x.peer)
		g.ServeExchange(l)
		if l.status != x.status || x.status == 403 && l.reason() != ReasonZoneNotAllowed {
			t.Errorf("%+v: %d %s", x, l.status, l.reason())
		}
	}
	tr, err := g.Explain(t.Context(), Hypothetical{Path: "/office", User: "ana", From: netip.MustParseAddr("127.0.0.9")})
	if err != nil {
		t.Fatal(err)
	}
	want := TraceStep{Name: "zone", Outcome: OutcomeRefuse, Reason: ReasonZoneNotAllowed, Needed: "an address in the zone office", Had: "127.0.0.9", Source: "g.yaml:9:9"}
	for _, st := range tr.Steps {
		if st.Name == "zone" && st != want {
			t.Errorf("%+v", st)
		}
	}
}

// Whatever the networks are, a zone holds what one of them holds and nothing else.
func TestZoneHoldsWhatItsNetworksHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var networks []string
		var prefixes []netip.Prefix
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			// Few distinct bytes, so that networks overlap, nest and touch.
			b := func(name string) byte { return byte(rapid.SampledFrom([]int{0, 1, 127, 128, 255}).Draw(t, name)) }
			if rapid.Bool().Draw(t, "six") {
				return netip.AddrFrom16([16]byte{0x20, b("a"), 2: b("b"), 15: b("c")})
			}
			return netip.AddrFrom4([4]byte{10, b("a"), b("b"), b("c")})
		})
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			a := addr.Draw(t, "network")
			p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
			prefixes = append(prefixes, p)
			networks = append(networks, p.String())
		}
		z, err := newZone(spec.Zone{Name: "z", Networks: networks}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			a := addr.Draw(t, "address")
			want := false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			if z.holds(a) != want {
				t.Fatal(fmt.Sprint(a, " in ", networks, ": want ", want))
			}
		}
	})
}
