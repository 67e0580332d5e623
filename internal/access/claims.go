package access

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/expression"
	"gatehouse/internal/fault"
	"gatehouse/internal/order"
)

// The reasons of faults about claims: they end the whole token request.
const (
	ReasonUserClaim     = "user_claim_evaluation_failure"
	ReasonSystemClaim   = "system_claim_evaluation_failure"
	ReasonTooManyGroups = "too_many_groups"
)

// maxGroups is how many groups a GROUPS claim may list (Okta's bound).
const maxGroups = 100

// ProtocolClaim reports whether a claim is set by the server alone, whatever claims
// are configured: who issued the token, for whom, for how long, and how the person
// signed in.
func ProtocolClaim(name string) bool {
	switch name {
	case "iss", "aud", "exp", "iat", "nbf", "jti", "ver", "cid", "uid", "scp", "scope", "client_id", "cnf", "act", "may_act", "typ",
		"sub", "sid", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "azp", "authorization_details", "events":
		return true
	}
	return false
}

// claimViews are the active claims of a server by type, in the order of their names.
type claimViews struct {
	subject            *claimView // of access tokens; nil: the default one
	resource, identity []claimView
}

// claimView is a claim, compiled.
type claimView struct {
	id string
	Claim
	value  *expression.Expression // of EXPRESSION
	filter *regexp.Regexp         // of GROUPS with REGEX
	broken error                  // what is wrong with it: Okta keeps such claims, and so do we
}

func compileClaims(all map[string]Claim, server string) (out claimViews) {
	for id, c := range all {
		if c.Server != server || c.Status != Active {
			continue
		}
		v := claimView{id: id, Claim: c}
		switch {
		case c.ValueType == ValueExpression:
			v.value, v.broken = expression.Compile(c.Value)
		case c.ValueType == ValueGroups && c.GroupFilter == FilterRegex:
			v.filter, v.broken = regexp.Compile("^(?:" + c.Value + ")$")
		}
		switch {
		case c.Name == "sub" && c.System && c.ClaimType == ClaimResource:
			if c.Value != DefaultSubject {
				out.subject = &v
			}
		case ProtocolClaim(c.Name):
		case c.ClaimType == ClaimResource:
			out.resource = append(out.resource, v)
		default:
			out.identity = append(out.identity, v)
		}
	}
	byName := func(a, b claimView) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), slices.Compare(a.Scopes, b.Scopes))
	}
	order.By(out.resource, byName)
	order.By(out.identity, byName)
	return out
}

// Facts are what claims are made of.
type Facts struct {
	App    *AppView
	Person *Person  // nil when the client acts for itself
	Scopes []string // that are granted
	// Trace, when it is not nil, is told of every claim that was looked at, and one
	// that fails does not keep the others from being looked at.
	Trace *[]ClaimStep
}

// ClaimStep is one claim on its way into a token: where its value comes from, and
// why it is or is not there.
type ClaimStep struct {
	ID        string // of the claim; empty for the default sub
	Name      string
	ClaimType string // ClaimResource or ClaimIdentity
	ValueType string
	Source    string // the expression, or what groups are filtered by
	Scopes    []string
	Included  bool
	Reason    string // one of the Claim constants
	Value     any
	Err       error // why it could not be evaluated
}

// The reasons of a ClaimStep.
const (
	ClaimIncluded = "it has a value"
	ClaimNoScope  = "none of its scopes is granted"
	ClaimOnDemand = "it is not always included: userinfo has it"
	ClaimShadowed = "another claim of this name came first"
	ClaimNoValue  = "it has no value"
	ClaimFailed   = "it could not be evaluated: there is no token"
)

// step tells the trace of a claim, if there is one.
func (f *Facts) step(c *claimView, included bool, reason string, v any, err error) {
	if f.Trace == nil {
		return
	}
	source := c.Value
	if c.ValueType == ValueGroups {
		source = c.GroupFilter + " " + c.Value
	}
	*f.Trace = append(*f.Trace, ClaimStep{
		ID: c.id, Name: c.Name, ClaimType: c.ClaimType, ValueType: c.ValueType, Source: source, Scopes: c.Scopes,
		Included: included, Reason: reason, Value: v, Err: err,
	})
}

