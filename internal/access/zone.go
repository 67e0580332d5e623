package access

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
)

// The types of zones, and what a zone is for.
const (
	ZoneIP        = "IP"
	ZoneDynamic   = "DYNAMIC"
	ZoneDynamicV2 = "DYNAMIC_V2"

	UsagePolicy    = "POLICY"
	UsageBlocklist = "BLOCKLIST"
)

// Zone is a named set of networks.
type Zone struct {
	Name   string `json:"name"` // unique
	Type   string `json:"type"`
	Status Status `json:"status"`
	Usage  string `json:"usage"`
	System bool   `json:"system,omitempty"`
	// Exempt says that whoever comes from here is let through although another zone
	// blocks them (Okta's useAsExemptList). Only a system zone has it.
	Exempt bool `json:"useAsExemptList,omitempty"`

	Gateways []Network `json:"gateways,omitempty"` // of an IP zone
	Proxies  []Network `json:"proxies,omitempty"`  // of an IP zone

	ProxyType string     `json:"proxyType,omitempty"` // of a DYNAMIC zone
	Locations Places     `json:"locations,omitzero"`
	ASNs      Selection  `json:"asns,omitzero"`
	Services  *Selection `json:"ipServiceCategories,omitempty"` // of a DYNAMIC_V2 zone
}

// Network is a range of addresses.
type Network struct {
	Type  string `json:"type"` // CIDR or RANGE
	Value string `json:"value"`
}

// Place is a country, or a part of one (ISO 3166-1 and -2).
type Place struct {
	Country string `json:"country"`
	Region  string `json:"region,omitempty"`
}

// Places are the countries of a zone. A DYNAMIC zone only includes.
type Places struct {
	Include []Place `json:"include,omitempty"`
	Exclude []Place `json:"exclude,omitempty"`
}

// Zones are unique by name.
var Zones = ledger.NewKind(ledger.Spec[Zone]{
	Name: "network_zone", IDPrefix: "nzo",
	Keys:  func(z Zone) []ledger.Key { return []ledger.Key{ledger.By("name", z.Name)} },
	Check: checkZone,
})

const maxNetworks = 1000

func checkZone(z Zone) error {
	var c checks
	c.name("name", z.Name, 128)
	c.oneOf("type", z.Type, ZoneIP, ZoneDynamic, ZoneDynamicV2)
	c.oneOf("status", string(z.Status), string(Active), string(Inactive))
	c.oneOf("usage", z.Usage, UsagePolicy, UsageBlocklist)
	c.that(z.Type == ZoneIP || len(z.Gateways)+len(z.Proxies) == 0, "gateways", "is only for IP zones")
	c.that(z.Type != ZoneIP || len(z.Gateways) > 0 || z.System, "gateways", "is empty: name the networks")
	c.that(len(z.Gateways)+len(z.Proxies) <= maxNetworks, "gateways", "has more than 1000 networks")
	for _, n := range slices.Concat(z.Gateways, z.Proxies) {
		c.that(n.valid(), "gateways", quoted(n.Value)+" is not a "+n.Type+": CIDR such as 203.0.113.0/24, or RANGE such as 203.0.113.1-203.0.113.9")
	}
	c.that(slices.Contains([]string{"", "Any", "Tor", "NotTorAnonymizer", "TorAnonymizer"}, z.ProxyType), "proxyType", "must be Any, TorAnonymizer or NotTorAnonymizer")
	for _, p := range slices.Concat(z.Locations.Include, z.Locations.Exclude) {
		c.that(len(p.Country) == 2 && strings.ToUpper(p.Country) == p.Country, "locations", quoted(p.Country)+" is not a country (ISO 3166-1 alpha-2)")
		c.that(p.Region == "" || strings.HasPrefix(p.Region, p.Country+"-"), "locations", quoted(p.Region)+" is not a region of its country (ISO 3166-2)")
	}
	for _, asn := range slices.Concat(z.ASNs.Include, z.ASNs.Exclude) {
		c.that(asn != "" && len(asn) <= 10 && strings.Trim(asn, "0123456789") == "", "asns", quoted(asn)+" is not the number of a network")
	}
	return c.err("zone %s is not valid", quoted(z.Name))
}

// valid reports whether the network is what it says.
func (n Network) valid() bool {
	switch n.Type {
	case "CIDR":
		_, err := netip.ParsePrefix(n.Value)
		return err == nil
	case "RANGE":
		first, last, ok := strings.Cut(n.Value, "-")
		a, errA := netip.ParseAddr(strings.TrimSpace(first))
		b, errB := netip.ParseAddr(strings.TrimSpace(last))
		return ok && errA == nil && errB == nil && a.Is4() == b.Is4() && a.Compare(b) <= 0
	}
	return false
}

// Contains reports whether an address is in one of the gateways of an IP zone.
func (z *Zone) Contains(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(z.Gateways, func(n Network) bool {
		r, ok := n.addresses()
		return ok && r.contains(a)
	})
}

