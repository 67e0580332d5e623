package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

func newResponse(status int) *wire.Response { return &wire.Response{Status: status} }

// sentUpstream runs one exchange and returns the lines that the upstream gets, in order.
func sentUpstream(t testing.TB, c Config, s spec.Snapshot, l *memoryLane) (lines []string, target string) {
	t.Helper()
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			for _, f := range ex.Out.Fields {
				lines = append(lines, string(f.Name)+": "+string(f.Value))
			}
			own := string(bytes.Join(ex.Out.Lines[:], nil))
			if !strings.HasSuffix(own, "\r\n") {
				t.Errorf("%q", own)
			}
			lines = append(lines, strings.Split(strings.TrimSuffix(own, "\r\n"), "\r\n")...)
			target = string(ex.Out.Target)
			return ex.Relay(newResponse(200))
		}}, nil
	}
	g := newTestGateway(t, c, s)
	g.ServeExchange(l)
	if l.status != 200 {
		t.Fatalf("%d %s", l.status, l.body)
	}
	return lines, target
}

func valuesOf(lines []string, name string) []string {
	var out []string
	for _, l := range lines {
		n, v, _ := strings.Cut(l, ": ")
		if strings.EqualFold(strings.ReplaceAll(n, "_", "-"), name) {
			out = append(out, v)
		}
	}
	return out
}

// attack gateway 52: claim values that could split a line or a list.
func TestClaimHeaders(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
	s.APIs[0].Headers.Claims = map[string]string{"X-C": "c"}
	for _, x := range []struct {
		name  string
		value any
		want  []string
	}{
		{"plain", "Ana Lima", []string{"Ana Lima"}},
		{"line break", "a\r\nX-User-ID: root", []string{"a%0D%0AX-User-ID: root"}},
		{"comma", "a,b", []string{"a,b"}},
		{"percent", "100%0A", []string{"100%250A"}},
		{"not ascii", "Zoë", []string{"Zo%C3%AB"}},
		{"spaces at the ends", " a ", []string{"%20a%20"}},
		{"control", "a\x00\x1b\x7f\tb", []string{"a%00%1B%7F%09b"}},
		{"list", []string{"a", "b,c", "d e"}, []string{"a,b%2Cc,d e"}},
		{"number", 17, []string{"17"}},
		{"true", true, []string{"true"}},
		{"false", false, []string{"false"}},
		{"empty", "", nil},
		{"empty list", []string{}, nil},
		{"null", nil, nil},
		{"object", map[string]string{"a": "b"}, nil},
		{"list of objects", []any{map[string]string{"a": "b"}}, nil},
		{"as long as it may be", strings.Repeat("g", maxClaim), []string{strings.Repeat("g", maxClaim)}},
		{"too long", strings.Repeat("g", maxClaim+1), nil},
	} {
		l := newLane("GET", "/x", "Authorization", "Bearer "+iss.Token(t, Claims{"c": x.value}), "X-C", "spoofed")
		lines, _ := sentUpstream(t, ConfigFor(t, iss), s, l)
		if got := valuesOf(lines, "X-C"); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
		if got := valuesOf(lines, "X-Gatehouse-Omitted"); (len(got) == 1) != (x.name == "too long") {
			t.Errorf("%s: omitted %q", x.name, got)
		}
	}
}

func TestClaimsNeverSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "list")
		separator := rapid.SampledFrom([]byte{' ', ','}).Draw(t, "separator")
		got := appendList(nil, list, separator)
		for _, c := range got {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("%q", got)
			}
		}
		list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
		if parts := strings.FieldsFunc(string(got), func(r rune) bool { return r == rune(separator) }); len(parts) != len(list) {
			t.Fatalf("%d members became %d: %q", len(list), len(parts), got)
		}
		if !wire.ValidFieldValue(got) && len(got) > 0 {
			t.Fatalf("%q is no field value", got)
		}
	})
}

