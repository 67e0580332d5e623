package gateway

import (
	"fmt"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

// testRouter builds a router from "METHOD /template" lines, each with the API's
// host and base path.
func testRouter(t testing.TB, routes ...[3]string) *router {
	t.Helper()
	r := &router{}
	for _, line := range routes {
		var method, path string
		if _, err := fmt.Sscanf(line[2], "%s %s", &method, &path); err != nil {
			t.Fatal(err)
		}
		tree, err := r.tree(line[0], line[1])
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := parseTemplate(path)
		if err != nil {
			t.Fatal(err)
		}
		name := line[0] + line[1] + " " + line[2]
		if tree.at(tpl).set(method, &route{name: name, params: tpl.params}) != nil {
			t.Fatalf("%s is there twice", name)
		}
	}
	return r
}

func TestMatch(t *testing.T) {
	r := testRouter(t,
		[3]string{"", "", "GET /"},
		[3]string{"", "", "GET /orders"},
		[3]string{"", "", "GET /orders/{id}"},
		[3]string{"", "", "GET /orders/new"},
		[3]string{"", "", "POST /orders/search"},
		[3]string{"", "", "GET /orders/{id}/items/{item}"},
		[3]string{"", "", "GET /orders/new/form"},
		[3]string{"", "", "GET /files/*"},
		[3]string{"", "", "GET /files/{name}/meta"},
		[3]string{"", "", "* /any"},
		[3]string{"", "", "GET /any"},
		[3]string{"", "", "PURGE /cache"},
		[3]string{"", "", "HEAD /orders/new"},
		[3]string{"", "/hr", "GET /"},
		[3]string{"", "/hr", "GET /vacations/{user}"},
		[3]string{"", "/hr/admin", "GET /*"},
		[3]string{"b.test", "", "GET /orders"},
		[3]string{"b.test", "/hr", "GET /mine"},
	)
	for _, c := range []struct {
		host, method, path, want string
		params                   []string
	}{
		{"a.test", "GET", "/", " GET /", nil},
		{"a.test", "GET", "/orders", " GET /orders", nil},
		{"a.test", "GET", "/orders/7", " GET /orders/{id}", []string{"7"}},
		{"a.test", "GET", "/orders/new", " GET /orders/new", nil},
		{"a.test", "GET", "/orders/search", " GET /orders/{id}", []string{"search"}},
		{"a.test", "POST", "/orders/search", " POST /orders/search", nil},
		{"a.test", "GET", "/orders/new/items/3", " GET /orders/{id}/items/{item}", []string{"new", "3"}},
		{"a.test", "GET", "/orders/new/form", " GET /orders/new/form", nil},
		{"a.test", "HEAD", "/orders/7", " GET /orders/{id}", []string{"7"}}, // attack gateway 45
		{"a.test", "HEAD", "/orders/new", " HEAD /orders/new", nil},
		{"a.test", "GET", "/files", " GET /files/*", nil},
		{"a.test", "GET", "/files/", " GET /files/*", nil},
		{"a.test", "GET", "/files/a/b/c", " GET /files/*", nil},
		{"a.test", "GET", "/files/a/meta", " GET /files/{name}/meta", []string{"a"}},
		{"a.test", "GET", "/files/a/meta/x", " GET /files/*", nil},
		{"a.test", "DELETE", "/any", " * /any", nil},
		{"a.test", "GET", "/any", " GET /any", nil},
		{"a.test", "PURGE", "/any", " * /any", nil},
		{"a.test", "PURGE", "/cache", " PURGE /cache", nil},
		{"a.test", "GET", "/hr", "/hr GET /", nil},
		{"a.test", "GET", "/hr/", "/hr GET /", nil},
		{"a.test", "GET", "/hr/vacations/ana", "/hr GET /vacations/{user}", []string{"ana"}},
		{"a.test", "GET", "/hr/admin/x/y", "/hr/admin GET /*", nil},
		{"a.test", "GET", "/hr/admin", "/hr/admin GET /*", nil},
		{"b.test", "GET", "/orders", "b.test GET /orders", nil},
		{"b.test", "GET", "/hr/mine", "b.test/hr GET /mine", nil},
		{"b.test", "GET", "/hr/admin/x", "/hr/admin GET /*", nil}, // the longer base path

		{"a.test", "POST", "/orders", "405", nil},
		{"a.test", "OPTIONS", "/orders/7", "405", nil}, // attack gateway 45
		{"a.test", "BREW", "/orders/7", "405", nil},
		{"a.test", "PURGED", "/cache", "405", nil},
		{"a.test", "GET", "/orders/", "404", nil}, // attack gateway 37
		{"a.test", "GET", "/ORDERS", "404", nil},
		{"a.test", "GET", "/orders/7/", "404", nil},
		{"a.test", "GET", "/ordersx", "404", nil},
		{"a.test", "GET", "/hrx", "404", nil},
		{"a.test", "GET", "/hr/vacations", "404", nil},
		{"a.test", "GET", "/hr/vacations/", "404", nil},
		{"a.test", "GET", "/hr/vacations/a/b", "404", nil},
		{"b.test", "GET", "/files/x", "404", nil}, // the host has routes of its own
		{"b.test", "GET", "/hr/vacations/ana", "404", nil},
	} {
		l := lookup{kind: methodOf([]byte(c.method)), method: []byte(c.method), path: []byte(c.path)}
		got := "404"
		if found := r.match([]byte(c.host), &l); found != nil {
			got = found.name
			for i, want := range c.params {
				if p := l.params[i]; c.path[p.from:p.to] != want {
					t.Errorf("%s %s: parameter %d is %q, want %q", c.method, c.path, i, c.path[p.from:p.to], want)
				}
			}
		} else if l.known {
			got = "405"
		}
		if got != c.want {
			t.Errorf("%s %s%s: %q, want %q", c.method, c.host, c.path, got, c.want)
		}
	}
	if got := r.allowed([]byte("a.test"), []byte("/orders/search")); got != "GET, HEAD, POST" {
		t.Errorf("Allow: %q", got)
	}
	if got := r.allowed([]byte("a.test"), []byte("/cache")); got != "PURGE" {
		t.Errorf("Allow: %q", got)
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	for _, path := range []string{
		"", "orders", "/a//b", "/../a", "/a/./b", "/a/{}", "/a/{x}/{x}", "/a/x{y}", "/a/*/b", "/a*", "/a;b", "/a b", "/%2e", "/{a*}",
		"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}",
	} {
		if _, err := parseTemplate(path); !fault.Is(err, fault.Invalid) {
			t.Errorf("parseTemplate(%q): %v", path, err)
		}
	}
	got, err := parseTemplate("/caf%c3%a9/%7Ex")
	if err != nil || got.segments[0] != "caf%C3%A9" || got.segments[1] != "~x" {
		t.Errorf("a template is not made canonical: %v, %v", got, err)
	}
}

// manyRoutes is a snapshot of n routes in APIs of ten.
func manyRoutes(n int) spec.Snapshot {
	s := spec.Snapshot{Tenant: "default", Revision: 1}
	for i := 0; i < n; i += 10 {
		a := spec.API{Name: fmt.Sprintf("api%d", i), BasePath: fmt.Sprintf("/svc%d", i), Auth: []string{"public"}, Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}}
		for j := range min(10, n-i) {
			a.Routes = append(a.Routes, spec.Route{Method: "GET", Path: fmt.Sprintf("/things%d/{id}/parts", j)})
		}
		s.APIs = append(s.APIs, a)
	}
	return s
}

func TestMatchAllocatesNothing(t *testing.T) {
	g := newTestGateway(t, ConfigFor(t), manyRoutes(100))
	r := &g.current.Load().router
	host, path, get := []byte("api.test"), []byte("/svc50/things3/77/parts"), []byte("GET")
	var l lookup
	if n := testing.AllocsPerRun(100, func() {
		l.kind, l.method, l.path = methodGet, get, path
		if r.match(host, &l) == nil {
			t.Fatal("no route")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newTestGateway(b, ConfigFor(b), manyRoutes(n))
			r := &g.current.Load().router
			// One hot path: what grows with the table must be the table, not cache misses of the test.
			path := fmt.Appendf(nil, "/svc%d/things3/77/parts", n/2/10*10)
			host, get := []byte("api.test"), []byte("GET")
			var l lookup
			b.ReportAllocs()
			for b.Loop() {
				l.kind, l.method, l.path = methodGet, get, path
				if r.match(host, &l) == nil {
					b.Fatal("no route")
				}
			}
		})
	}
}
