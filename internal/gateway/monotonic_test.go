package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// restriction is one more thing that somebody asks of callers, at the level of the
// organization, of the API or of a route.
type restriction struct {
	name string
	add  func(r *rand.Rand, s *spec.Snapshot)
}

// aRoute is one of the routes, which may be changed: it is shared with no other snapshot.
func aRoute(r *rand.Rand, s *spec.Snapshot) *spec.Route {
	a := s.APIs[0]
	a.Routes = slices.Clone(a.Routes)
	s.APIs = []spec.API{a}
	return &s.APIs[0].Routes[r.IntN(len(a.Routes))]
}

func anAPI(s *spec.Snapshot) *spec.API {
	s.APIs = slices.Clone(s.APIs)
	return &s.APIs[0]
}

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// narrower asks for one of a list: for the list where nothing was asked, else for
// fewer of what was.
func narrower(r *rand.Rand, had []string, all ...string) []string {
	if len(had) == 0 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:1+r.IntN(len(all))]
	}
	return had[:max(1, len(had)-1)]
}

// younger is a limit of an age that is at most what it was.
func younger(r *rand.Rand, had spec.Duration) spec.Duration {
	d := spec.Duration(oneOf(r, time.Minute, 5*time.Minute, time.Hour))
	if had != 0 {
		d = min(d, had)
	}
	return d
}

func restrictions() []restriction {
	policy := func(name string, texts ...string) restriction {
		return restriction{"organization: " + name, func(r *rand.Rand, s *spec.Snapshot) {
			s.Policies = append(slices.Clone(s.Policies), spec.Policy{Name: fmt.Sprintf("p%d", len(s.Policies)), Text: oneOf(r, texts...)})
		}}
	}
	route := func(name string, change func(*rand.Rand, *spec.Route)) restriction {
		return restriction{"route: " + name, func(r *rand.Rand, s *spec.Snapshot) { change(r, aRoute(r, s)) }}
	}
	return []restriction{
		policy("by who", `forbid (principal, action, resource) unless { principal.scopes.contains("b") };`,
			`forbid (principal, action, resource) when { principal.groups.contains("g2") };`,
			`forbid (principal is App, action, resource);`, `forbid (principal in Group::"g1", action, resource);`),
		policy("by what", `forbid (principal, action == Action::"PUT /x/{user}", resource) unless { principal.roles.contains("r1") };`,
			`forbid (principal, action, resource == API::"orders") when { resource.headers["x-role"].contains("guest") };`,
			`forbid (principal, action, resource) when { resource has user && resource.user == "ben" };`),
		policy("by where", `forbid (principal, action, resource) unless { context.zones.contains("here") };`,
			`forbid (principal, action, resource) when { context.zones.contains("here") && context.method == "PUT" };`),
		policy("what not everybody has", `forbid (principal, action, resource) when { principal.claims.floor > 3 };`,
			`forbid (principal, action, resource) when { context has auth_age && context.auth_age > 600 };`),
		policy("only tried out", `@shadow forbid (principal, action, resource);`),
		{"API: a decision point", func(r *rand.Rand, s *spec.Snapshot) {
			if a := anAPI(s); len(a.Authorize) < 2 {
				a.Authorize = append(slices.Clone(a.Authorize), []string{"pdp", "risk"}[len(a.Authorize)])
			}
		}},
		{"API: a proof", func(_ *rand.Rand, s *spec.Snapshot) { anAPI(s).Proof = spec.ProofAny }},
		{"API: introspection", func(_ *rand.Rand, s *spec.Snapshot) { anAPI(s).Introspect = true }},
		{"API: smaller bodies", func(_ *rand.Rand, s *spec.Snapshot) {
			a := anAPI(s)
			a.MaxBody = 4
			a.Routes = slices.Clone(a.Routes)
			for i := range a.Routes {
				if a.Routes[i].MaxBody != 0 {
					a.Routes[i].MaxBody = min(a.Routes[i].MaxBody, 4)
				}
			}
		}},
		route("scopes", func(r *rand.Rand, t *spec.Route) {
			if len(t.Scopes) > 1 {
				t.Scopes = t.Scopes[:1]
				return
			}
			if len(t.Scopes) == 0 {
				t.Scopes = [][]string{{"a"}, {"b", "c"}}
				return
			}
			if s := oneOf(r, "a", "b", "c"); !slices.Contains(t.Scopes[0], s) {
				t.Scopes = [][]string{append(slices.Clone(t.Scopes[0]), s)}
			}
		}),
		route("groups", func(r *rand.Rand, t *spec.Route) { t.Groups = narrower(r, t.Groups, "g1", "g2") }),
		route("roles", func(r *rand.Rand, t *spec.Route) { t.Roles = narrower(r, t.Roles, "r1", "r2") }),
		route("zones", func(r *rand.Rand, t *spec.Route) { t.Zones = narrower(r, t.Zones, "here", "there") }),
		route("mfa", func(r *rand.Rand, t *spec.Route) { t.MFA = younger(r, t.MFA) }),
		route("max_age", func(r *rand.Rand, t *spec.Route) { t.MaxAge = younger(r, t.MaxAge) }),
		route("acr", func(r *rand.Rand, t *spec.Route) { t.ACR = narrower(r, t.ACR, "phr", "phrh") }),
		route("amr", func(_ *rand.Rand, t *spec.Route) { t.AMR = []string{"hwk"} }),
		route("when", func(r *rand.Rand, t *spec.Route) {
			more := oneOf(r, `resource.user == principal.login`, `principal.claims.floor == 3`, `context.ip.isLoopback()`, `principal.amr.contains("mfa")`)
			if t.When != "" {
				more = "(" + t.When + ") && " + more
			}
			if strings.Count(more, "&&") < 3 {
				t.When = more
			}
		}),
		route("a decision point", func(_ *rand.Rand, t *spec.Route) { t.Authorize = []string{"risk"} }),
		route("introspection", func(_ *rand.Rand, t *spec.Route) { t.Introspect = true }),
		route("smaller bodies", func(_ *rand.Rand, t *spec.Route) { t.MaxBody = 4 }),
	}
}