func TestTargets(t *testing.T) {
	for _, x := range []struct {
		base, template, target, want string
		keep, slashes                bool
	}{
		{"", "/a/{x}", "/a/b?c=d", "/a/b?c=d", false, false},
		{"/hr", "/a/{x}", "/hr/a/b?c=d", "/a/b?c=d", false, false},
		{"/hr", "/a/{x}", "/hr/a/b?c=d", "/hr/a/b?c=d", true, false},
		{"/hr", "/", "/hr", "/", false, false},
		{"/hr", "/", "/hr?x", "/?x", false, false},
		{"/hr", "/", "/hr?", "/?", false, false},
		{"/hr", "/*", "/hr/", "/", false, false},
		{"/hr", "/", "/hr", "/hr", true, false},
		{"/hr", "/a/{x}", "/h%72/%61/b%7e?%7e", "/a/b~?%7e", false, false},
		{"/hr", "/a/{x}", "/h%72/%61/b%7e", "/hr/a/b~", true, false},
		{"", "/a/{x}", "/a/caf%c3%a9", "/a/caf%C3%A9", false, false},
		{"/hr", "/a/{x}", "/hr/a/b%2fc", "/a/b%2Fc", false, true}, // attack gateway 39, 40
		{"", "/", "/?a=1&a=2&&b", "/?a=1&a=2&&b", false, false},   // attack gateway 47
	} {
		s := OrdersSnapshot2("public", spec.Route{Method: "GET", Path: x.template, Public: true})
		s.APIs[0].BasePath, s.APIs[0].KeepBasePath, s.APIs[0].EncodedSlashes = x.base, x.keep, x.slashes
		if _, got := sentUpstream(t, ConfigFor(t), s, newLane("GET", x.target)); got != x.want {
			t.Errorf("%s below %q: %q, want %q", x.target, x.base, got, x.want)
		}
	}
}

func TestAuthorizationIsForwardedOnRequestOnly(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	for _, forward := range []bool{false, true} {
		s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
		s.APIs[0].ForwardAuthorization = forward
		lines, _ := sentUpstream(t, ConfigFor(t, iss), s, newLane("GET", "/x", "Authorization", "Bearer "+iss.Token(t, nil)))
		if got := len(valuesOf(lines, "Authorization")) == 1; got != forward {
			t.Errorf("forward %v: %v", forward, got)
		}
	}
}

// What concerns one connection is removed before our lines are set, whoever else would do it too.
func TestHopByHopGoesNoFurther(t *testing.T) {
	s := OrdersSnapshot2("public", spec.Route{Method: "GET", Path: "/x", Public: true})
	l := newLane("GET", "/x", "Connection", "X-Mine", "Keep-Alive", "1", "TE", "trailers", "Trailer", "X", "Upgrade", "h2c",
		"Proxy-Connection", "x", "Proxy-Authorization", "x", "HTTP2-Settings", "x", "X-Mine", "1", "X-Kept", "1", "Transfer-Encoding", "chunked", "Content-Length", "3")
	for i := range l.request.Fields {
		f := &l.request.Fields[i]
		f.Nominated = string(f.Name) == "X-Mine"
	}
	lines, _ := sentUpstream(t, ConfigFor(t), s, l)
	for _, name := range []string{"Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Proxy-Authorization", "HTTP2-Settings", "X-Mine", "Transfer-Encoding", "Content-Length"} {
		if got := valuesOf(lines, name); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(valuesOf(lines, "X-Kept")) != 1 {
		t.Errorf("%q", lines)
	}
}

// A backend uses its response's memory again, so the gateway must not leave its own there.
func TestRelayGivesTheFieldsBack(t *testing.T) {
	c := ConfigFor(t)
	r := newResponse(200)
	r.Fields = []wire.Field{{Name: []byte("Gatehouse-Decision"), Value: []byte("x")}, {Name: []byte("A"), Value: []byte("b")}}
	own := &r.Fields[0]
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error { return ex.Relay(r) }}, nil
	}
	g := newTestGateway(t, c, OrdersSnapshotPublic())
	l := newLane("GET", "/x")
	g.ServeExchange(l)
	if len(r.Fields) != 2 || &r.Fields[0] != own || string(r.Fields[0].Name) != "Gatehouse-Decision" {
		t.Errorf("%v", r.Fields)
	}
	if l.fields["Gatehouse-Decision"] != nil || l.fields["A"] == nil {
		t.Errorf("%v", l.fields)
	}
}

func TestForwardSelectsHeaders(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
	s.APIs[0].Headers.Forward = []string{"x-client-id"}
	lines, _ := sentUpstream(t, ConfigFor(t, iss), s, newLane("GET", "/x", "Authorization", "Bearer "+iss.Token(t, nil), "X-User-ID", "root"))
	if len(valuesOf(lines, "X-User-ID")) != 0 || !slices.Equal(valuesOf(lines, "X-Client-ID"), []string{"app1"}) {
		t.Errorf("%q", lines)
	}
}

