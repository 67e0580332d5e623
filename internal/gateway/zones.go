package gateway

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

var errZone = Refuse(ReasonZoneNotAllowed, nil, "the client's address is in none of the zones")

// zone is a named set of networks, as address ranges that neither overlap nor
// touch, in order: a look-up is a binary search, however long the list is; and of
// countries and network operators.
type zone struct {
	name      string
	ranges    []addrRange
	countries [][2]byte
	asns      []uint32
}

type addrRange struct{ from, to netip.Addr } // both ends belong to it

// newZone compiles a zone. Entries that are not networks are refused.
func newZone(z spec.Zone, places Places) (*zone, error) {
	out := &zone{name: z.Name}
	for _, text := range z.Networks {
		if err := spec.CheckZoneNetwork(text); err != nil {
			return nil, fault.New(fault.Invalid, "zone %s: %v", z.Name, err)
		}
		if geo, err := out.place(text, places); err != nil {
			return nil, err
		} else if geo {
			continue
		}
		p, err := spec.ParseNetwork(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "zone %s: %s: %v", z.Name, text, err)
		}
		out.ranges = append(out.ranges, addrRange{p.Addr(), lastOf(p)})
	}
	if len(out.ranges)+len(out.countries)+len(out.asns) == 0 {
		return nil, fault.New(fault.Invalid, "zone %s has no networks", z.Name)
	}
	if len(out.ranges) == 0 {
		return out, nil
	}
	slices.SortFunc(out.ranges, func(a, b addrRange) int { return a.from.Compare(b.from) })
	merged := out.ranges[:1]
	for _, r := range out.ranges[1:] {
		last := &merged[len(merged)-1]
		if last.from.BitLen() == r.from.BitLen() && r.from.Compare(last.to) <= 0 {
			if r.to.Compare(last.to) > 0 {
				last.to = r.to
			}
			continue
		}
		merged = append(merged, r)
	}
	out.ranges = merged
	return out, nil
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// place takes an entry that is a country or a network operator, and reports whether
// it was one.
func (z *zone) place(text string, places Places) (bool, error) {
	if code, ok := strings.CutPrefix(text, "country:"); ok {
		if !knowsCountries(places) {
			return false, fault.New(fault.Invalid, "zone %s: %s: nothing says where addresses are: name a file under server.geo.country", z.name, text)
		}
		z.countries = append(z.countries, [2]byte{code[0], code[1]})
		return true, nil
	}
	number, ok := strings.CutPrefix(text, "asn:")
	if !ok {
		return false, nil
	}
	if !knowsASNs(places) {
		return false, fault.New(fault.Invalid, "zone %s: %s: nothing says whose addresses are: name a file under server.geo.asn", z.name, text)
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return false, fault.New(fault.Invalid, "zone %s: %s: a network operator is its number", z.name, text)
	}
	z.asns = append(z.asns, uint32(n))
	return true, nil
}

// has reports whether the client of an exchange is in the zone. An address that no
// file knows is in no country and nobody's network.
func (z *zone) has(ex *Exchange) bool {
	if z.holds(ex.facts.client) {
		return true
	}
	if len(z.countries)+len(z.asns) == 0 {
		return false
	}
	p := ex.located()
	return p.country != [2]byte{} && slices.Contains(z.countries, p.country) || p.asn != 0 && slices.Contains(z.asns, p.asn)
}

// holds reports whether the address belongs to the zone's networks. An IPv6 address with a
// zone of its own (fe80::1%eth0) belongs where it belongs without it.
func (z *zone) holds(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	at, exact := slices.BinarySearchFunc(z.ranges, a, func(r addrRange, a netip.Addr) int { return r.from.Compare(a) })
	if exact {
		return true
	}
	return at > 0 && z.ranges[at-1].to.Compare(a) >= 0
}

// inZones reports whether the client is in one of the zones, by name. A zone that there
// is not has nobody in it.
func (ex *Exchange) inZones(names []string) bool {
	for _, z := range ex.snap.zones {
		if slices.Contains(names, z.name) && z.has(ex) {
			return true
		}
	}
	return false
}

// inZone asks whether the client's address is in one of the zones. It is the
// address of the peer, or the one that trusted proxies vouch for.
type inZone struct{ zones []*zone }

// Do implements step.
func (s *inZone) Do(ex *Exchange) error {
	for _, z := range s.zones {
		if z.has(ex) {
			return nil
		}
	}
	return errZone
}

func (s *inZone) explain(f *facts) (needed, had string) {
	names := make([]string, len(s.zones))
	for i, z := range s.zones {
		names[i] = z.name
	}
	return "an address in the zone " + strings.Join(names, " or "), f.client.String() + f.place.String()
}
