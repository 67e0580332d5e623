package access

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/order"
)

// The connections of a network condition (Okta's words).
const (
	ConnectionAnywhere = "ANYWHERE"
	ConnectionZone     = "ZONE"
)

// AllZones stands for every active zone that is for policies.
const AllZones = "ALL_ZONES"

// NetworkCondition is where a request comes from, as a condition of a rule. Okta has it in
// the rules of sign-on policies; here access rules have it as well.
type NetworkCondition struct {
	Connection string   `json:"connection"`
	Include    []string `json:"include,omitempty"` // ids of zones, or AllZones: in one of these
	Exclude    []string `json:"exclude,omitempty"` // in none of these
}

func (n *NetworkCondition) fill() *NetworkCondition {
	if n == nil || n.Connection == ConnectionAnywhere && len(n.Include)+len(n.Exclude) == 0 {
		return nil
	}
	return &NetworkCondition{Connection: n.Connection, Include: sorted(n.Include), Exclude: sorted(n.Exclude)}
}

func (n *NetworkCondition) check(c *checks) {
	if n == nil {
		return
	}
	const at = "conditions.network"
	c.oneOf(at+".connection", n.Connection, ConnectionAnywhere, ConnectionZone)
	named := len(n.Include) + len(n.Exclude)
	c.that(n.Connection != ConnectionAnywhere || named == 0, at, "names zones, and connection is ANYWHERE: say ZONE")
	c.that(n.Connection != ConnectionZone || named > 0, at, "names no zones: list ids in include or exclude")
	c.that(named <= 100, at, "names more than 100 zones")
	for _, id := range n.Include {
		c.that(!slices.Contains(n.Exclude, id), at, quoted(id)+" is included and excluded")
	}
}

// zones returns the ids of the zones that the condition names.
func (n *NetworkCondition) zones() (include, exclude []string) {
	if n == nil {
		return nil, nil
	}
	return n.Include, n.Exclude
}

// Atlas knows where addresses are. It is internal/geo with the operator's files.
type Atlas interface {
	KnowsCountries() bool
	KnowsASNs() bool
	Country(netip.Addr) ([2]byte, bool)
	ASN(netip.Addr) (uint32, bool)
}

// membership is whether an address is in a zone. What cannot be known is never
// taken for the better of the two: who must be in is not, and who must be out is
// not either.
type membership int8

const (
	outside membership = iota
	inside
	unknown
)

// zoneView is a zone, compiled.
type zoneView struct {
	id, name string
	active   bool
	policy   bool // is for policies, not a blocklist
	networks []addressRange
	dynamic  bool
	places   Zone // of a dynamic zone
}

// addressRange is from the first to the last address, both included.
type addressRange struct{ first, last netip.Addr }

func newZoneView(id string, z Zone) *zoneView {
	v := &zoneView{id: id, name: z.Name, active: z.Status == Active, policy: z.Usage == UsagePolicy, dynamic: z.Type != ZoneIP, places: z}
	for _, n := range z.Gateways {
		if r, ok := n.addresses(); ok {
			v.networks = append(v.networks, r)
		}
	}
	return v
}

