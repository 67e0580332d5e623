package gateway

import (
	"fmt"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
)

// route is a compiled operation. What every exchange reads of it comes first.
type route struct {
	*needs
	metrics *telemetry.RouteMetrics
	logged  []byte // tenant, api and route as fields of the access log
	api     *api
	name    string // "GET /hr/vacations/{user}"

	spec   *spec.Route
	params []string
	full   string // base path and template
	source string // where it was written
}

// needs is what an operation asks for: its steps, and what they say of themselves.
// Operations of an API that ask for the same share it. Where there are thousands, most
// of what an exchange reads is then at hand, whichever of them it is for.
type needs struct {
	steps  []boundStep
	policy []byte // value of the RateLimit-Policy field
	fresh  bool   // issuers are asked about tokens that were verified here
	scope  string // the first set of scopes, as a challenge names it
	signIn []byte // parameters of a challenge to sign in again
	proof  string // what is demanded of the sender, one of spec.Proofs
	acr    string // the same for a browser: acr_values,
	maxAge string // and max_age in seconds
}

// public reports whether nobody needs to be known.
func (r *route) public() bool {
	return r.spec.Public || len(r.api.spec.Auth) == 1 && r.api.spec.Auth[0] == "public"
}

// route compiles one operation into the tree.
func (c *compiler) route(a *api, tree *segment, s *spec.Route) error {
	t, err := parseTemplate(s.Path)
	if err != nil {
		return err
	}
	if s.Method != "*" && !validMethod([]byte(s.Method)) || unroutable([]byte(s.Method)) {
		return fault.New(fault.Invalid, "method %q: must be an upper-case word or *, and neither TRACE nor CONNECT, which are never passed on", s.Method)
	}
	full := a.spec.BasePath + s.Path
	r := &route{
		spec: s, api: a, params: t.params, full: full, name: s.Method + " " + full,
		source: c.out.spec.Sources[spec.PathRoute(a.name, s.Method, s.Path)],
	}
	r.logged = appendText(append(slices.Clone(c.out.logged), `,"api":`...), a.name)
	r.logged = appendText(append(r.logged, `,"route":`...), r.name)
	if err := c.supported(r); err != nil {
		return err
	}
	if old := tree.at(t).set(s.Method, r); old != nil {
		return fault.New(fault.Invalid, "the same address is a route of API %s already: %s", old.api.name, old.name)
	}
	if err := c.bind(r); err != nil {
		return err
	}
	r.metrics = c.g.config.Metrics.Route(a.name, s.Method, full)
	c.out.routes = append(c.out.routes, r)
	return nil
}

// bind gives the route its needs: those of an earlier one that asks for the same, or its own.
func (c *compiler) bind(r *route) error {
	key, ok := c.demands(r)
	if r.needs = c.alike[key]; ok && r.needs != nil {
		return nil
	}
	r.needs = &needs{}
	for _, k := range c.table {
		if k.phase != onRoute {
			continue
		}
		do, err := k.compile(c, r)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if do != nil {
			r.steps = append(r.steps, boundStep{k.id, do})
		}
	}
	if r.steps = slices.Clip(r.steps); ok {
		c.alike[key] = r.needs
	}
	return nil
}

// demands returns all that the route's description asks for, its address aside; not ok
// when its steps depend on the address: a counter of its own is named by it, and rules
// of a policy read it.
func (c *compiler) demands(r *route) (key string, ok bool) {
	if len(r.spec.Limits) > 0 || c.rules.For(r.api.spec, r.spec) != nil {
		return "", false
	}
	s := *r.spec
	s.Method, s.Path = "", ""
	return fmt.Sprintf("%#v", s), true
}

// supported refuses what this version would not enforce.
func (c *compiler) supported(r *route) error {
	s := r.spec
	switch {
	case r.public() && s.When != "":
		return fault.New(fault.Invalid, "the route is public, so nobody is there to hold its condition against: remove when, or write a policy")
	case r.public() && (len(s.Scopes) > 0 || len(s.Groups) > 0 || len(s.Roles) > 0):
		return fault.New(fault.Invalid, "the route is public, so its scopes, groups and roles would not be enforced: remove one or the other")
	case r.public() && (s.MFA != 0 || s.MaxAge != 0 || len(s.ACR) > 0 || len(s.AMR) > 0):
		return fault.New(fault.Invalid, "the route is public, so mfa, max_age, acr and amr would not be enforced: remove one or the other")
	case s.MFA < 0 || s.MaxAge < 0:
		return fault.New(fault.Invalid, "mfa and max_age must be positive")
	case !r.public() && len(r.api.issuers) == 0 && !r.api.takesKeys && r.api.signIn == nil:
		return fault.New(fault.Invalid, "the route is not public, but the API accepts no issuer: set auth")
	}
	for _, set := range s.Scopes {
		if len(set) == 0 || slices.Contains(set, "") {
			return fault.New(fault.Invalid, "scopes: an empty set would let every token pass")
		}
	}
	if slices.Contains(s.Groups, "") || slices.Contains(s.Roles, "") {
		return fault.New(fault.Invalid, "groups, roles: one of them has no name")
	}
	return nil
}