// systemZones are the zones that every tenant has, as in a new Okta organization:
// made of nothing until somebody fills them.
func systemZones() []Zone {
	return []Zone{
		{Name: "BlockedIpZone", Type: ZoneIP, Usage: UsageBlocklist, Status: Active, System: true},
		{Name: "DefaultExemptIpZone", Type: ZoneIP, Usage: UsagePolicy, Status: Active, System: true, Exempt: true},
		{Name: "LegacyIpZone", Type: ZoneIP, Usage: UsagePolicy, Status: Active, System: true},
		{Name: "DefaultEnhancedDynamicZone", Type: ZoneDynamicV2, Usage: UsageBlocklist, Status: Inactive, System: true},
	}
}

// ensureZones makes the zones that every tenant has, where they are missing.
func ensureZones(tx *ledger.Tx) error {
	for _, z := range systemZones() {
		_, err := Zones.Find(tx, ledger.By("name", z.Name))
		if fault.Is(err, fault.NotFound) {
			_, err = Zones.Create(tx, z)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill writes the networks as Okta does: an address alone is a network of one.
func (z Zone) fill() Zone {
	if z.Status == "" {
		z.Status = Active
	}
	if z.Usage == "" {
		z.Usage = UsagePolicy
	}
	for _, list := range [][]Network{z.Gateways, z.Proxies} {
		for i := range list {
			list[i] = list[i].normal()
		}
	}
	order.By(z.Locations.Include, comparePlaces)
	order.By(z.Locations.Exclude, comparePlaces)
	return z
}

// comparePlaces orders regions before whole countries, as Okta does.
func comparePlaces(a, b Place) int {
	if (a.Region == "") != (b.Region == "") {
		return -strings.Compare(a.Region, b.Region)
	}
	return strings.Compare(a.Country+a.Region, b.Country+b.Region)
}

func (n Network) normal() Network {
	n.Value = strings.ReplaceAll(n.Value, " ", "")
	if addr, err := netip.ParseAddr(n.Value); err == nil {
		if n.Type == "RANGE" {
			n.Value += "-" + n.Value
		} else {
			n.Value = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
	}
	return n
}

// ListZones returns a page of zones for which match reports true.
func (s *Service) ListZones(ctx context.Context, after string, limit int, match func(ledger.Object[Zone]) bool) (p ledger.Page[Zone], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Zones.Select(tx, ledger.Query{After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// FindZone returns a zone by id, or fault.NotFound.
func (s *Service) FindZone(ctx context.Context, id string) (o ledger.Object[Zone], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Zones.Get(tx, id)
		return err
	})
	return o, err
}

// CreateZone adds a zone. fault.Conflict when the name is taken.
func (s *Service) CreateZone(ctx context.Context, actor ledger.Actor, z Zone) (o ledger.Object[Zone], err error) {
	defer fault.Wrap(&err, "make zone %q", z.Name)
	z.System, z.Exempt = false, false
	err = s.update(ctx, actor, "make zone "+z.Name, func(tx *ledger.Tx) error {
		o, err = Zones.Create(tx, z.fill())
		return err
	})
	return o, err
}

// ChangeZone applies change to a zone. A system zone keeps name and type.
func (s *Service) ChangeZone(ctx context.Context, actor ledger.Actor, id string, change func(*Zone) error) (o ledger.Object[Zone], err error) {
	defer fault.Wrap(&err, "change zone %q", id)
	err = s.update(ctx, actor, "change zone "+id, func(tx *ledger.Tx) error {
		if o, err = Zones.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.System, o.Value.Exempt = was.System, was.Exempt
		if o.Value.Type != was.Type || was.System && o.Value.Name != was.Name {
			return fault.New(fault.Denied, "the zone %s keeps its type, and a system zone its name", was.Name).WithReason(ReasonSystem)
		}
		if was.Status == Active && o.Value.Status != Active {
			if err := unusedByRules(tx, o.ID, was.Name); err != nil {
				return err
			}
		}
		o.Value = o.Value.fill()
		o, err = Zones.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteZone removes an inactive zone.
func (s *Service) DeleteZone(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete zone %q", id)
	return s.update(ctx, actor, "delete zone "+id, func(tx *ledger.Tx) error {
		o, err := Zones.Get(tx, id)
		if err != nil {
			return err
		}
		if o.Value.System {
			return fault.New(fault.Denied, "the zone %s belongs to the tenant and cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		}
		if o.Value.Status == Active {
			return fault.New(fault.Denied, "the zone is active: deactivate it first").WithReason(ReasonActive)
		}
		return Zones.Delete(tx, id, 0)
	})
}

// unusedByRules makes sure that no rule names the zone: a rule that excludes it would
// let in who was kept out.
func unusedByRules(tx *ledger.Tx, id, name string) error {
	for _, kind := range []string{Rules.Name(), SessionRules.Name()} {
		used, err := tx.ReferredBy(Zones.Name(), id, kind)
		if err != nil {
			return err
		}
		if used {
			return fault.New(fault.Invalid, "the zone %s is named by a rule for access or sign-on: take it out there first", name)
		}
	}
	return nil
}