// addresses returns the range that a network is.
func (n Network) addresses() (addressRange, bool) {
	if first, last, ok := strings.Cut(n.Value, "-"); ok && n.Type == "RANGE" {
		low, errLow := netip.ParseAddr(strings.TrimSpace(first))
		high, errHigh := netip.ParseAddr(strings.TrimSpace(last))
		return addressRange{low.Unmap(), high.Unmap()}, errLow == nil && errHigh == nil
	}
	p, err := netip.ParsePrefix(n.Value)
	if err != nil {
		return addressRange{}, false
	}
	p = p.Masked()
	end := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(end)*8; bit++ {
		end[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(end)
	return addressRange{p.Addr(), last}, true
}

func (r addressRange) contains(a netip.Addr) bool {
	return r.first.Is4() == a.Is4() && r.first.Compare(a) <= 0 && a.Compare(r.last) <= 0
}

// has reports whether an address is in the zone; nothing is in one that is not
// active.
func (z *zoneView) has(a netip.Addr, places Atlas) membership {
	switch {
	case !z.active:
		return outside
	case !a.IsValid():
		return unknown
	case z.dynamic:
		return z.hasPlace(a, places)
	}
	if slices.ContainsFunc(z.networks, func(r addressRange) bool { return r.contains(a) }) {
		return inside
	}
	return outside
}

// hasPlace reports whether an address is where a dynamic zone says: in one of its
// countries and of one of its networks, each as far as it names any. Parts of
// countries, and whose anonymizer an address is, no file of ours tells.
func (z *zoneView) hasPlace(a netip.Addr, places Atlas) membership {
	answer := outside
	parts := []membership{z.inCountries(a, places), z.inASNs(a, places)}
	if p := z.places.ProxyType; p != "" && p != "Any" {
		parts = append(parts, unknown)
	}
	if s := z.places.Services; s != nil && len(s.Include)+len(s.Exclude) > 0 {
		parts = append(parts, unknown)
	}
	for _, m := range parts {
		switch m {
		case outside:
			return outside
		case unknown:
			answer = unknown
		case inside:
			if answer == outside {
				answer = inside
			}
		}
	}
	return answer
}

func (z *zoneView) inCountries(a netip.Addr, places Atlas) membership {
	l := z.places.Locations
	if len(l.Include)+len(l.Exclude) == 0 {
		return inside
	}
	if places == nil || !places.KnowsCountries() {
		return unknown
	}
	code, ok := places.Country(a)
	if !ok {
		return unknown
	}
	country := string(code[:])
	included, excluded := anyPlace(l.Include, country), anyPlace(l.Exclude, country)
	if len(l.Include) == 0 {
		included = inside
	}
	switch {
	case included == outside, excluded == inside:
		return outside
	case included == unknown, excluded == unknown:
		return unknown
	}
	return inside
}

// anyPlace reports whether the country is one of the list; of a part of it that
// cannot be known.
func anyPlace(list []Place, country string) membership {
	m := outside
	for _, p := range list {
		switch {
		case p.Country != country:
		case p.Region == "":
			return inside
		default:
			m = unknown
		}
	}
	return m
}

func (z *zoneView) inASNs(a netip.Addr, places Atlas) membership {
	l := z.places.ASNs
	if len(l.Include)+len(l.Exclude) == 0 {
		return inside
	}
	if places == nil || !places.KnowsASNs() {
		return unknown
	}
	n, ok := places.ASN(a)
	if !ok {
		return unknown
	}
	asn := strconv.FormatUint(uint64(n), 10)
	if len(l.Include) > 0 && !has(l.Include, asn) || has(l.Exclude, asn) {
		return outside
	}
	return inside
}

// networkView is a network condition, compiled.
type networkView struct {
	include, exclude []*zoneView
	restricted       bool // include is asked
	places           Atlas
}

// compile finds the zones of a condition. One that is gone, which the ledger does
// not let happen, holds nobody inside and nobody outside.
func (n *NetworkCondition) compile(zones map[string]*zoneView, places Atlas) *networkView {
	if n == nil || n.Connection != ConnectionZone {
		return nil
	}
	pick := func(ids []string) (out []*zoneView) {
		for _, id := range ids {
			if id == AllZones {
				for _, z := range zones {
					if z.active && z.policy {
						out = append(out, z)
					}
				}
				continue
			}
			z := zones[id]
			if z == nil {
				z = &zoneView{id: id, name: id, active: true, dynamic: true, places: Zone{ProxyType: "missing"}}
			}
			out = append(out, z)
		}
		order.By(out, func(a, b *zoneView) int { return strings.Compare(a.name, b.name) })
		return out
	}
	return &networkView{include: pick(n.Include), exclude: pick(n.Exclude), restricted: len(n.Include) > 0, places: places}
}

// rejects returns why a request from the address does not fit; empty when it does.
func (n *networkView) rejects(a netip.Addr) string {
	from := "from an unknown address"
	if a.IsValid() {
		from = "from " + a.String()
	}
	for _, z := range n.exclude {
		switch z.has(a, n.places) {
		case inside:
			return from + ", which is in the excluded zone " + z.name
		case unknown:
			return from + ", of which cannot be known that it is outside of the zone " + z.name
		case outside:
		}
	}
	if !n.restricted {
		return ""
	}
	var out, open []string
	for _, z := range n.include {
		switch z.has(a, n.places) {
		case inside:
			return ""
		case unknown:
			open = append(open, z.name)
		case outside:
			out = append(out, z.name)
		}
	}
	why := from + ", which is in none of the zones " + listed(out)
	if len(open) > 0 {
		why += "; it cannot be known whether it is in " + listed(open)
	}
	return why
}
