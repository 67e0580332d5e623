package spec

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]Limit{
		"100/min per client":  {100, Duration(time.Minute), PerClient},
		"1/s per ip":          {1, Duration(time.Second), PerIP},
		"20/10s per user":     {20, Duration(10 * time.Second), PerUser},
		"20 / 10 s per user":  {20, Duration(10 * time.Second), PerUser},
		"5/hour per api":      {5, Duration(time.Hour), PerAPI},
		"5/2 days per client": {5, Duration(48 * time.Hour), PerClient},
		"5/90min per client":  {5, Duration(90 * time.Minute), PerClient},
	} {
		if got, err := ParseLimit(text); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "100", "100/min", "per client", "100/min per", "100/min per you", "0/s per ip", "-1/s per ip", "+1/s per ip", "1.5/s per ip",
		"1/ per ip", "1/0s per ip", "1/fortnight per ip", "1/367d per ip", "1/s per ip per user", "99999999999/s per ip", "1/9999999999999999999s per ip", "1/ms per ip",
	} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestLimitRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Limit{
			Count:  rapid.Int64Range(1, mostCount).Draw(t, "count"),
			Period: Duration(rapid.Int64Range(1, int64(mostPeriod/time.Second)).Draw(t, "seconds") * int64(time.Second)),
			Per:    rapid.SampledFrom(Pers()).Draw(t, "per"),
		}
		if got, err := ParseLimit(want.String()); err != nil || got != want {
			t.Fatalf("%v is written as %q and read as %v, %v", want, want.String(), got, err)
		}
	})
}

func TestSizeRoundTrip(t *testing.T) {
	for text, want := range map[string]int64{"10MB": 10e6, "64KiB": 64 << 10, "512": 512, "512B": 512, "1 GiB": 1 << 30, "1kB": 1000, "unlimited": Unlimited} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5MB", "10mb", "2TiB", "99999999999999999999", "MB", "unlimited ", "1 M B", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(1, mostSize).Draw(t, "size")
		if got, err := ParseSize(FormatSize(want)); err != nil || got != want {
			t.Fatalf("%d is written as %q and read as %d, %v", want, FormatSize(want), got, err)
		}
	})
}

