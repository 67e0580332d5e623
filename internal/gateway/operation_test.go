package gateway

import (
	"fmt"
	"reflect"
	"testing"

	"gatehouse/internal/spec"
)

// What is shared between operations must be all that they ask for: one field of a
// route's description that is not looked at would give one route another's checks.
func TestRoutesShareTheirNeedsOnlyWhenAlike(t *testing.T) {
	c := &compiler{}
	a := &api{spec: &spec.API{Name: "shop"}}
	key := func(s spec.Route) string {
		k, ok := c.demands(&route{spec: &s, api: a})
		if !ok {
			return ""
		}
		return k
	}
	plain := key(spec.Route{Method: "GET", Path: "/a"})
	if plain == "" || plain != key(spec.Route{Method: "PUT", Path: "/b"}) {
		t.Errorf("two routes that differ in their address alone do not share: %q", plain)
	}
	fields := reflect.TypeFor[spec.Route]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "Method" || name == "Path" {
			continue
		}
		var s spec.Route
		fill(t, reflect.ValueOf(&s).Elem().Field(i))
		if k := key(s); k == plain {
			t.Errorf("%s makes no difference", name)
		}
	}
	if one, other := key(spec.Route{Groups: []string{"a b"}}), key(spec.Route{Groups: []string{"a", "b"}}); one == other {
		t.Error("one group with a space is taken for two")
	}
}

// fill sets a field to something else than its zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() != reflect.Struct {
			fill(t, v.Index(0))
		}
	default:
		t.Fatalf("a field of kind %s: say here how it is set", v.Kind())
	}
}

func TestNeedsOfOneAPI(t *testing.T) {
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/a", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "GET", Path: "/b/{id}", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "PUT", Path: "/a", Scopes: [][]string{{"orders:write"}}},
		spec.Route{Method: "GET", Path: "/c", Scopes: [][]string{{"orders:read"}}, Limits: []spec.Limit{{Count: 1, Period: 1, Per: "client"}}},
		spec.Route{Method: "GET", Path: "/d", Scopes: [][]string{{"orders:read"}}, When: `principal.login == "ana"`},
	)
	g := newTestGateway(t, ConfigFor(t, NewIssuerFor(t, "https://issuer.test")), s)
	routes := g.current.Load().routes
	if len(routes) != 5 || routes[0].needs != routes[1].needs {
		t.Fatal("two routes that ask for the same do not share")
	}
	for i, a := range routes[1:] {
		for _, b := range routes[i+2:] {
			if a.needs == b.needs {
				t.Errorf("%s and %s share what they ask for", a.name, b.name)
			}
		}
	}
	if want, had := fmt.Sprint(routes[0].scope), routes[2].scope; had == want {
		t.Errorf("both name the scope %s", want)
	}
}
