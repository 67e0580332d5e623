package access

import (
	"regexp"
	"slices"

	"gatehouse/internal/expression"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The tokens that a claim can be in (Okta's claimType).
const (
	ClaimResource = "RESOURCE" // the access token
	ClaimIdentity = "IDENTITY" // the ID token
)

// How a claim gets its value (Okta's valueType).
const (
	ValueExpression = "EXPRESSION"
	ValueGroups     = "GROUPS"
	ValueSystem     = "SYSTEM"
)

// The ways a GROUPS claim chooses among the user's groups.
const (
	FilterStartsWith = "STARTS_WITH"
	FilterEquals     = "EQUALS"
	FilterContains   = "CONTAINS"
	FilterRegex      = "REGEX"
)

// Claim is one claim of the tokens of a server.
type Claim struct {
	Server        string   `json:"server"` // id of the authorization server
	Name          string   `json:"name"`
	Status        Status   `json:"status"`
	ClaimType     string   `json:"claimType"` // ClaimResource or ClaimIdentity
	ValueType     string   `json:"valueType"`
	Value         string   `json:"value,omitempty"`             // the expression, or the text that groups are filtered by
	GroupFilter   string   `json:"group_filter_type,omitempty"` // of a GROUPS claim
	Scopes        []string `json:"scopes,omitempty"`            // only when one of these is granted; none: always
	System        bool     `json:"system,omitempty"`            // made with the server; cannot be deleted
	AlwaysInclude bool     `json:"alwaysIncludeInToken"`        // false: an identity claim is left to userinfo
}

// Claims are unique by name, type and scopes within their server and go with it:
// Okta allows one name for several scopes.
var Claims = ledger.NewKind(ledger.Spec[Claim]{
	Name: "claim", IDPrefix: "ocl",
	Keys: func(c Claim) []ledger.Key {
		return []ledger.Key{ledger.By("name", append([]string{c.Server, c.ClaimType, c.Name}, c.Scopes...)...)}
	},
	Index: func(c Claim) []ledger.Key { return []ledger.Key{ledger.By("server", c.Server, c.Name)} },
	Refs:  func(c Claim) []ledger.Ref { return []ledger.Ref{ofServer(c.Server)} },
	Check: checkClaim,
})

// DefaultSubject is the expression of the claim "sub" of a new server.
const DefaultSubject = "(appuser != null) ? appuser.userName : app.clientId"

// profileClaims are the claims of the scope profile (OpenID Connect Core section
// 5.4) in the order in which a new server lists them.
var profileClaims = [...]string{
	"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
	"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
}

// SystemClaims returns the claims that a new server starts with.
func SystemClaims(server string) []Claim {
	claim := func(name, scope string) Claim {
		return Claim{
			Server: server, Name: name, Status: Active, ClaimType: ClaimIdentity, ValueType: ValueSystem, System: true,
			Scopes: []string{scope}, AlwaysInclude: name == "name" || name == "preferred_username" || name == "email",
		}
	}
	out := []Claim{{
		Server: server, Name: "sub", Status: Active, ClaimType: ClaimResource, ValueType: ValueExpression,
		Value: DefaultSubject, System: true, AlwaysInclude: true,
	}}
	for _, n := range profileClaims {
		out = append(out, claim(n, "profile"))
	}
	return append(out, claim("email", "email"), claim("email_verified", "email"), claim("address", "address"), claim("phone_number", "phone"))
}

func (c Claim) fill() Claim {
	if c.Status == "" {
		c.Status = Active
	}
	c.Scopes = sorted(c.Scopes)
	return c
}

// reservedClaims may not be set by a claim of one's own: they say who issued the
// token, for whom and until when (RFC 7519 section 4.1 and Okta's own).
var reservedClaims = [...]string{"iss", "aud", "exp", "iat", "nbf", "jti", "ver", "cid", "uid", "scp", "scope", "client_id", "cnf", "act", "typ", "authorization_details"}

func checkClaim(c Claim) error {
	var k checks
	k.that(c.Server != "", "server", "is empty")
	k.name("name", c.Name, 100)
	k.that(c.System || !slices.Contains(reservedClaims[:], c.Name), "name", quoted(c.Name)+" is reserved: the server sets it")
	k.oneOf("status", string(c.Status), string(Active), string(Inactive))
	k.oneOf("claimType", c.ClaimType, ClaimResource, ClaimIdentity)
	k.oneOf("valueType", c.ValueType, ValueExpression, ValueGroups, ValueSystem)
	k.that(c.ValueType != ValueSystem || c.System, "valueType", "is SYSTEM, which only the server's own claims can be")
	k.that(c.ValueType == ValueSystem || c.Value != "", "value", "is empty: give an expression, or what groups are filtered by")
	k.that(len(c.Value) <= 1024, "value", "is longer than 1024 bytes")
	if c.ValueType == ValueExpression && c.Value != "" && len(c.Value) <= 1024 {
		if _, err := expression.Compile(c.Value); err != nil {
			k.that(false, "value", "is not an expression: "+fault.Of(err).Message)
		}
	}
	if c.ValueType == ValueGroups {
		k.oneOf("group_filter_type", c.GroupFilter, FilterStartsWith, FilterEquals, FilterContains, FilterRegex)
		if c.GroupFilter == FilterRegex {
			_, err := regexp.Compile(c.Value)
			k.that(err == nil, "value", "is not a regular expression (RE2)")
		}
	} else {
		k.that(c.GroupFilter == "", "group_filter_type", "is only for GROUPS claims")
	}
	k.that(len(c.Scopes) <= 50, "conditions.scopes", "has more than 50 scopes")
	for _, s := range c.Scopes {
		k.that(ValidScopeName(s), "conditions.scopes", quoted(s)+" is not a scope name")
	}
	return k.err("claim %s is not valid", quoted(c.Name))
}