// someIssuer is asked about tokens, and does not stand by those of some.
type someIssuer struct{ dead map[string]bool }

// Cached implements gateway.Introspector.
func (i someIssuer) Cached([]byte) (t *verify.Token, known bool, err error) { return nil, false, nil }

// Ask implements gateway.Introspector.
func (i someIssuer) Ask(_ context.Context, raw []byte) (*verify.Token, error) {
	if i.dead[string(raw)] {
		return nil, &verify.Error{Reason: gateway.ReasonRevoked}
	}
	return &verify.Token{Issuer: "https://issuer.test", Audience: []string{"api://test"}}, nil
}

// wish is one request of one caller.
type wish struct {
	method, path, token, body string
	headers                   []string
}

// someWish is a caller with some of what may be asked for, who wants something.
func someWish(t *testing.T, r *rand.Rand, h *house, dead map[string]bool) wish {
	t.Helper()
	some := func(all ...string) []string {
		return slices.DeleteFunc(all, func(string) bool { return r.IntN(4) == 0 })
	}
	c := gateway.Claims{"scp": some("a", "b", "c"), "groups": some("g1", "g2"), "roles": some("r1", "r2"), "amr": some("mfa", "hwk"), "acr": oneOf(r, "phr", "phrh", "phr", "pwd")}
	if r.IntN(5) > 0 {
		c["auth_time"] = time.Now().Add(-oneOf(r, 10*time.Second, 10*time.Second, 20*time.Minute)).Unix()
	}
	if r.IntN(4) > 0 {
		c["floor"] = oneOf(r, 3, 3, 5)
	}
	switch r.IntN(6) {
	case 0:
		c["sub"], c["uid"] = "app1", nil // an app for itself
	case 1:
		c["sub"] = "ben"
	}
	w := wish{method: oneOf(r, "GET", "PUT"), path: "/x/" + oneOf(r, "ana", "ana", "ben"), token: h.issuer.Token(t, c)}
	if r.IntN(8) == 0 {
		dead[w.token] = true
	}
	if w.method == "PUT" && r.IntN(2) == 0 {
		w.body = oneOf(r, "abc", "abcdefgh")
	}
	if r.IntN(4) == 0 {
		w.headers = []string{"X-Role", oneOf(r, "guest", "user")}
	}
	return w
}

