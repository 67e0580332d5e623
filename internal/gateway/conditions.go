package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/policy"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// conditions asks the organization's policies, and the operation's own condition.
type conditions struct {
	rules *policy.Compiled
	set   *policy.Set
}

// Do implements step.
func (s *conditions) Do(ex *Exchange) error {
	who := s.rules.Nobody()
	if ex.token != nil {
		who = ex.principal(s.rules)
	}
	v := s.set.Decide(who, (*policyFacts)(ex))
	if v.Outcome == policy.Pass {
		s.tryOut(ex, who)
		return nil
	}
	denied := v // only now on the heap
	ex.verdict = &denied
	switch first := denied.Rules[0]; denied.Outcome {
	case policy.Forbid:
		return Refuse(ReasonPolicyForbids, nil, "the policy %s forbids it", first.Name)
	case policy.Unmet:
		return Refuse(ReasonConditionFailed, nil, "the condition of the operation does not hold")
	case policy.Pass, policy.Failed:
	}
	return Refuse(ReasonPolicyError, nil, "a rule could not be evaluated: %s", denied.Detail)
}

// tryOut asks the policies in shadow mode, and notes what they would have done to a
// request that is allowed: counted, logged and explained, and nothing else.
func (s *conditions) tryOut(ex *Exchange, who *policy.Principal) {
	v := s.set.Shadow(who, (*policyFacts)(ex))
	if v.Outcome == policy.Pass {
		return
	}
	would := v
	ex.shadow = &would
	if ex.dry {
		return
	}
	for _, r := range would.Rules {
		ex.gw.config.Metrics.WouldDeny(ex.snap.tenant, r.Name)
	}
}

// principal returns the caller as policies see it, made once for each token and snapshot.
func (ex *Exchange) principal(rules *policy.Compiled) *policy.Principal {
	if ex.memo == nil {
		return rules.Principal(callerOf(ex.token))
	}
	if ex.memo.rules != rules {
		next := *ex.memo
		next.rules, next.principal = rules, rules.Principal(callerOf(ex.token))
		ex.token.Slot().Store(&next)
		ex.memo = &next
	}
	return ex.memo.principal
}

// callerOf tells policies who a token says is calling.
func callerOf(t *verify.Token) policy.Caller {
	return policy.Caller{
		Login: loginOf(t), ID: t.UserID, Client: t.ClientID, Issuer: t.Issuer, ACR: t.ACR, Device: textClaim(t, claimDevice),
		Scopes: t.Scopes, Groups: t.Groups, Roles: t.Roles, AMR: t.AMR, Claim: t.Claim,
	}
}

// Claims that say what an issuer knows of a caller beyond who they are.
const (
	claimDevice = "device_id" // the device that the person has signed in on
	claimRisk   = "risk"      // how risky the issuer has found the sign-in: a word, such as low
)

// textClaim returns a claim that is a text, else "".
func textClaim(t *verify.Token, name string) string {
	v, _ := t.Claim(name)
	s, _ := v.(string)
	return s
}

