package gateway

import (
	"net/netip"
	"testing"

	"gatehouse/internal/spec"
)

// map of addresses to where they are. It implements Places.
type knownPlaces map[string]place

func (knownPlaces) KnowsCountries() bool { return true }
func (knownPlaces) KnowsASNs() bool      { return true }

func (k knownPlaces) Country(a netip.Addr) ([2]byte, bool) {
	p, ok := k[a.String()]
	return p.country, ok && p.country != [2]byte{}
}

func (k knownPlaces) ASN(a netip.Addr) (uint32, bool) {
	p, ok := k[a.String()]
	return p.asn, ok && p.asn != 0
}

func geoSnapshot() spec.Snapshot {
	return spec.Snapshot{
		Tenant: "t", Revision: 1,
		Zones: []spec.Zone{
			{Name: "german", Networks: []string{"country:DE"}},
			{Name: "partner", Networks: []string{"asn:64500", "10.0.0.0/8"}},
		},
		Policies: []spec.Policy{{Name: "embargo", Text: `forbid (principal, action == Action::"GET /embargo", resource) when { context.country == "" || context.country == "RU" || context.asn == 64666 };`}},
		APIs: []spec.API{{
			Name: "a", Auth: []string{"public"}, Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}},
			Routes: []spec.Route{
				{Method: "GET", Path: "/german", Public: true, Zones: []string{"german"}},
				{Method: "GET", Path: "/partner", Public: true, Zones: []string{"partner", "german"}},
				{Method: "GET", Path: "/embargo", Public: true},
			},
		}},
	}
}

// Zones by country and network operator, and policies that read them. An address that no
// file knows is nowhere: it is in no zone.
func TestZonesOfCountriesAndOperators(t *testing.T) {
	main := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, main)
	c.Places = knownPlaces{
		"192.0.2.1": {country: [2]byte{'D', 'E'}, asn: 64501}, "192.0.2.2": {country: [2]byte{'F', 'R'}, asn: 64500},
		"192.0.2.3": {country: [2]byte{'R', 'U'}}, "192.0.2.4": {country: [2]byte{'F', 'R'}, asn: 64666},
	}
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/", Public: true}))
	for _, c := range []struct {
		path, from, country string
		asn                 uint32
		reason              string
	}{
		{path: "/german", from: "192.0.2.1"},
		{path: "/german", from: "192.0.2.2", reason: ReasonZoneNotAllowed},
		{path: "/german", from: "198.51.100.1", reason: ReasonZoneNotAllowed},
		{path: "/german", from: "198.51.100.1", country: "DE"},
		{path: "/partner", from: "192.0.2.2"},
		{path: "/partner", from: "192.0.2.1"},
		{path: "/partner", from: "10.1.2.3"},
		{path: "/partner", from: "192.0.2.3", reason: ReasonZoneNotAllowed},
		{path: "/partner", from: "192.0.2.3", asn: 64500},
		{path: "/embargo", from: "192.0.2.1"},
		{path: "/embargo", from: "192.0.2.3", reason: ReasonPolicyForbids},
		{path: "/embargo", from: "192.0.2.4", reason: ReasonPolicyForbids},
		{path: "/embargo", from: "198.51.100.1", reason: ReasonPolicyForbids},
	} {
		list, err := g.ExplainWith(t.Context(), geoSnapshot(), []Hypothetical{{Path: c.path, From: netip.MustParseAddr(c.from), Country: c.country, ASN: c.asn}})
		if err != nil {
			t.Fatal(err)
		}
		if got := list[0].Decision.Reason; got != c.reason {
			t.Errorf("%s from %s %s %d: %q, want %q", c.path, c.from, c.country, c.asn, got, c.reason)
		}
	}
	list, _ := g.ExplainWith(t.Context(), geoSnapshot(), []Hypothetical{{Path: "/german", From: netip.MustParseAddr("192.0.2.2")}})
	for _, s := range list[0].Steps {
		if s.Name == "zone" && s.Had != "192.0.2.2, country FR, asn 64500" {
			t.Errorf("explained as %+v", s)
		}
	}
}

// Nothing is accepted that would not be enforced.
func TestWithoutFilesThereAreNoPlaces(t *testing.T) {
	g := newTestGateway(t, ConfigFor(t, NewIssuerFor(t, "https://issuer.test")), OrdersSnapshot(spec.Route{Method: "GET", Path: "/", Public: true}))
	for name, change := range map[string]func(*spec.Snapshot){
		"all":         func(*spec.Snapshot) {},
		"zone":        func(s *spec.Snapshot) { s.Policies = nil },
		"policy":      func(s *spec.Snapshot) { s.Zones, s.APIs[0].Routes = nil, s.APIs[0].Routes[2:] },
		"an operator": func(s *spec.Snapshot) { s.Zones, s.Policies, s.APIs[0].Routes = s.Zones[1:], nil, s.APIs[0].Routes[2:] },
	} {
		s := geoSnapshot()
		change(&s)
		if _, err := g.ExplainWith(t.Context(), s, nil); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
}
