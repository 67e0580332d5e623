package gateway

import (
	"net/netip"
	"strconv"

	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
)

// Places says where addresses are, from the operator's files.
type Places interface {
	KnowsCountries() bool
	KnowsASNs() bool
	Country(a netip.Addr) (code [2]byte, ok bool)
	ASN(a netip.Addr) (number uint32, ok bool)
}

func knowsCountries(p Places) bool { return p != nil && p.KnowsCountries() }
func knowsASNs(p Places) bool      { return p != nil && p.KnowsASNs() }

// place is where a client is. The zero value says that nobody has asked.
type place struct {
	country [2]byte // zero = not known
	asn     uint32  // 0 = not known
	asked   bool
}

func placeOf(country string, asn uint32) place {
	p := place{asn: asn, asked: true}
	if len(country) == 2 {
		p.country = [2]byte{country[0], country[1]}
	}
	return p
}

// code returns the country as text, "" when it is not known.
func (p place) code() string {
	if p.country == [2]byte{} {
		return ""
	}
	return string(p.country[:])
}

// String says in words where the client is, when somebody has asked.
func (p place) String() string {
	if !p.asked {
		return ""
	}
	out := ", country " + p.code()
	if p.country == [2]byte{} {
		out = ", country not known"
	}
	if p.asn != 0 {
		out += ", asn " + strconv.FormatUint(uint64(p.asn), 10)
	}
	return out
}

// located returns where the client is. It is looked up once for an exchange, and
// only for those whose route or policies ask.
func (ex *Exchange) located() place {
	if ex.place.asked {
		return ex.place
	}
	ex.place.asked = true
	if from := ex.gw.config.Places; from != nil {
		a := ex.facts.client.Unmap().WithZone("")
		ex.place.country, _ = from.Country(a)
		ex.place.asn, _ = from.ASN(a)
	}
	return ex.place
}

// places refuses rules that ask where the client is when nothing can tell.
func (c *compiler) places(rules *policy.Compiled) error {
	country, asn := rules.Places()
	switch {
	case country && !knowsCountries(c.g.config.Places):
		return fault.New(fault.Invalid, "a policy or condition reads context.country, and nothing says where addresses are: name a file under server.geo.country")
	case asn && !knowsASNs(c.g.config.Places):
		return fault.New(fault.Invalid, "a policy or condition reads context.asn, and nothing says whose addresses are: name a file under server.geo.asn")
	}
	return nil
}
