package access

import (
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// atlas knows countries and networks by the address.
type atlas struct {
	countries map[string]string
	asns      map[string]uint32
}

func (a *atlas) KnowsCountries() bool { return a.countries != nil }
func (a *atlas) KnowsASNs() bool      { return a.asns != nil }
func (a *atlas) Country(addr netip.Addr) (code [2]byte, ok bool) {
	c, ok := a.countries[addr.String()]
	copy(code[:], c)
	return code, ok
}

func (a *atlas) ASN(addr netip.Addr) (uint32, bool) {
	n, ok := a.asns[addr.String()]
	return n, ok
}

// from asks a server with one rule, whose network condition is given.
func from(n *NetworkCondition, zones map[string]Zone, places Atlas, address string) bool {
	views := map[string]*zoneView{}
	for id, z := range zones {
		views[id] = newZoneView(id, z.fill())
	}
	r := rule("r", 1, RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope), Network: n.fill()}, 5)
	r.network = r.Conditions.Network.compile(views, places)
	a, _ := netip.ParseAddr(address)
	return serverOf(policy("p", 1, []string{AllClients}, r)).Evaluate(&Request{GrantType: GrantClientCredentials, Address: a}, nil).Allowed
}

func TestNetworkCondition(t *testing.T) {
	earth := &atlas{countries: map[string]string{"192.0.2.1": "DE", "192.0.2.2": "FR"}, asns: map[string]uint32{"192.0.2.1": 64500}}
	zones := map[string]Zone{
		"office":  {Name: "office", Type: ZoneIP, Gateways: []Network{{"CIDR", "203.0.113.0/24"}, {"RANGE", "198.51.100.5-198.51.100.7"}, {"CIDR", "2001:db8::/32"}}},
		"off":     {Name: "off", Type: ZoneIP, Status: Inactive, Gateways: []Network{{"CIDR", "203.0.113.0/24"}}},
		"blocked": {Name: "blocked", Type: ZoneIP, Usage: UsageBlocklist, Gateways: []Network{{"CIDR", "192.0.2.0/24"}}},
		"germany": {Name: "germany", Type: ZoneDynamic, Locations: Places{Include: []Place{{Country: "DE"}}}},
		"bavaria": {Name: "bavaria", Type: ZoneDynamic, Locations: Places{Include: []Place{{Country: "DE", Region: "DE-BY"}}}},
		"network": {Name: "network", Type: ZoneDynamic, ASNs: Selection{Include: []string{"64500"}}},
		"both":    {Name: "both", Type: ZoneDynamic, Locations: Places{Include: []Place{{Country: "FR"}}}, ASNs: Selection{Include: []string{"64500"}}},
		"tor":     {Name: "tor", Type: ZoneDynamic, ProxyType: "TorAnonymizer"},
		"but":     {Name: "but", Type: ZoneDynamicV2, Locations: Places{Exclude: []Place{{Country: "DE"}}}},
	}
	in := func(ids ...string) *NetworkCondition {
		return &NetworkCondition{Connection: ConnectionZone, Include: ids}
	}
	out := func(ids ...string) *NetworkCondition {
		return &NetworkCondition{Connection: ConnectionZone, Exclude: ids}
	}
	for _, tt := range []struct {
		name    string
		network *NetworkCondition
		address string
		want    bool
	}{
		{"no condition", nil, "", true},
		{"anywhere", &NetworkCondition{Connection: ConnectionAnywhere}, "", true},
		{"in a prefix", in("office"), "203.0.113.200", true},
		{"in a range", in("office"), "198.51.100.7", true},
		{"behind a range", in("office"), "198.51.100.8", false},
		{"in IPv6", in("office"), "2001:db8::9", true},
		{"elsewhere", in("office"), "192.0.2.1", false},
		{"an unknown address is in no zone", in("office"), "", false},
		{"an unknown address is outside of no zone", out("office"), "", false},
		{"outside", out("office"), "192.0.2.1", true},
		{"excluded", out("office"), "203.0.113.1", false},
		{"exclusion wins", &NetworkCondition{ConnectionZone, []string{"germany"}, []string{"network"}}, "192.0.2.1", false},
		{"one of two zones", in("tor", "germany"), "192.0.2.1", true},
		{"an inactive zone holds nobody", in("off"), "203.0.113.1", false},
		{"all zones", in(AllZones), "203.0.113.1", true},
		{"all zones are not those that block", in(AllZones), "192.0.2.99", false},
		{"country", in("germany"), "192.0.2.1", true},
		{"another country", in("germany"), "192.0.2.2", false},
		{"a country nobody knows", in("germany"), "192.0.2.3", false},
		{"a country nobody knows is not outside either", out("germany"), "192.0.2.3", false},
		{"outside of a country", out("germany"), "192.0.2.2", true},
		{"a part of a country cannot be known", in("bavaria"), "192.0.2.1", false},
		{"a part of a country cannot be known to be left", out("bavaria"), "192.0.2.1", false},
		{"no part of another country", out("bavaria"), "192.0.2.2", true},
		{"network operator", in("network"), "192.0.2.1", true},
		{"country and operator", in("both"), "192.0.2.1", false},
		{"every country but one", in("but"), "192.0.2.2", true},
		{"the one", in("but"), "192.0.2.1", false},
		{"what is no file's business", in("tor"), "192.0.2.1", false},
		{"not even outside", out("tor"), "192.0.2.1", false},
		{"a zone that is gone", out("gone"), "192.0.2.1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := from(tt.network, zones, earth, tt.address); got != tt.want {
				t.Errorf("allowed is %v", got)
			}
		})
	}
	// Without the operator's files nobody is known to be in a country, or out of it.
	for _, places := range []Atlas{nil, &atlas{}} {
		if from(in("germany"), zones, places, "192.0.2.1") || from(out("germany"), zones, places, "192.0.2.2") {
			t.Error("a country is decided without knowing it")
		}
	}
}