// loginOf returns what principal.login is: of a person, the claim "login" where an
// issuer sends one, else sub, which Okta and the built-in servers make the login.
// preferred_username is not read, since many issuers let people choose it (OpenID
// Connect Core section 5.7); who trusts theirs asks for principal.claims.preferred_username.
// An app that acts for itself has no login.
func loginOf(t *verify.Token) string {
	if t.UserID == "" {
		return ""
	}
	if v, _ := t.Claim("login"); v != nil {
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return t.Subject
}

// policyFacts is an exchange as policies ask about it. It implements policy.Source.
type policyFacts Exchange

// Param implements policy.Source.
func (f *policyFacts) Param(n int) string {
	p := f.params[n]
	raw := string(f.path[p.from:p.to])
	if s, err := url.PathUnescape(raw); err == nil {
		return s
	}
	return raw
}

// Header implements policy.Source.
func (f *policyFacts) Header(name string) []string {
	var out []string
	for i := range f.req.Fields {
		if field := &f.req.Fields[i]; wire.EqualFold(field.Name, name) {
			out = append(out, string(field.Value))
		}
	}
	return out
}

// Place implements policy.Source.
func (f *policyFacts) Place(zones, geo bool) policy.Place {
	var out policy.Place
	ex := (*Exchange)(f)
	if zones {
		for _, z := range f.snap.zones {
			if z.has(ex) {
				out.Zones = append(out.Zones, z.name)
			}
		}
	}
	if geo {
		p := ex.located()
		out.Country, out.ASN = p.code(), p.asn
	}
	return out
}

// Target implements policy.Source.
func (f *policyFacts) Target() (method, path, host string) {
	return string(f.req.Method), string(f.path), string(f.host)
}

// Circumstances implements policy.Source.
func (f *policyFacts) Circumstances() policy.Circumstances {
	c := policy.Circumstances{Client: f.facts.client, Now: f.started}
	if f.token != nil {
		c.SignIn, c.Risk = f.token.AuthTime, strings.ToLower(textClaim(f.token, claimRisk))
	}
	return c
}

// mostNamed bounds the policies that a trace names.
const mostNamed = 10

func (s *conditions) explain(f *facts) (needed, had string) {
	var parts, named []string
	if c := s.set.Condition(); c != nil {
		parts = append(parts, "that "+c.Text)
	}
	for _, r := range s.set.Rules() {
		if r.Name != "" && !slices.Contains(named, r.Name) {
			named = append(named, r.Name)
		}
	}
	if n := len(named); n > mostNamed {
		named = append(named[:mostNamed], fmt.Sprintf("and %d more", n-mostNamed))
	}
	if len(named) > 0 {
		parts = append(parts, "that none of these policies forbids it: "+strings.Join(named, ", "))
	}
	switch {
	case f.verdict != nil:
		had = saidOf(f.verdict)
	case f.shadow != nil:
		had = "only tried out: " + saidOf(f.shadow)
	}
	return strings.Join(parts, "; "), had
}

// saidOf puts a verdict into words.
func saidOf(v *policy.Verdict) string {
	var who []string
	for _, r := range v.Rules {
		if r.Name == "" {
			who = append(who, "the condition")
			continue
		}
		who = append(who, "the policy "+r.Name+" (its line "+strconv.Itoa(r.Line)+")")
	}
	if n := len(who); n > mostNamed {
		who = append(who[:mostNamed], fmt.Sprintf("%d more", n-mostNamed))
	}
	verb := map[policy.Outcome]string{policy.Forbid: "forbids it", policy.Unmet: "does not hold", policy.Failed: "could not be evaluated"}[v.Outcome]
	said := strings.Join(who, " and ") + " " + verb
	if v.Detail != "" {
		said += ": " + v.Detail
	}
	return said
}

// ruleSource names the line of the statement that denied, or of what applies.
func (s *slot) ruleSource(route string) string {
	sources := s.snap.spec.Sources
	if s.verdict == nil || s.verdict.Rules[0].Name == "" {
		if at := sources[route+".when"]; at != "" {
			return at
		}
		return sources[route]
	}
	r := s.verdict.Rules[0]
	path := spec.PathPolicy(r.Name)
	if first, ok := sources[spec.PathPolicyText(r.Name)]; ok {
		return shifted(first, r.Line-1)
	}
	return sources[path]
}

// shifted returns a "file:line:column" some lines further down.
func shifted(at string, lines int) string {
	rest, _, ok := cutLast(at, ':')
	if !ok {
		return at
	}
	file, line, ok := cutLast(rest, ':')
	n, err := strconv.Atoi(line)
	if !ok || err != nil || lines == 0 {
		return at
	}
	return file + ":" + strconv.Itoa(n+lines) + ":1"
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