func TestTemplateShape(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a/", "/a/{x}/b": "/a/{}/b", "/*": "/*", "/a/{x}/*": "/a/{}/*", "/caf%C3%A9": "/caf%C3%A9",
	} {
		tpl, err := ParseTemplate(path)
		if err != nil || tpl.Shape() != want {
			t.Errorf("%s: %q %v", path, tpl.Shape(), err)
		}
	}
	if _, err := ParseTemplate("/" + strings.Repeat("{a}/", 17)); err == nil {
		t.Error("a template with the same parameter many times is taken")
	}
}

func TestParseURL(t *testing.T) {
	for _, text := range []string{"http://u", "https://u:1/a/b", "http://127.0.0.1:9000", "https://[2001:db8::1]:443", "https://x.auth0.test/"} {
		if _, err := ParseURL(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "u", "//u", "HTTP://u", "http:u", "http:///x", "http://u:0", "http://u:", "http://u:65536", "http://a@u", "http://u?", "http://u#", "http://u/%2F",
		"http://u/a/../b", "http://u//a", "http://u\\@v", "http://u v", "http://é", "http://127.0.0.1.:x", "http://[::1", "unix:/x", "file:///etc", "http://u/{a}/*", "http://*.u",
	} {
		if u, err := ParseURL(text); err == nil {
			t.Errorf("%q is taken as %v", text, u)
		}
	}
}

// One issuer under two names, for two audiences, is verified once: a token that one API has
// let in is not read in another way at the next.
func TestOneIssuerUnderTwoNames(t *testing.T) {
	for name, c := range map[string]struct {
		second Issuer
		fine   bool
	}{
		"another audience":  {Issuer{}, true},
		"other scopes":      {Issuer{Claims: ClaimNames{Scopes: "scope"}}, false},
		"other claims":      {Issuer{Claims: ClaimNames{Groups: "roles"}}, false},
		"other algorithms":  {Issuer{Algorithms: []string{"ES256"}}, false},
		"opaque tokens":     {Issuer{Tokens: TokensOpaque, ClientID: "g", ClientSecret: "s", Claims: ClaimNames{Groups: "roles"}}, true},
		"of both kinds":     {Issuer{Tokens: TokensBoth, ClientID: "g", ClientSecret: "s", Claims: ClaimNames{Groups: "roles"}}, false},
		"another of course": {Issuer{URL: "https://b.test", Claims: ClaimNames{Groups: "roles"}}, true},
	} {
		c.second.Name, c.second.Audience = "second", []string{"api://b"}
		if c.second.URL == "" {
			c.second.URL = "https://a.test"
		}
		s := Snapshot{Issuers: []Issuer{{Name: "first", URL: "https://a.test", Audience: []string{"api://a"}}, c.second}}
		if f := s.Check(Rules{}); (len(f) == 0) != c.fine {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// Attack gateway 73: what a route says can only tighten what its API says, and
// what nobody would enforce is no setting.
func TestRoutesOnlyTighten(t *testing.T) {
	valid := func(change func(*API, *Route)) []Finding {
		a := API{Name: "a", Auth: []string{"i"}, MaxBody: 1000, Limits: []Limit{{10, Duration(time.Second), PerIP}}, Upstream: Upstream{Targets: []string{"http://u"}}}
		r := Route{Method: "GET", Path: "/x", Scopes: [][]string{{"s"}}}
		change(&a, &r)
		a.Routes = []Route{r}
		s := Snapshot{Issuers: []Issuer{{Name: "i", Builtin: "default"}}, APIs: []API{a}}
		return s.Check(Rules{})
	}
	if f := valid(func(*API, *Route) {}); len(f) > 0 {
		t.Fatalf("refused: %v", f)
	}
	for name, change := range map[string]func(*API, *Route){
		"larger body":       func(_ *API, r *Route) { r.MaxBody = 1001 },
		"any body":          func(_ *API, r *Route) { r.MaxBody = Unlimited },
		"higher limit":      func(_ *API, r *Route) { r.Limits = []Limit{{11, Duration(time.Second), PerIP}} },
		"public with scope": func(_ *API, r *Route) { r.Public = true },
		"public with group": func(_ *API, r *Route) { r.Public, r.Scopes, r.Groups = true, nil, []string{"g"} },
		"empty set":         func(_ *API, r *Route) { r.Scopes = append(r.Scopes, nil) },
		"wider set":         func(_ *API, r *Route) { r.Scopes = [][]string{{"s"}, {"s", "t"}} },
		"no issuer":         func(a *API, _ *Route) { a.Auth = nil },
		"public issuer":     func(a *API, _ *Route) { a.Auth = []string{Public} },
		"public too":        func(a *API, _ *Route) { a.Auth = append(a.Auth, Public) },
		"public with when":  func(_ *API, r *Route) { r.Public, r.Scopes, r.When = true, nil, "true" },
		"mfa":               func(_ *API, r *Route) { r.MFA = 1 },
		"acr":               func(_ *API, r *Route) { r.ACR = []string{"phr high"} },
		"acr twice":         func(_ *API, r *Route) { r.ACR = []string{"phr", "phr"} },
		"acr with a quote":  func(_ *API, r *Route) { r.ACR = []string{`a"b`} },
		"amr":               func(_ *API, r *Route) { r.AMR = []string{""} },
		"max_age":           func(_ *API, r *Route) { r.MaxAge = Duration(1500 * time.Millisecond) },
		"idle max_age":      func(_ *API, r *Route) { r.MFA, r.MaxAge = Duration(time.Minute), Duration(time.Hour) },
		"public with mfa":   func(_ *API, r *Route) { r.Public, r.Scopes, r.MFA = true, nil, Duration(time.Minute) },
		"public with acr":   func(_ *API, r *Route) { r.Public, r.Scopes, r.ACR = true, nil, []string{"phr"} },
		"zones":             func(_ *API, r *Route) { r.Zones = []string{"z"} },
	} {
		if f := valid(change); len(f) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string]func(*API, *Route){
		"smaller body": func(_ *API, r *Route) { r.MaxBody = 999 },
		"lower limit":  func(_ *API, r *Route) { r.Limits = []Limit{{9, Duration(time.Second), PerIP}} },
		"other limit":  func(_ *API, r *Route) { r.Limits = []Limit{{11, Duration(time.Minute), PerIP}} },
		"public alone": func(_ *API, r *Route) { r.Public, r.Scopes = true, nil },
		"fresh sign-in": func(_ *API, r *Route) {
			r.MFA, r.MaxAge, r.ACR, r.AMR = Duration(time.Hour), Duration(time.Minute), []string{"phr", "urn:okta:loa:2fa:any"}, []string{"hwk"}
		},
		"any caller": func(_ *API, r *Route) { r.Scopes = nil },
	} {
		if f := valid(change); len(f) > 0 {
			t.Errorf("%s: %s %v", name, f[0].Path, f[0].Err)
		}
	}
}
