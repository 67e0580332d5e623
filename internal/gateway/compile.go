package gateway

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// step is one thing that happens to an exchange. It holds only its own compiled
// settings. An error refuses the exchange; its reason says how that is answered.
type step interface {
	Do(ex *Exchange) error
}

// explainer is a step that can say what it asks for and what an exchange had.
type explainer interface {
	explain(f *facts) (needed, had string)
}

// stepID names a step; the order of the ids is the order of the steps.
type stepID uint8

const (
	stepCanonicalize stepID = iota
	stepMatch
	stepGuard
	stepAuthenticate
	stepSender
	stepRevocation
	stepAuthorize
	stepStepUp
	stepZone
	stepGroups
	stepPolicy
	stepElsewhere
	stepLimit
	stepTransform
	stepBackend
	stepFilter
	stepRecord
	stepCount
)

// phase says when a step runs.
type phase uint8

const (
	onEvery  phase = iota // on every request, before its route is known
	onRoute               // as the route asks for
	onAnswer              // on the way back
)

// stepKind is a line of the table of steps.
type stepKind struct {
	id    stepID
	name  string
	why   string // one line: why it is there, and why at this place
	phase phase
	// compile returns the step for a route, or nil when the route does not need it.
	compile func(c *compiler, r *route) (step, error)
}

// steps is the table of steps: all that happens to an exchange, in order. A
// route gets those that its compile returns. A test prints it.
func steps() [stepCount]stepKind {
	return [stepCount]stepKind{
		{stepCanonicalize, "canonicalize", "one form of method, host, path and query, before anybody reads them", onEvery, nil},
		{stepMatch, "match", "what no route lists is denied; everything below belongs to the route", onEvery, nil},
		{stepGuard, "guard", "sizes are cheap to check, so they come before any work for the caller", onRoute, (*compiler).guard},
		{stepAuthenticate, "authenticate", "who is calling; nothing about the caller is believed before", onRoute, (*compiler).authenticate},
		{stepSender, "sender", "what is bound to its sender is worth nothing to a thief; before anything is said about the credential", onRoute, (*compiler).sender},
		{stepRevocation, "revocation", "a genuine token may have been taken back since it was cached", onRoute, (*compiler).revocation},
		{stepAuthorize, "authorize", "what the token may be used for; needs a caller that is known and not revoked", onRoute, (*compiler).authorize},
		{stepStepUp, "step-up", "a caller who can do better is asked to, before anything is said about who they are", onRoute, (*compiler).stepUp},
		{stepZone, "zone", "where the caller is; of public operations as well", onRoute, (*compiler).zone},
		{stepGroups, "groups", "who the caller is, now that the sign-in is good enough to say so", onRoute, (*compiler).groups},
		{stepPolicy, "policy", "the operation's condition and the organization's policies may ask about all of the above", onRoute, (*compiler).policy},
		{stepElsewhere, "decision points", "others may refuse what everything here would let pass; last, since each costs a call", onRoute, (*compiler).decisionPoints},
		{stepLimit, "limit", "only allowed requests count, so nobody can use up another's allowance", onRoute, (*compiler).limit},
		{stepTransform, "transform", "strip, then set: after all decisions, so that none reads what we wrote", onRoute, (*compiler).transform},
		{stepBackend, "backend", "the answer comes from the API's upstream", onRoute, (*compiler).backend},
		{stepFilter, "filter response", "an upstream must not speak in the gateway's name", onAnswer, nil},
		{stepRecord, "record", "log, metrics, decision and trace know every exchange, refused ones too", onAnswer, nil},
	}
}

var stepNames = [stepCount]string{
	"canonicalize", "match", "guard", "authenticate", "sender", "revocation", "authorize",
	"step-up", "zone", "groups", "policy", "decision points", "limit", "transform", "backend",
	"filter response", "record",
}

// String returns the name of the step.
func (s stepID) String() string {
	if s < stepCount {
		return stepNames[s]
	}
	return ""
}

// boundStep is a step of one route.
type boundStep struct {
	id stepID
	do step
}

// compiled is a snapshot ready to serve. Immutable.
type compiled struct {
	spec     spec.Snapshot
	tenant   string
	revision int64
	front    [2]boundStep
	router   router
	verifier *verify.Verifier
	apis     []*api
	byName   map[string]*api
	routes   []*route
	zones    []*zone
	metadata map[string]*metadata // by path below metadataPath
	signIns  []signInAt           // one for each API with sessions
	sessions bool                 // some API has them: there are cookies of ours
	models   *policy.Models       // that AuthZEN clients ask, nil for none
	rules    *policy.Compiled

	logged, loggedLast []byte // tenant and revision as fields of the access log
}