// Value is one claim of a token.
type Value struct {
	Name  string
	Value any // text, float64, bool, a list of these, or the object of an address
}

// Subject returns the sub of an access token: what the server's claim of that name
// says, by default the name that the app has for the user, or the client id.
func (s *ServerView) Subject(f *Facts) (string, error) {
	c := s.claims.subject
	if c == nil {
		name := f.App.ID
		if f.Person != nil {
			name = f.Person.UserName
		}
		if f.Trace != nil {
			standard := claimView{Claim: Claim{Name: "sub", ClaimType: ClaimResource, ValueType: ValueExpression, Value: DefaultSubject}}
			f.step(&standard, true, ClaimIncluded, name, nil)
		}
		return name, nil
	}
	v, err := c.evaluate(f)
	name, ok := v.(string)
	if err == nil && (!ok || name == "") {
		err = c.failed(fault.New(fault.Invalid, "it is no text"))
	}
	if err != nil {
		f.step(c, false, ClaimFailed, nil, err)
		return "", err
	}
	f.step(c, true, ClaimIncluded, name, nil)
	return name, nil
}

// ResourceClaims returns the claims of an access token beyond those of the
// protocol. A claim without a value is left out; one that cannot be evaluated is an
// error, and there is no token.
func (s *ServerView) ResourceClaims(f *Facts) ([]Value, error) {
	return evaluateAll(s.claims.resource, f, true)
}

// IdentityClaims returns the claims about a person beyond those of the protocol:
// all of them for userinfo and for an ID token that comes without an access token,
// and else those that are always included.
func (s *ServerView) IdentityClaims(f *Facts, all bool) ([]Value, error) {
	return evaluateAll(s.claims.identity, f, all)
}

func evaluateAll(claims []claimView, f *Facts, all bool) ([]Value, error) {
	var out []Value
	var failed error
	for i := range claims {
		c := &claims[i]
		switch {
		case !all && !c.AlwaysInclude:
			f.step(c, false, ClaimOnDemand, nil, nil)
			continue
		case !c.applies(f.Scopes):
			f.step(c, false, ClaimNoScope, nil, nil)
			continue
		case len(out) > 0 && out[len(out)-1].Name == c.Name:
			f.step(c, false, ClaimShadowed, nil, nil)
			continue
		}
		v, err := c.evaluate(f)
		if err != nil {
			if f.Trace == nil {
				return nil, err
			}
			f.step(c, false, ClaimFailed, nil, err)
			failed = cmp.Or(failed, err)
			continue
		}
		if list, ok := v.([]any); v == nil || ok && len(list) == 0 {
			f.step(c, false, ClaimNoValue, nil, nil)
			continue
		}
		f.step(c, true, ClaimIncluded, v, nil)
		out = append(out, Value{c.Name, v})
	}
	if failed != nil {
		return nil, failed
	}
	return out, nil
}

// applies reports whether the claim goes into a token with the scopes.
func (c *claimView) applies(scopes []string) bool {
	return len(c.Scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(c.Scopes, s) })
}

func (c *claimView) evaluate(f *Facts) (any, error) {
	if c.broken != nil {
		return nil, c.failed(c.broken)
	}
	switch c.ValueType {
	case ValueGroups:
		return c.groups(f)
	case ValueSystem:
		return systemClaim(c.Name, f.Person), nil
	}
	v, err := c.value.Evaluate(facts{f})
	if err != nil {
		return nil, c.failed(err)
	}
	return v, nil
}

func (c *claimView) failed(cause error) error {
	if c.System {
		return fault.Because(cause, fault.Invalid, "The '%s' system claim could not be evaluated.", c.Name).WithReason(ReasonSystemClaim)
	}
	return fault.Because(cause, fault.Invalid, "The '%s' user claim could not be evaluated.", c.Name).WithReason(ReasonUserClaim)
}