func TestSignedContext(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	now := time.Now()
	c := ConfigFor(t, iss)
	c.Now = func() time.Time { return now }
	var contexts []string
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			contexts = append(contexts, valuesOf(strings.Split(string(bytes.Join(ex.Out.Lines[:], nil)), "\r\n"), "X-Gatehouse-Context")...)
			return ex.Relay(newResponse(200))
		}}, nil
	}
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
	s.APIs = append(s.APIs, spec.API{
		Name: "second", BasePath: "/second", Auth: []string{"main"}, Upstream: s.APIs[0].Upstream,
		Routes: []spec.Route{{Method: "GET", Path: "/x"}},
	})
	g := newTestGateway(t, c, s)
	token := "Bearer " + iss.Token(t, Claims{"groups": []string{"g"}, "acr": "phr"})
	send := func(path string) map[string]any {
		t.Helper()
		l := newLane("GET", path, "Authorization", token)
		g.ServeExchange(l)
		if l.status != 200 {
			t.Fatalf("%d %s", l.status, l.body)
		}
		b, err := base64.RawURLEncoding.DecodeString(strings.Split(contexts[len(contexts)-1], ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := send("/x")
	for name, want := range map[string]any{
		"iss": "https://id.test", "aud": "orders", "sub": "ana", "uid": "00u1", "client_id": "app1", "scope": "orders:read", "acr": "phr",
		"token_iss": iss.URL, "tenant": "default", "iat": float64(now.Unix()), "exp": float64(now.Unix() + 60),
	} {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	if send("/second/x")["aud"] != "second" {
		t.Error("the second API got a context that is not for it")
	}
	send("/x")
	if contexts[0] != contexts[2] {
		t.Error("the context is signed for every request")
	}
	now = now.Add(31 * time.Second)
	if send("/x")["exp"] != float64(now.Unix()+60) {
		t.Error("the context is not made anew in time")
	}

	c.Context = signerFunc(func([]byte) (string, error) { return "", errors.New("no key") })
	g = newTestGateway(t, c, s)
	l := newLane("GET", "/x", "Authorization", "Bearer "+iss.Token(t, nil))
	g.ServeExchange(l)
	if l.status != 500 {
		t.Errorf("without a signature: %d", l.status)
	}
}

// Whatever names a client thinks of, the upstream sees each of ours once, with our value.
func TestStripProperty(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	token := "Bearer " + iss.Token(t, Claims{"email": "ana@acme.test"})
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
	s.APIs[0].Headers.Claims = map[string]string{"X-User-Email": "email"}
	ours := []string{"X-User-ID", "X-Client-ID", "X-Granted-Scopes", "X-User-Email", "X-Request-ID", "traceparent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "X-Gatehouse-Context"}
	var lines []string
	c := ConfigFor(t, iss)
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			lines = strings.Split(strings.TrimSuffix(string(bytes.Join(ex.Out.Lines[:], nil)), "\r\n"), "\r\n")
			for _, f := range ex.Out.Fields {
				lines = append(lines, string(f.Name)+": "+string(f.Value))
			}
			return ex.Relay(newResponse(200))
		}}, nil
	}
	g := newTestGateway(t, c, s)
	rapid.Check(t, func(t *rapid.T) {
		headers := []string{"Authorization", token}
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			name := []byte(rapid.SampledFrom(ours).Draw(t, "name"))
			for i := range name {
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					name[i] = strings.ToUpper(string(name[i]))[0]
				case 1:
					name[i] = strings.ToLower(string(name[i]))[0]
				case 2:
					if name[i] == '-' {
						name[i] = '_'
					}
				}
			}
			headers = append(headers, string(name), "spoofed")
		}
		l := newLane("GET", "/x", headers...)
		if g.ServeExchange(l); l.status != 200 {
			t.Fatalf("%d %s", l.status, l.body)
		}
		for _, name := range ours {
			if got := valuesOf(lines, name); len(got) != 1 || got[0] == "spoofed" {
				t.Fatalf("%s: %q with %q", name, got, headers)
			}
		}
	})
}