func TestNetworkConditionIsChecked(t *testing.T) {
	for text, n := range map[string]*NetworkCondition{
		"must be one of": {Connection: "OFF_NETWORK"},
		"ANYWHERE":       {Connection: ConnectionAnywhere, Include: []string{"nzo1"}},
		"names no zones": {Connection: ConnectionZone},
		"included and":   {Connection: ConnectionZone, Include: []string{"nzo1"}, Exclude: []string{"nzo1"}},
	} {
		r := rule("r", 1, RuleConditions{GrantTypes: include(GrantClientCredentials), Network: n}, 5).Rule
		r.Server, r.Policy = "aus1", "00p1"
		r = r.fill()
		r.Conditions.Network = n
		if err := checkRule(r); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want one with %q", n, err, text)
		}
	}
}

// A zone counts from the moment it changes, and cannot go while a rule names it:
// who was excluded by it would be let in.
func TestZonesOfRules(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	server := r.server(t, "zoned")
	zone, err := r.service.CreateZone(r.ctx, r.admin, Zone{Name: "office", Type: ZoneIP, Gateways: []Network{{"CIDR", "203.0.113.0/24"}}})
	must(t, err)
	p, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: server.ID, Name: "p", Conditions: PolicyContexts{Clients: include(AllClients)}})
	must(t, err)
	id, err := r.service.CreateRule(r.ctx, r.admin, Rule{Policy: p, Name: "r", Conditions: RuleConditions{
		GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope),
		Network: &NetworkCondition{Connection: ConnectionZone, Include: []string{zone.ID}},
	}})
	must(t, err)
	ask := func(from string) bool {
		t.Helper()
		v, err := r.views.Get(r.ctx, "default")
		must(t, err)
		s, _ := v.Server(server.ID)
		return s.Evaluate(&Request{GrantType: GrantClientCredentials, Address: netip.MustParseAddr(from)}, nil).Rule == id
	}
	if !ask("203.0.113.1") || ask("192.0.2.1") {
		t.Error("the zone does not decide")
	}
	_, err = r.service.ChangeZone(r.ctx, r.admin, zone.ID, func(z *Zone) error {
		z.Gateways = []Network{{"CIDR", "192.0.2.0/24"}}
		return nil
	})
	must(t, err)
	if ask("203.0.113.1") || !ask("192.0.2.1") {
		t.Error("the rule goes on with the zone as it was")
	}
	off := func(z *Zone) error { z.Status = Inactive; return nil }
	if _, err := r.service.ChangeZone(r.ctx, r.admin, zone.ID, off); !fault.Is(err, fault.Invalid) {
		t.Errorf("a zone that a rule names is deactivated: %v", err)
	}
	if _, err = r.service.ChangeRule(r.ctx, r.admin, server.ID, p, id, func(r *Rule) error { r.Conditions.Network = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.service.ChangeZone(r.ctx, r.admin, zone.ID, off); err != nil {
		t.Error(err)
	}
	must(t, r.service.DeleteZone(r.ctx, r.admin, zone.ID))
	if _, err := r.service.ChangeRule(r.ctx, r.admin, server.ID, p, id, func(r *Rule) error {
		r.Conditions.Network = &NetworkCondition{Connection: ConnectionZone, Exclude: []string{zone.ID}}
		return nil
	}); err == nil {
		t.Error("a rule names a zone that is not there")
	}
}
