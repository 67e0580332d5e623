package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/spec"
)

// kind is what a value is, as far as the text tells.
type kind uint8

const (
	unknown kind = iota // a claim, or the outcome of an extension
	text
	number
	flag
	set
	address
	record
	entity
	moment
)

var kindNames = [...]string{"a value", "text", "a number", "true or false", "a set of texts", "an address", "a record", "an entity", "a time"}

func (k kind) String() string { return kindNames[k] }

// Attributes that every request has.
var (
	ofPrincipal = map[string]kind{
		"login": text, "id": text, "client": text, "issuer": text, "acr": text, "device": text,
		"scopes": set, "groups": set, "roles": set, "amr": set, "claims": record,
	}
	ofResource = map[string]kind{"api": text, "headers": record}
	ofContext  = map[string]kind{
		"ip": address, "zones": set, "country": text, "asn": number,
		"hour": number, "minute": number, "time": moment, "auth_age": number, "risk": text,
		"method": text, "path": text, "host": text,
	}
)

// notAlways are attributes that not every request has.
var notAlways = []string{"context.auth_age", "context.risk"}

// notToRead are headers that no policy sees: they carry credentials, which policies
// must neither compare nor show in a trace.
var notToRead = []string{"authorization", "proxy-authorization", "cookie", "x-api-key", "dpop"}

// book holds the names of a snapshot.
type book struct {
	apis, actions, zones []string
	params               map[string]int // to the number of operations that have it
	operations           int
}

func newBook(s *spec.Snapshot) *book {
	b := &book{params: map[string]int{}}
	for _, z := range s.Zones {
		b.zones = append(b.zones, z.Name)
	}
	for i := range s.APIs {
		a := &s.APIs[i]
		b.apis = append(b.apis, a.Name)
		for j := range a.Routes {
			b.operations++
			b.actions = append(b.actions, ActionOf(a, &a.Routes[j]))
			for _, p := range paramsOf(a.Routes[j].Path) {
				b.params[p]++
			}
		}
	}
	slices.Sort(b.actions)
	return b
}

// names are what one text may use.
type names struct {
	*book
	resource map[string]kind // api, headers and parameters
	optional []string        // attributes that not every request has: "resource.user", "context.auth_age"
}

// ofAll are the names for a policy, which applies to every operation.
func (b *book) ofAll() *names {
	n := &names{book: b, resource: map[string]kind{}, optional: slices.Clone(notAlways)}
	for p, count := range b.params {
		n.resource[p] = text
		if count < b.operations {
			n.optional = append(n.optional, "resource."+p)
		}
	}
	for name, k := range ofResource {
		n.resource[name] = k
	}
	return n
}

// ofOne are the names for the condition of an operation.
func (b *book) ofOne(r *spec.Route) *names {
	n := &names{book: b, resource: map[string]kind{}, optional: slices.Clone(notAlways)}
	for _, p := range paramsOf(r.Path) {
		n.resource[p] = text
	}
	for name, k := range ofResource {
		n.resource[name] = k
	}
	return n
}

// attributes returns the attributes of a variable, nil for one that has none.
func (n *names) attributes(variable string) map[string]kind {
	switch variable {
	case "principal":
		return ofPrincipal
	case "resource":
		return n.resource
	case "context":
		return ofContext
	default:
		return nil
	}
}

// uses is what rules read: what must be there when they are evaluated.
type uses struct {
	resource, context uint16 // bits, see below
	params            []string
	headers           []string
	claims            []string
	principal         []string // attributes of the caller
	parents           bool
	scoped            bool // meant for some operations only
	reach             func(action, api types.EntityUID) bool
	shown             [][]string // attribute paths, for a trace
}

// Bits of uses.resource and uses.context.
const (
	readsAPI uint16 = 1 << iota
	readsIP
	readsZones
	readsTime
	readsAuthAge
	readsTarget
	readsHeaders
	readsCountry
	readsASN
	readsMoment
	readsRisk
)

// note remembers that an attribute is read.
func (u *uses) note(path []string) {
	if !slices.ContainsFunc(u.shown, func(p []string) bool { return slices.Equal(p, path) }) {
		u.shown = append(u.shown, path)
	}
	if path[0] == "principal" {
		u.principal = withOne(u.principal, path[1])
	}
	switch path[0] + "." + path[1] {
	case "resource.api":
		u.resource |= readsAPI
	case "resource.headers":
		u.resource |= readsHeaders
		if len(path) > 2 {
			u.headers = withOne(u.headers, path[2])
		}
	case "principal.claims":
		if len(path) > 2 {
			u.claims = withOne(u.claims, path[2])
		}
	case "context.ip":
		u.context |= readsIP
	case "context.zones":
		u.context |= readsZones
	case "context.country":
		u.context |= readsCountry
	case "context.asn":
		u.context |= readsASN
	case "context.time":
		u.context |= readsMoment
	case "context.risk":
		u.context |= readsRisk
	case "context.hour", "context.minute":
		u.context |= readsTime
	case "context.auth_age":
		u.context |= readsAuthAge
	case "context.method", "context.path", "context.host":
		u.context |= readsTarget
	default:
		if path[0] == "resource" {
			u.params = withOne(u.params, path[1])
		}
	}
}

// add takes over what another needs.
func (u *uses) add(o *uses) {
	u.resource |= o.resource
	u.context |= o.context
	for _, p := range o.params {
		u.params = withOne(u.params, p)
	}
	for _, h := range o.headers {
		u.headers = withOne(u.headers, h)
	}
	u.parents = u.parents || o.parents
}

// reaches reports whether the rule can apply to an operation.
func (u *uses) reaches(action, api types.EntityUID) bool {
	return u.reach == nil || u.reach(action, api)
}

func withOne(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(slices.Clone(list), s)
}

// headerName reports whether a policy can name the header so.
func headerName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64 && !strings.HasPrefix(s, "-")
}
