package spec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func (r *Route) check(f *findings, path string, a *API) {
	f.add(path, CheckMethod(r.Method))
	if _, err := ParseTemplate(r.Path); err != nil {
		f.add(path, err)
	}
	r.checkCaller(f, path, a)
	r.checkScopes(f, path+".scopes")
	checkList(f, path+".groups", r.Groups, func(s string) error { return CheckText(s, 255) })
	checkList(f, path+".roles", r.Roles, func(s string) error { return CheckText(s, 255) })
	checkLimits(f, path+".limit", r.Limits, r.Public || a.PublicOnly())
	r.checkTightening(f, path, a)
	r.checkSignIn(f, path)
	checkList(f, path+".zones", r.Zones, CheckName)
}

// checkSignIn checks what is asked about how the caller has signed in.
func (r *Route) checkSignIn(f *findings, path string) {
	for _, age := range []struct {
		field string
		d     Duration
	}{{"mfa", r.MFA}, {"max_age", r.MaxAge}} {
		if d := age.d.Std(); d < 0 || d > 365*24*time.Hour || d%time.Second != 0 {
			f.addf(path+"."+age.field, "the age of a sign-in is a whole number of seconds, longer than 0 and at most a year")
		}
	}
	if r.MFA != 0 && r.MaxAge >= r.MFA {
		f.addf(path+".max_age", "max_age has no effect: mfa asks for a sign-in that is at least as recent")
	}
	if len(r.ACR) > mostClasses {
		f.addf(path+".acr", "at most %d classes", mostClasses)
	}
	checkList(f, path+".acr", r.ACR, func(s string) error { return checkWord(s, "an authentication context class") })
	if len(r.AMR) > mostClasses {
		f.addf(path+".amr", "at most %d methods", mostClasses)
	}
	checkList(f, path+".amr", r.AMR, func(s string) error { return checkWord(s, "an authentication method") })
}

// mostClasses bounds the classes, and the methods, that a route asks for.
const mostClasses = 16

// checkWord checks a value that stands in a challenge among others: no spaces,
// quotes or backslashes (RFC 9470 section 3).
func checkWord(s, what string) error {
	if s == "" || len(s) > 255 {
		return fmt.Errorf("%s has 1 to 255 characters", what)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return fmt.Errorf("%s is one word of visible ASCII without quotes and backslashes", what)
		}
	}
	return nil
}

// checkCaller refuses what asks something of a caller whom nobody asks for a token.
func (r *Route) checkCaller(f *findings, path string, a *API) {
	demands := []struct {
		field string
		set   bool
	}{
		{"scopes", len(r.Scopes) > 0},
		{"groups", len(r.Groups) > 0},
		{"roles", len(r.Roles) > 0},
		{"when", r.When != ""},
		{"mfa", r.MFA != 0},
		{"max_age", r.MaxAge != 0},
		{"acr", len(r.ACR) > 0},
		{"amr", len(r.AMR) > 0},
		{"proof", r.Proof != ""},
		{"authorize", len(r.Authorize) > 0},
		{"introspect", r.Introspect},
	}
	for _, d := range demands {
		switch {
		case !d.set:
		case r.Public:
			f.addf(path+"."+d.field, "%s would not be enforced: the route is public", d.field)
		case slices.Equal(a.Auth, []string{Public}):
			f.addf(path+"."+d.field, "%s would not be enforced: the API has auth: public", d.field)
		}
	}
	if r.Public {
		return
	}
	switch {
	case slices.Equal(a.Auth, []string{Public}):
		f.addf(path, "the API has auth: public, so the route has to say public as well")
	case len(a.Auth) == 0:
		f.addf(path, "no issuer can let anybody in: name one under auth of the API, or make the route public")
	}
}

func (r *Route) checkScopes(f *findings, path string) {
	if len(r.Scopes) > mostScopeSets {
		f.addf(path, "at most %d sets of scopes", mostScopeSets)
	}
	for i, set := range r.Scopes {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(set) == 0 || len(set) > mostScopesInOneSet {
			f.addf(at, "a set of scopes has between 1 and %d scopes: an empty one would let everybody in", mostScopesInOneSet)
		}
		checkList(f, at, set, CheckScope)
		for j, other := range r.Scopes {
			if i != j && len(other) > 0 && subset(other, set) && (len(other) < len(set) || j < i) {
				f.addf(at, "this set of scopes is never needed: whoever has it has another set as well")
				break
			}
		}
	}
}

