package verify

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The bounds of what claims may list.
const (
	maxListed = 512
	maxScope  = 256 // bytes of one scope
	// maxDate is the end of the year 9999 in Unix seconds: later dates are mistakes.
	maxDate = 253402300799
)

// claimReader reads claims of a token and remembers the first one that is of a
// wrong type. The word malformed covers them all: an issuer that writes a number
// where a text belongs is not to be guessed at.
type claimReader struct {
	m    map[string]any
	fail string // the name of the claim that is wrong
}

func (c *claimReader) wrong(name string) {
	if c.fail == "" {
		c.fail = name
	}
}

// text returns a string claim, "" when it is missing.
func (c *claimReader) text(name string) string {
	v, has := c.m[name]
	if !has {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		c.wrong(name)
	}
	return s
}

// texts returns a claim that is a string or an array of strings.
func (c *claimReader) texts(name string) []string {
	v, has := c.m[name]
	if !has {
		return nil
	}
	list, ok := stringList(v)
	if !ok {
		c.wrong(name)
	}
	return list
}

func stringList(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		if len(v) > maxListed {
			return nil, false
		}
		list := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	default:
		return nil, false
	}
}

// date returns a NumericDate (RFC 7519 section 2) in whole seconds, rounded
// down, and whether it is there. Zero and above, up to the year 9999.
func (c *claimReader) date(name string) (seconds int64, has bool) {
	v, has := c.m[name]
	if !has {
		return 0, false
	}
	n, ok := v.(json.Number)
	if !ok {
		c.wrong(name)
		return 0, true
	}
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		if i < 0 || i > maxDate {
			c.wrong(name)
		}
		return i, true
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > maxDate {
		c.wrong(name)
		return 0, true
	}
	return int64(math.Floor(f)), true
}

// scopes reads scp (Okta: an array; Entra: a text with spaces) or else scope
// (RFC 9068: a text with spaces; some issuers: an array). When both are there
// scp alone counts, so that the two cannot add up to more than either.
func (c *claimReader) scopes(names []string) []string {
	name, v, has := c.find(or(names, "scp", "scope"))
	if !has {
		return nil
	}
	list, ok := stringList(v)
	if s, text := v.(string); text {
		list = strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
	}
	if !ok || len(list) > maxListed || slices.ContainsFunc(list, func(s string) bool { return !validScope(s) }) {
		c.wrong(name)
		return nil
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// validScope checks the grammar of scope-token (RFC 6749 section 3.3), without
// which one scope could pass for two.
func validScope(s string) bool {
	if len(s) == 0 || len(s) > maxScope {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// roles joins roles (Entra) and realm_access.roles (Keycloak), unless the issuer
// has a name of its own for them.
func (c *claimReader) roles(names []string) []string {
	if len(names) > 0 {
		list := slices.Clone(c.list(names))
		slices.Sort(list)
		return slices.Compact(list)
	}
	list := c.texts("roles")
	if realm, has := c.m["realm_access"].(map[string]any); has {
		if v, has := realm["roles"]; has {
			more, ok := stringList(v)
			if !ok {
				c.wrong("realm_access.roles")
			}
			list = append(list, more...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// first returns the first string claim that is there.
func (c *claimReader) first(names ...string) string {
	for _, name := range names {
		v, has := c.value(name)
		if !has {
			continue
		}
		s, ok := v.(string)
		if !ok {
			c.wrong(name)
		}
		if s != "" {
			return s
		}
	}
	return ""
}

// readClaims fills a Token from the claims of a signed token. Issuer and time are
// judged by the caller.
func readClaims(m map[string]any, names *ClaimNames) (*Token, *Error) {
	t, hasExpiry, bad := fillToken(m, names)
	if bad == nil && !hasExpiry {
		return nil, fail(ReasonMalformed, "claim exp is missing")
	}
	return t, bad
}

// FromClaims returns the Token of claims for which not a signature but somebody
// who was asked vouches, such as the answer of an introspection endpoint (RFC 7662
// section 2.2). object is one JSON object, read as strictly as a token's payload:
// no name twice, no claim of a wrong type; null is the same as missing. Nothing else is judged: not the issuer, not
// the audience, not the time. names says what the issuer calls its claims; its zero
// value means the usual names. Expires is 0 when exp is missing. Until the caller
// hands the Token out it may change the fields, but not the claims. The error is an
// *Error with ReasonMalformed.
func FromClaims(object []byte, names ClaimNames) (*Token, error) {
	m, err := decodeObject(string(object))
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "claims", Cause: err}
	}
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	t, _, bad := fillToken(m, &names)
	if bad != nil {
		return nil, bad
	}
	return t, nil
}

func fillToken(m map[string]any, names *ClaimNames) (t *Token, hasExpiry bool, bad *Error) {
	c := claimReader{m: m}
	t = &Token{
		Issuer:   c.text("iss"),
		Subject:  c.text("sub"),
		ClientID: c.first(or(names.Client, "cid", "client_id", "azp", "appid")...),
		Audience: c.list(or(names.Audience, "aud")),
		Scopes:   c.scopes(names.Scopes),
		Groups:   c.list(or(names.Groups, "groups")),
		Roles:    c.roles(names.Roles),
		ID:       c.text("jti"),
		Session:  c.text("sid"),
		ACR:      c.text("acr"),
		AMR:      c.texts("amr"),
		claims:   m,
	}
	t.Expires, hasExpiry = c.date("exp")
	t.NotBefore, _ = c.date("nbf")
	t.IssuedAt, _ = c.date("iat")
	t.AuthTime, _ = c.date("auth_time")
	c.confirmation(t)
	t.UserID = c.user(t, names.User)
	if c.fail != "" {
		return nil, false, fail(ReasonMalformed, "claim "+c.fail+" is of a wrong type or out of range")
	}
	return t, hasExpiry, nil
}

// confirmation reads cnf (RFC 7800).
func (c *claimReader) confirmation(t *Token) {
	v, has := c.m["cnf"]
	if !has {
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		c.wrong("cnf")
		return
	}
	in := claimReader{m: m}
	t.KeyThumbprint, t.CertThumbprint = in.text("jkt"), in.text("x5t#S256")
	if in.fail != "" {
		c.wrong("cnf." + in.fail)
	}
}

// user says who the person is, if any. See Token.UserID.
func (c *claimReader) user(t *Token, names []string) string {
	if uid := c.text("uid"); uid != "" && len(names) == 0 {
		return uid
	}
	switch {
	case c.text("idtyp") == "app", t.Subject == t.ClientID:
		return "" // Entra, Okta and RFC 9068: the client for itself
	case t.ClientID != "" && strings.EqualFold(c.text("preferred_username"), "service-account-"+t.ClientID):
		return "" // Keycloak: the client for itself; with another client's name it is a person who calls themselves so
	case t.ClientID != "" && t.Subject == t.ClientID+"@clients":
		return "" // Auth0: the client for itself
	}
	_, entra := c.m["tid"]
	if oid := c.text("oid"); entra && oid != "" && oid == t.Subject {
		return "" // Entra without idtyp: the client for itself; a person's sub is made for each app
	}
	if len(names) > 0 {
		return c.first(names...)
	}
	if oid := c.text("oid"); entra && oid != "" {
		return oid
	}
	return t.Subject
}
