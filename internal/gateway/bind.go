package gateway

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// What each line of the table of steps becomes for one route: a step with its
// settings, or nothing when the route does not ask for it.

func (c *compiler) guard(r *route) (step, error) {
	maxBody := r.spec.MaxBody
	if maxBody == 0 {
		maxBody = r.api.spec.MaxBody
	}
	switch {
	case maxBody == 0:
		maxBody = defaultMaxBody
	case maxBody < 0:
		return nil, nil //nolint:nilnil // no limit, no step
	}
	return &guard{maxBody}, nil
}

func (c *compiler) authenticate(r *route) (step, error) {
	if r.public() {
		return nil, nil //nolint:nilnil // nobody needs to be known
	}
	r.fresh = r.spec.Introspects(r.api.spec)
	if err := c.askable(r); err != nil {
		return nil, err
	}
	return newAuthenticate(c, r.api, r.fresh)
}

func (c *compiler) revocation(r *route) (step, error) {
	if r.public() {
		return nil, nil //nolint:nilnil // there is no token
	}
	return revoked{c.g.config.Revocations}, nil
}

func (c *compiler) authorize(r *route) (step, error) {
	if len(r.spec.Scopes) == 0 {
		return nil, nil //nolint:nilnil // every token may
	}
	r.scope = strings.Join(r.spec.Scopes[0], " ")
	return &authorize{r.spec.Scopes}, nil
}

func (c *compiler) stepUp(r *route) (step, error) {
	s := newStepUp(r.spec.MFA.Std(), r.spec.MaxAge.Std(), r.spec.ACR, r.spec.AMR)
	if s == nil {
		return nil, nil //nolint:nilnil // any sign-in will do
	}
	r.signIn, r.acr, r.maxAge = s.params, s.classes(), s.seconds()
	return s, nil
}

// compileZones compiles every zone of the snapshot.
func (c *compiler) compileZones() error {
	c.zones = make(map[string]*zone, len(c.out.spec.Zones))
	for _, s := range c.out.spec.Zones {
		z, err := newZone(s, c.g.config.Places)
		if err != nil {
			return err
		}
		c.zones[s.Name] = z
		c.out.zones = append(c.out.zones, z)
	}
	return nil
}

func (c *compiler) zone(r *route) (step, error) {
	if len(r.spec.Zones) == 0 {
		return nil, nil //nolint:nilnil // from anywhere
	}
	s := &inZone{}
	for _, name := range r.spec.Zones {
		z, ok := c.zones[name]
		if !ok {
			return nil, fault.New(fault.Invalid, "there is no zone %q", name)
		}
		s.zones = append(s.zones, z)
	}
	return s, nil
}

func (c *compiler) groups(r *route) (step, error) {
	if len(r.spec.Groups)+len(r.spec.Roles) == 0 {
		return nil, nil //nolint:nilnil // whoever they are
	}
	return &grouped{r.spec.Groups, r.spec.Roles}, nil
}

func (c *compiler) policy(r *route) (step, error) {
	set := c.rules.For(r.api.spec, r.spec)
	if set == nil {
		return nil, nil //nolint:nilnil // no policy is about it
	}
	return &conditions{c.rules, set}, nil
}

func (c *compiler) limit(r *route) (step, error) {
	key := r.spec.Method + " " + r.spec.Path
	own, err := c.limits(r.api, r.spec.Limits, key, spec.PathRoute(r.api.name, r.spec.Method, r.spec.Path, "limit"))
	if err != nil {
		return nil, err
	}
	rules := append(slices.Clone(r.api.limits), own...)
	keyed := r.api.takesKeys && !r.public()
	if len(rules) == 0 && !keyed {
		return nil, nil //nolint:nilnil // unlimited
	}
	if len(rules) > maxLimits {
		return nil, fault.New(fault.Invalid, "%d limits apply, with the API's; at most %d may", len(rules), maxLimits)
	}
	l := newLimit(rules)
	if r.policy = l.policy; keyed {
		l.keyed = c.g.config.Limiter.Key("limit", c.out.tenant, "api key")
	}
	return l, nil
}

// limits compiles the limits of an API (route is "") or a route. The base keys
// are the same in every snapshot, so that counters live on over a reload.
func (c *compiler) limits(a *api, list []spec.Limit, route, source string) ([]limitRule, error) {
	var rules []limitRule
	for i, l := range list {
		per, ok := subjectOf(l.Per)
		if !ok {
			return nil, fault.New(fault.Invalid, "limit per %q: must be client, user, ip or api", l.Per)
		}
		if l.Count < 1 || l.Period <= 0 {
			return nil, fault.New(fault.Invalid, "limit %d in %s: both must be positive", l.Count, l.Period.Std())
		}
		name := l.Per
		if route != "" {
			name = "route-" + l.Per
		}
		if n := countOf(rules, name); n > 0 {
			name = fmt.Sprintf("%s-%d", name, n+1)
		}
		rules = append(rules, limitRule{
			name: name, per: per, rate: rateOf(l), source: c.out.spec.Sources[source],
			base: c.g.config.Limiter.Key("limit", c.out.tenant, a.name, route, l.Per, fmt.Sprint(i)),
		})
	}
	return rules, nil
}

func countOf(rules []limitRule, name string) int {
	n := 0
	for i := range rules {
		if strings.HasPrefix(rules[i].name, name) {
			n++
		}
	}
	return n
}

func (c *compiler) transform(r *route) (step, error) {
	return &transform{
		api: r.api, public: r.public(), forward: r.api.spec.ForwardAuthorization,
		keep: r.api.spec.KeepBasePath, cookies: c.out.sessions,
	}, nil
}

func (c *compiler) backend(r *route) (step, error) { return backend{r.api.backend}, nil }

// headers compiles what the API's upstream is told about the caller.
func (c *compiler) headers(a *api) error {
	fixed := map[string]fixedFact{
		strings.ToLower(headerUser): factUser, strings.ToLower(headerClient): factClient, strings.ToLower(headerScopes): factScopes,
	}
	names := a.spec.Headers.Forward
	if len(names) == 0 {
		names = []string{headerUser, headerClient, headerScopes}
	}
	for _, n := range names {
		f, ok := fixed[strings.ToLower(n)]
		if !ok {
			return fault.New(fault.Invalid, "headers.forward: %q is not one of X-User-ID, X-Client-ID, X-Granted-Scopes", n)
		}
		a.claims = append(a.claims, claimHeader{header: n, fixed: f})
	}
	var custom []string
	for n := range a.spec.Headers.Claims {
		custom = append(custom, n)
	}
	slices.Sort(custom)
	seen := map[string]string{}
	for _, n := range custom {
		b := []byte(n)
		low := string(fold(nil, b))
		switch k := wire.Classify([]byte(low)); {
		case !wire.ValidFieldName(b) || strings.Contains(n, "_") || len(n) > maxHeaderName:
			return fault.New(fault.Invalid, "headers.claims: %q is not a header name of letters, digits and hyphens, at most %d long", n, maxHeaderName)
		case k != wire.Other || reserved(b) || c.g.names.has(b):
			return fault.New(fault.Invalid, "headers.claims: %q has a meaning of its own; choose another name", n)
		case seen[low] != "":
			return fault.New(fault.Invalid, "headers.claims: %q and %q are one header", n, seen[low])
		}
		seen[low] = n
		a.claims = append(a.claims, claimHeader{header: n, claim: a.spec.Headers.Claims[n]})
	}
	a.strip = c.g.names
	if len(custom) > 0 {
		a.strip = newHeaderNames(custom)
	}
	return nil
}