func subset(small, big []string) bool {
	return !slices.ContainsFunc(small, func(s string) bool { return !slices.Contains(big, s) })
}

// checkTightening refuses what would loosen the API's own settings: composition
// only ever tightens.
func (r *Route) checkTightening(f *findings, path string, a *API) {
	if err := checkSize(r.MaxBody); err != nil {
		f.add(path+".max_body", err)
	} else if r.MaxBody != 0 && a.MaxBody > 0 && (r.MaxBody == Unlimited || r.MaxBody > a.MaxBody) {
		f.addf(path+".max_body", "a route can only tighten: the API has max_body: %s", FormatSize(a.MaxBody))
	}
	switch {
	case r.Proof == "":
	case !slices.Contains(Proofs(), r.Proof):
		f.addf(path+".proof", "proof is %s", strings.Join(Proofs(), ", "))
	case !Tightens(a.Proof, r.Proof):
		f.addf(path+".proof", "a route can only tighten: the API has proof: %s", a.Proof)
	default:
		a.checkPlace(f, path+".proof", r.Proof)
	}
	for i, l := range r.Limits {
		for _, outer := range a.Limits {
			if l.Per == outer.Per && l.Period == outer.Period && l.Count > outer.Count {
				f.addf(fmt.Sprintf("%s.limit[%d]", path, i), "a route can only tighten: the API has a limit of %s, which is reached first", outer)
			}
		}
	}
}

// served is a route with the whole path that it is reached at.
type served struct {
	api   *API
	route *Route
	full  string // base path and template
}

func (s served) String() string {
	return s.route.Method + " " + s.route.Path + " of the API " + s.api.Name
}

// checkCollisions refuses routes of different APIs that match the same requests,
// and routes that another API's longer base path hides.
func checkCollisions(f *findings, apis []API) {
	seen := map[string]served{}
	bases := map[string]*API{} // host and base path to an API
	for i := range apis {
		a := &apis[i]
		if key := a.Host + a.BasePath; bases[key] == nil {
			bases[key] = a
		}
		for j := range a.Routes {
			s := served{api: a, route: &a.Routes[j], full: a.BasePath + a.Routes[j].Path}
			t, err := ParseTemplate(s.route.Path)
			if err != nil {
				continue
			}
			key := a.Host + " " + s.route.Method + " " + a.BasePath + t.Shape()
			other, ok := seen[key]
			if ok && other.api != a {
				f.addf(PathRoute(a.Name, s.route.Method, s.route.Path), "%s is reached at the same address: only one of them can apply", other)
			}
			seen[key] = s
		}
	}
	for i := range apis {
		for j := range apis[i].Routes {
			s := served{api: &apis[i], route: &apis[i].Routes[j], full: apis[i].BasePath + apis[i].Routes[j].Path}
			if by := hiddenBy(s, bases); by != nil {
				f.addf(PathRoute(s.api.Name, s.route.Method, s.route.Path),
					"this is never reached: requests below %s go to the API %s, whose base path is longer", by.BasePath, by.Name)
			}
		}
	}
}

// hiddenBy returns an API whose longer base path takes every request for s: one of
// the same host, or of any host.
func hiddenBy(s served, bases map[string]*API) *API {
	literal, _, _ := strings.Cut(s.full, "{")
	literal = strings.TrimSuffix(literal, "/*")
	for end := len(s.api.BasePath) + 1; end <= len(literal); end++ {
		if end < len(literal) && literal[end] != '/' {
			continue
		}
		if end == len(literal) && strings.HasSuffix(literal, "/") {
			continue
		}
		for _, host := range []string{s.api.Host, ""} {
			if by := bases[host+literal[:end]]; by != nil && by != s.api && len(by.BasePath) > len(s.api.BasePath) {
				return by
			}
		}
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