// api is a compiled API.
type api struct {
	spec    *spec.API
	name    string
	backend Backend
	issuers []accepted
	// takesKeys says that an API key will do in place of a token.
	takesKeys bool
	signIn    *SignIn  // nil: browsers do not sign in
	signsIn   accepted // the issuer, when they do
	claims    []claimHeader
	strip     *headerNames
	limits    []limitRule
}

// compiler makes one compiled snapshot.
type compiler struct {
	g       *Gateway
	out     *compiled
	issuers map[string]accepted
	signIns map[string]*SignIn // by issuer
	zones   map[string]*zone
	rules   *policy.Compiled
	table   [stepCount]stepKind
	alike   map[string]*needs // of the API that is being compiled, by what is asked for
}

// compile makes a snapshot ready to serve. Everything that it does not serve is
// an error: nothing is accepted that would not be enforced. previous is the
// snapshot that is served now, or nil.
func (g *Gateway) compile(s spec.Snapshot, previous *compiled) (out *compiled, err error) {
	if s.Tenant != "" {
		defer fault.Wrap(&err, "compile revision %d of tenant %s", s.Revision, s.Tenant)
	}
	c := &compiler{g: g, issuers: map[string]accepted{}, signIns: map[string]*SignIn{}, table: steps(), out: &compiled{
		spec: s, tenant: s.Tenant, revision: s.Revision, byName: map[string]*api{}, metadata: map[string]*metadata{},
	}}
	c.out.logged = appendText([]byte(`,"tenant":`), s.Tenant)
	c.out.loggedLast = strconv.AppendInt([]byte(`,"revision":`), s.Revision, 10)
	c.out.front = [2]boundStep{{stepCanonicalize, canonicalize{}}, {stepMatch, match{}}}
	if err := c.compileIssuers(previous); err != nil {
		return nil, err
	}
	if err := c.compileZones(); err != nil {
		return nil, err
	}
	rules, problems := policy.Compile(&c.out.spec)
	if err := policy.Err(problems); err != nil {
		return nil, err
	}
	c.rules, c.out.rules = rules, rules
	if err := c.places(rules); err != nil {
		return nil, err
	}
	c.out.sessions = slices.ContainsFunc(s.APIs, func(a spec.API) bool { return a.Sessions() })
	c.out.models, problems = policy.CompileModels(&c.out.spec)
	if err := policy.Err(problems); err != nil {
		return nil, err
	}
	for i := range c.out.spec.APIs {
		if err := c.api(&c.out.spec.APIs[i], previous); err != nil {
			return nil, errors.Join(append([]error{err}, c.out.release(previous)...)...)
		}
	}
	return c.out, nil
}

func (c *compiler) unsupported(what, name string) error {
	return fault.New(fault.Unsupported, "%s (%s): not supported yet, and nothing is accepted that would not be enforced", what, name)
}

// compileIssuers makes the verifier of all issuers. Two configured issuers may
// have one URL, for different audiences; then everything else must agree.
func (c *compiler) compileIssuers(previous *compiled) error {
	var list []verify.Issuer
	for _, s := range c.out.spec.Issuers {
		if len(s.Keys) > 0 {
			if err := c.compilePartner(s); err != nil {
				return fmt.Errorf("issuer %s: %w", s.Name, err)
			}
			continue
		}
		if s.ClientCA != "" {
			if err := c.compileAuthority(s); err != nil {
				return fmt.Errorf("issuer %s: %w", s.Name, err)
			}
			continue
		}
		if s.Asked() {
			if err := c.compileAsked(s); err != nil {
				return fmt.Errorf("issuer %s: %w", s.Name, err)
			}
			if s.Tokens == spec.TokensOpaque {
				continue
			}
		}
		if s.Tokens != "" && s.Tokens != spec.TokensJWT && s.Tokens != spec.TokensBoth {
			return c.unsupported("issuers."+s.Name+".tokens", s.Tokens)
		}
		v, err := c.g.config.Issuer(s)
		if err != nil {
			return fmt.Errorf("issuer %s: %w", s.Name, err)
		}
		audience := s.Audience
		if len(audience) == 0 {
			audience = v.Audience
		}
		if len(audience) == 0 {
			return fault.New(fault.Invalid, "issuer %s: no audience is configured, so tokens made for others would be accepted: set audience", s.Name)
		}
		if s.Tokens != spec.TokensBoth {
			c.issuers[s.Name] = accepted{name: s.Name, url: v.URL, audience: slices.Clone(audience), local: true}
		}
		v.Audience = nil // each API checks its own
		at := slices.IndexFunc(list, func(o verify.Issuer) bool { return o.URL == v.URL })
		switch {
		case at < 0:
			list = append(list, v)
		case !slices.Equal(list[at].Algorithms, v.Algorithms) || !slices.Equal(list[at].Types, v.Types) || list[at].Keys != v.Keys ||
			!list[at].Claims.Equal(&v.Claims):
			return fault.New(fault.Invalid, "issuer %s: another issuer has the URL %s with other keys, algorithms or claims", s.Name, v.URL)
		}
	}
	// From the one that is served now, so that issuers which have not changed keep
	// their verified tokens.
	base := c.g.config.Verifier
	if previous != nil {
		base = previous.verifier
	}
	verifier, err := base.With(list)
	if err != nil {
		return fmt.Errorf("issuers: %w", err)
	}
	c.out.verifier = verifier
	return nil
}

