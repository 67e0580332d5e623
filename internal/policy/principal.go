package policy

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
)

// Caller is what a token says of who calls. The zero value is nobody: the caller
// of a public operation.
type Caller struct {
	Login  string // of a person; empty for an app that acts for itself
	ID     string // of a person
	Client string
	Issuer string
	ACR    string
	Device string // that the person has signed in on
	Scopes []string
	Groups []string
	Roles  []string
	AMR    []string
	// Claim returns a claim of the token as JSON gives it, numbers as json.Number.
	Claim func(name string) (value any, ok bool)
}

// Principal is a caller as policies see it. Immutable: it can be kept for as long
// as the token is.
type Principal struct {
	entity types.Entity
	caller Caller       // as screens look at it
	claims types.Record // likewise: those that policies name
	not    mask         // the policies that cannot apply to the caller
}

// Principal makes a caller what the rules of c can ask about.
func (c *Compiled) Principal(who Caller) *Principal {
	p := &Principal{caller: who}
	switch {
	case who.Login != "" || who.ID != "":
		p.entity.UID = types.NewEntityUID(typeUser, types.String(who.Login))
	case who.Client != "":
		p.entity.UID = types.NewEntityUID(typeApp, types.String(who.Client))
	default:
		p.entity.UID = types.NewEntityUID(typeAnonymous, "")
	}
	claims := types.RecordMap{}
	for _, name := range c.claims {
		if who.Claim == nil {
			break
		}
		raw, ok := who.Claim(name)
		if !ok {
			continue
		}
		if v, ok := valueOf(raw, 0); ok {
			claims[types.String(name)] = v
		}
	}
	p.claims = types.NewRecord(claims)
	all := types.RecordMap{
		"login": types.String(who.Login), "id": types.String(who.ID), "client": types.String(who.Client),
		"issuer": types.String(who.Issuer), "acr": types.String(who.ACR), "device": types.String(who.Device),
		"scopes": texts(who.Scopes), "groups": texts(who.Groups), "roles": texts(who.Roles), "amr": texts(who.AMR),
		"claims": p.claims,
	}
	attributes := types.RecordMap{} // a map of a few names is looked into much faster
	for name, v := range all {
		if c.attributes[string(name)] {
			attributes[name] = v
		}
	}
	p.entity.Attributes = types.NewRecord(attributes)
	if c.parents {
		parents := make([]types.EntityUID, len(who.Groups))
		for i, g := range who.Groups {
			parents[i] = types.NewEntityUID(typeGroup, types.String(g))
		}
		p.entity.Parents = types.NewEntityUIDSet(parents...)
	}
	p.not = c.notAbout(p)
	return p
}

func texts(list []string) types.Set {
	values := make([]types.Value, len(list))
	for i, s := range list {
		values[i] = types.String(s)
	}
	return types.NewSet(values...)
}

// maxClaimDepth bounds how deeply a claim that policies read may be nested.
const maxClaimDepth = 8

// valueOf turns JSON into a Cedar value. What Cedar has no form for (null, numbers
// that are neither whole nor of at most four decimals) has none: a rule that reads
// it fails, and denies.
func valueOf(v any, depth int) (types.Value, bool) {
	if depth > maxClaimDepth {
		return nil, false
	}
	switch v := v.(type) {
	case string:
		return types.String(v), true
	case bool:
		return types.Boolean(v), true
	case json.Number:
		return numberOf(v)
	case []any:
		list := make([]types.Value, 0, len(v))
		for _, e := range v {
			one, ok := valueOf(e, depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, one)
		}
		return types.NewSet(list...), true
	case map[string]any:
		m := make(types.RecordMap, len(v))
		for name, e := range v {
			one, ok := valueOf(e, depth+1)
			if !ok {
				return nil, false
			}
			m[types.String(name)] = one
		}
		return types.NewRecord(m), true
	default:
		return nil, false
	}
}

func numberOf(n json.Number) (types.Value, bool) {
	if i, err := n.Int64(); err == nil {
		return types.Long(i), true
	}
	if !slices.ContainsFunc([]byte(n), func(c byte) bool { return c == 'e' || c == 'E' }) && strings.Contains(string(n), ".") {
		if d, err := types.ParseDecimal(string(n)); err == nil {
			return d, true
		}
	}
	return nil, false
}