// groups returns the names of the person's groups that the claim chooses; nil when
// there are none.
func (c *claimView) groups(f *Facts) (any, error) {
	if f.Person == nil {
		return nil, nil //nolint:nilnil // no value is a value
	}
	var out []any
	for _, g := range f.Person.Groups {
		if c.chooses(g.Name) {
			out = append(out, g.Name)
		}
	}
	if len(out) > maxGroups {
		return nil, fault.New(fault.Invalid, "The groups claim matched too many groups and must be configured to match fewer groups.").WithReason(ReasonTooManyGroups)
	}
	return out, nil
}

func (c *claimView) chooses(group string) bool {
	switch c.GroupFilter {
	case FilterStartsWith:
		return strings.HasPrefix(group, c.Value)
	case FilterEquals:
		return group == c.Value
	case FilterContains:
		return strings.Contains(group, c.Value)
	case FilterRegex:
		return c.filter.MatchString(group)
	}
	return false
}

// systemClaim returns a claim of OpenID Connect Core section 5.1; nil for what is
// not known. An address is confirmed only when the profile says so.
func systemClaim(name string, p *Person) any {
	if p == nil {
		return nil
	}
	from := name
	switch name {
	case "name":
		return p.User.Profile.DisplayName()
	case "updated_at":
		return float64(p.Updated.Unix())
	case "email_verified":
		from = "emailVerified"
	case "family_name":
		from = "lastName"
	case "given_name":
		from = "firstName"
	case "middle_name":
		from = "middleName"
	case "nickname":
		from = "nickName"
	case "preferred_username":
		from = "login"
	case "profile":
		from = "profileUrl"
	case "zoneinfo":
		from = "timezone"
	case "phone_number":
		from = "primaryPhone"
	case "address":
		v, _ := p.User.Profile.Attribute("postalAddress")
		if text, ok := v.(string); ok && text != "" {
			return map[string]any{"formatted": text}
		}
		return nil
	}
	v, _ := p.User.Profile.Attribute(from)
	if v == "" {
		return nil
	}
	return v
}

// facts is what the expression of a claim sees. It implements
// expression.Environment.
type facts struct{ *Facts }

// Attribute implements expression.Environment: what a profile does not have is
// null, and of the app nothing but its id and profile is seen.
func (f facts) Attribute(path string) (any, bool) {
	root, name, _ := strings.Cut(path, ".")
	switch root {
	case "user":
		return f.user(name), true
	case "appuser":
		return f.appUser(name)
	case "app":
		if name == "id" || name == "clientId" {
			return f.App.ID, true
		}
		if attribute, ok := strings.CutPrefix(name, "profile."); ok {
			profile, _ := f.App.OIDC.Display["profile"].(map[string]any)
			return profile[attribute], true
		}
	case "access":
		return f.Scopes, name == "scope"
	}
	return nil, false
}

// appUser is null when no person takes part, and has no attributes then: the
// default sub relies on that.
func (f facts) appUser(name string) (any, bool) {
	switch {
	case f.Person == nil:
		return nil, name == ""
	case name == "":
		return f.Person.ID, true
	case strings.EqualFold(name, "userName"):
		return f.Person.UserName, true
	}
	return f.Person.Profile[name], true
}

func (f facts) user(name string) any {
	p := f.Person
	switch {
	case p == nil:
		return nil
	case name == "", name == "$id":
		return p.ID
	case name == "$status":
		return string(p.User.Status)
	}
	v, _ := p.User.Profile.Attribute(strings.TrimPrefix(name, "profile."))
	return v
}

// Groups implements expression.Environment.
func (f facts) Groups() ([]expression.Group, error) {
	if f.Person == nil {
		return nil, fault.New(fault.Invalid, "there is no user, so there are no groups")
	}
	out := make([]expression.Group, len(f.Person.Groups))
	for i, g := range f.Person.Groups {
		out[i] = expression.Group(g)
	}
	return out, nil
}