// Composition of organization, API and route is monotonic: whatever one of them adds,
// nobody who was refused gets in by it. Requests go through all three lanes and through the
// addresses that only decide, which agree. The seed of a failing chain is its name.
func TestCompositionOnlyTightens(t *testing.T) {
	const chains, steps, wishes = 60, 9, 6
	dead := map[string]bool{}
	var base spec.Snapshot
	h := open(t, func(c *gateway.Config, s *spec.Snapshot) {
		c.Introspect = func(spec.Issuer) (gateway.Introspector, error) { return someIssuer{dead}, nil }
		c.DecisionPoint = func(p spec.DecisionPoint) (gateway.DecisionPoint, error) {
			return refuser{map[string]string{"pdp": `"g2"`, "risk": `"name":"PUT"`}[p.Name]}, nil
		}
		s.Issuers[0].Tokens, s.Issuers[0].ClientID, s.Issuers[0].ClientSecret = spec.TokensBoth, "g", "sealed"
		s.Zones = []spec.Zone{{Name: "here", Networks: []string{"127.0.0.0/8"}}, {Name: "there", Networks: []string{"192.0.2.0/24"}}}
		s.DecisionPoints = []spec.DecisionPoint{{Name: "pdp", URL: "https://pdp.test"}, {Name: "risk", URL: "https://risk.test"}}
		s.APIs[0].Routes = []spec.Route{{Method: "GET", Path: "/x/{user}"}, {Method: "PUT", Path: "/x/{user}"}}
		base = *s
	}, false)
	strict, others := lanes()[0], []lane{lanes()[2], lanes()[4]}
	clients := map[string]*http.Client{strict.name: strict.client(h)}
	for _, l := range others {
		clients[l.name] = l.client(h)
	}
	kinds := restrictions()
	bit, passed := map[string]bool{}, 0
	for seed := range uint64(chains) {
		r := rand.New(rand.NewPCG(seed, 1))
		var list []wish
		allowed := make([]bool, wishes)
		for i := range wishes {
			list = append(list, someWish(t, r, h, dead))
			allowed[i] = true
		}
		s := base
		var added []string
		for step := range steps {
			if step > 0 {
				k := oneOf(r, kinds...)
				k.add(r, &s)
				added = append(added, k.name)
			}
			s.Revision++
			if err := h.Load(t.Context(), s); err != nil {
				t.Fatalf("seed %d, %v: %v", seed, added, err)
			}
			for i, w := range list {
				token := []string{"Authorization", "Bearer " + w.token}
				a := h.do(t, strict, clients[strict.name], w.method, w.path, w.body, append(token, w.headers...)...)
				for _, l := range others {
					b := h.do(t, l, clients[l.name], w.method, w.path, w.body, append(token, w.headers...)...)
					if a.StatusCode != b.StatusCode || a.Header.Get("Gatehouse-Decision") != b.Header.Get("Gatehouse-Decision") {
						t.Errorf("seed %d, %v, %+v: %d on the strict lane, %d on %s", seed, added, w, a.StatusCode, b.StatusCode, l.name)
					}
				}
				if w.body == "" { // who only asks has none
					if d := h.Decide(asking(w)); d.Status != a.StatusCode {
						t.Errorf("seed %d, %v, %+v: %d, and %d for who only asks", seed, added, w, a.StatusCode, d.Status)
					}
				}
				now := a.StatusCode == http.StatusOK
				if now && !allowed[i] {
					t.Errorf("seed %d: %v lets in whom the rest had refused: %+v", seed, added, w)
				}
				if allowed[i] && !now && step > 0 {
					bit[added[step-1]] = true
				}
				if now {
					passed++
				}
				allowed[i] = now
			}
		}
	}
	for _, k := range kinds {
		if !bit[k.name] && k.name != "organization: only tried out" {
			t.Errorf("%q has never refused anybody: the test does not try it", k.name)
		}
	}
	t.Logf("%d requests of %d were let in; refusals by %d of %d kinds of restrictions (%v)", passed, chains*steps*wishes, len(bit), len(kinds), slices.Sorted(maps.Keys(bit)))
}

// asking is the wish as somebody vouches for it who only wants to know.
func asking(w wish) *http.Request {
	r := httptest.NewRequest(w.method, w.path, http.NoBody)
	r.RequestURI, r.Host, r.RemoteAddr = w.path, "api.test", "127.0.0.1:1"
	r.Header.Set("Authorization", "Bearer "+w.token)
	for i := 0; i+1 < len(w.headers); i += 2 {
		r.Header.Set(w.headers[i], w.headers[i+1])
	}
	return r
}