// api compiles an API and its routes.
func (c *compiler) api(s *spec.API, previous *compiled) (err error) {
	defer fault.Wrap(&err, "API %s", s.Name)
	a := &api{spec: s, name: s.Name}
	c.alike = map[string]*needs{}
	if c.out.byName[s.Name] != nil {
		return fault.New(fault.Invalid, "there are two APIs of this name")
	}
	c.out.byName[s.Name] = a
	public := len(s.Auth) == 1 && s.Auth[0] == "public"
	for _, name := range s.Auth {
		if public {
			break
		}
		if name == spec.AuthAPIKey {
			if c.g.config.APIKeys == nil {
				return c.unsupported("auth", name)
			}
			a.takesKeys = true
			continue
		}
		if name == spec.AuthSession {
			if err := c.compileSession(a, s); err != nil {
				return err
			}
			continue
		}
		if name == spec.AuthMTLS {
			i, err := c.listenerAuthority()
			if err != nil {
				return err
			}
			a.issuers = append(a.issuers, i)
			continue
		}
		i, ok := c.issuers[name]
		if !ok {
			return fault.New(fault.Invalid, "auth: there is no issuer %q", name)
		}
		a.issuers = append(a.issuers, i)
	}
	if err := checkKeyNames(a.issuers); err != nil {
		return err
	}
	if err := c.headers(a); err != nil {
		return err
	}
	if a.limits, err = c.limits(a, s.Limits, "", spec.PathAPI(s.Name, "limit")); err != nil {
		return err
	}
	var old Backend
	if previous != nil && previous.byName[s.Name] != nil {
		old = previous.byName[s.Name].backend
	}
	if a.backend, err = c.g.config.Backend(*s, old); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	c.out.apis = append(c.out.apis, a) // from here on it is released with the rest
	host := s.Host
	if host != "" {
		canonical, why := canonicalHost(nil, []byte(host))
		if why != "" || string(canonical) != host {
			return fault.New(fault.Invalid, "host %q is not a lower-case host name without port", host)
		}
	}
	tree, err := c.out.router.tree(host, s.BasePath)
	if err != nil {
		return err
	}
	for i := range s.Routes {
		if err := c.route(a, tree, &s.Routes[i]); err != nil {
			return fmt.Errorf("route %s %s: %w", s.Routes[i].Method, s.Routes[i].Path, err)
		}
	}
	c.out.addMetadata(a)
	return nil
}

// backend is the step that passes the exchange on.
type backend struct{ to Backend }

// Do implements step.
func (s backend) Do(ex *Exchange) error {
	if ex.dry {
		return nil
	}
	if ex.asked {
		return ex.allow()
	}
	return s.to.Serve(ex)
}

// keeps reports whether the snapshot has the backend under the same API's name.
func (c *compiled) keeps(a *api) bool {
	if c == nil {
		return false
	}
	mine := c.byName[a.name]
	return mine != nil && mine.backend == a.backend
}

// release gives back what the snapshot holds and next does not.
func (c *compiled) release(next *compiled) []error {
	var errs []error
	for _, r := range c.routes {
		r.metrics.Release()
	}
	for _, a := range c.apis {
		if next.keeps(a) {
			continue
		}
		if closer, ok := a.backend.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				errs = append(errs, fmt.Errorf("close the backend of API %s: %w", a.name, err))
			}
		}
	}
	return errs
}
