package relying

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/relying/issuertest"
)

func TestSignInAndComeBack(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	res := b.get(LoginURL(e.Path(), "/orders?page=2&q=a%20b", "", ""))
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.String(), e.issuer.URL+"/authorize?") {
		t.Fatalf("%d %v", res.StatusCode, to)
	}
	q := to.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": e.issuer.ClientID, "scope": "openid offline_access orders:read", "code_challenge_method": "S256",
		"redirect_uri": e.site.URL + "/.gatehouse/okta/callback",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if len(q.Get("state")) != 43 || len(q.Get("nonce")) != 43 || q.Get("nonce") == q.Get("state") {
		t.Errorf("state %q, nonce %q", q.Get("state"), q.Get("nonce"))
	}
	flow := res.Cookies()
	if len(flow) != 1 || !strings.HasPrefix(flow[0].Name, "__Host-gatehouse-flow-") || flow[0].MaxAge != 600 {
		t.Errorf("cookies: %v", flow)
	}
	res = b.get(b.get(to.String()).Header.Get("Location"))
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/orders?page=2&q=a%20b" {
		t.Fatalf("back: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	for _, c := range append(res.Cookies(), flow...) {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %s: %+v", c.Name, c)
		}
	}
	if got := b.cookies(); len(got) != 1 || got[0] != "__Host-gatehouse-session-okta" {
		t.Errorf("the browser keeps %v", got)
	}
	if res := b.get("/orders"); res.body != "ana at /orders" {
		t.Errorf("signed in: %d %s", res.StatusCode, res.body)
	}
	raw, expired, due := b.session().Access(e.clock.now(), true)
	if len(raw) == 0 || expired || due || strings.Contains(b.cookie(), string(raw)) {
		t.Errorf("the access token: %d bytes, %v %v", len(raw), expired, due)
	}
}

// Who holds the state and the code, but not the browser that began, gets nothing; nor
// does who comes a second time.
func TestFlowsAreBoundToTheBrowserAndSingleUse(t *testing.T) {
	e := newEdge(t, nil)
	mine := e.browser()
	back := mine.begin(e.Path() + "login")
	if res := e.browser().get(back); res.StatusCode != http.StatusBadRequest || len(res.Cookies()) != 0 {
		t.Errorf("another browser: %d %v", res.StatusCode, res.Cookies())
	}
	other := e.browser() // has a flow of its own
	otherBack := other.begin(e.Path() + "login")
	if res := other.get(back); res.StatusCode != http.StatusBadRequest {
		t.Errorf("another browser with a flow of its own: %d", res.StatusCode)
	}
	// Its own state with a code of mine: the nonce and the verifier are not those.
	mixed, _ := url.Parse(otherBack)
	theirs, _ := url.Parse(back)
	q := mixed.Query()
	q.Set("code", theirs.Query().Get("code"))
	mixed.RawQuery = q.Encode()
	if res := other.get(mixed.String()); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a code that was injected: %d", res.StatusCode)
	}
	// A state that names the same cookie and is not the same.
	last := strings.Replace(back, theirs.Query().Get("state"), theirs.Query().Get("state")[:42]+"_", 1)
	if last == back {
		last = strings.Replace(back, theirs.Query().Get("state"), theirs.Query().Get("state")[:42]+"-", 1)
	}
	if res := mine.get(last); res.StatusCode != http.StatusBadRequest || mine.session() != nil {
		t.Errorf("a state that begins alike: %d", res.StatusCode)
	}
	u, _ := url.Parse(e.site.URL)
	kept := mine.c.Jar.Cookies(u)
	if res := mine.get(back); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("the browser itself: %d %s", res.StatusCode, res.body)
	}
	mine.c.Jar.SetCookies(u, kept) // somebody has kept the cookie of the flow
	if res := mine.get(back); res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, "ended already") {
		t.Errorf("again: %d %s", res.StatusCode, res.body)
	}
	if n := e.issuer.Count("grant authorization_code"); n != 2 {
		t.Errorf("%d codes were sent to the issuer", n)
	}
}

// Several tabs sign in at once; each comes back to its own page.
func TestTabsDoNotDisturbEachOther(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	one, two := b.begin(LoginURL(e.Path(), "/one", "", "")), b.begin(LoginURL(e.Path(), "/two", "", ""))
	for back, want := range map[string]string{two: "/two", one: "/one"} {
		if res := b.get(back); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want {
			t.Errorf("%s: %d to %s", want, res.StatusCode, res.Header.Get("Location"))
		}
	}
	for range 20 {
		b.get(e.Path() + "login")
	}
	if n := len(b.cookies()); n > mostFlow+1 {
		t.Errorf("the browser carries %d cookies", n)
	}
}

// What the issuer sends back is held against what was begun.
func TestAnswersOfTheIssuerThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*issuertest.Script)
		status int
	}{
		"another issuer (RFC 9207)":   {func(s *issuertest.Script) { s.Answer = url.Values{"iss": {"https://evil.test"}} }, 400},
		"no issuer, though announced": {func(s *issuertest.Script) { s.Answer = url.Values{"iss": nil} }, 400},
		"a parameter twice":           {func(s *issuertest.Script) { s.Answer = url.Values{"code": {"a", "b"}} }, 400},
		"no state":                    {func(s *issuertest.Script) { s.Answer = url.Values{"state": nil} }, 400},
		"another state":               {func(s *issuertest.Script) { s.Answer = url.Values{"state": {strings.Repeat("x", 43)}} }, 400},
		"no code":                     {func(s *issuertest.Script) { s.Answer = url.Values{"code": nil} }, 400},
		"a refusal":                   {func(s *issuertest.Script) { s.Answer = url.Values{"code": nil, "error": {"access_denied"}} }, 403},
		"an error with markup":        {func(s *issuertest.Script) { s.Answer = url.Values{"error": {"<script>x</script>"}} }, 400},
		"the token endpoint is down":  {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 500} }, 503},
		"the token endpoint says no":  {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 400} }, 400},
		"no ID token":                 {func(s *issuertest.Script) { s.ID = map[string]any{"aud": nil} }, 400},
		"nonce of another sign-in":    {func(s *issuertest.Script) { s.ID = map[string]any{"nonce": "x"} }, 400},
		"no nonce":                    {func(s *issuertest.Script) { s.ID = map[string]any{"nonce": nil} }, 400},
		"for another client":          {func(s *issuertest.Script) { s.ID = map[string]any{"aud": "other"} }, 400},
		"several audiences, no azp":   {func(s *issuertest.Script) { s.ID = map[string]any{"aud": []string{"gate way:1", "other"}} }, 400},
		"azp of another client":       {func(s *issuertest.Script) { s.ID = map[string]any{"azp": "other"} }, 400},
		"of another issuer":           {func(s *issuertest.Script) { s.ID = map[string]any{"iss": "https://evil.test"} }, 400},
		"expired":                     {func(s *issuertest.Script) { s.ID = map[string]any{"exp": 1} }, 400},
		"without exp":                 {func(s *issuertest.Script) { s.ID = map[string]any{"exp": nil} }, 400},
		"of the future":               {func(s *issuertest.Script) { s.ID = map[string]any{"iat": time.Now().Add(time.Hour).Unix()} }, 400},
		"for nobody":                  {func(s *issuertest.Script) { s.ID = map[string]any{"sub": nil} }, 400},
		"of another access token":     {func(s *issuertest.Script) { s.ID = map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"} }, 400},
		"a logout token": {func(s *issuertest.Script) {
			s.ID = map[string]any{"events": map[string]any{logoutEvent: map[string]any{}}}
		}, 400},
		"an access token as ID token": {func(s *issuertest.Script) { s.ID = map[string]any{"aud": "api://test", "nonce": nil} }, 400},
		"metadata of another issuer":  {func(s *issuertest.Script) { s.Metadata = map[string]any{"issuer": "https://evil.test"} }, 503},
		"a javascript: address": {func(s *issuertest.Script) {
			s.Metadata = map[string]any{"authorization_endpoint": "javascript:alert(1)"}
		}, 503},
		"a token of a wrong kind": {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 204} }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.issuer.Set(c.script)
			b := e.browser()
			res := b.get(e.Path() + "login")
			if res.StatusCode == http.StatusSeeOther {
				res = b.get(b.get(res.Header.Get("Location")).Header.Get("Location"))
			}
			if res.StatusCode != c.status || b.cookie() != "" || e.cfg.Sessions.Len() != 0 {
				t.Errorf("%d, cookie %q, %d sessions", res.StatusCode, b.cookie(), e.cfg.Sessions.Len())
			}
			if strings.Contains(res.body, "<script>") {
				t.Errorf("the page repeats markup: %s", res.body)
			}
		})
	}
}

func TestFlowsEnd(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	back := b.begin(e.Path() + "login")
	e.clock.add(flowLife + time.Second)
	if res := b.get(back); res.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", res.StatusCode)
	}
}

// With PAR (RFC 9126) the browser carries nothing of the request but its name.
func TestPushedAuthorizationRequest(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) {
		s.Metadata = map[string]any{"pushed_authorization_request_endpoint": e.issuer.URL + "/par"}
	})
	b := e.browser()
	res := b.get(e.Path() + "login")
	to, _ := url.Parse(res.Header.Get("Location"))
	q := to.Query()
	if len(q) != 2 || q.Get("client_id") != e.issuer.ClientID || !strings.HasPrefix(q.Get("request_uri"), "urn:request:") {
		t.Fatalf("the browser carries %v", q)
	}
	if res := b.get(b.get(to.String()).Header.Get("Location")); res.StatusCode != http.StatusSeeOther || b.session() == nil {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

// client_secret_post where the issuer takes nothing else, and no secret at all for a
// public client.
func TestClientAuthentication(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) {
		s.Metadata = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
	})
	if res := e.browser().signIn("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("client_secret_post: %d", res.StatusCode)
	}
	e = newEdge(t, func(c *Config) { c.Secret = "" })
	e.issuer.Secret = ""
	if res := e.browser().signIn("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("public: %d", res.StatusCode)
	}
	e = newEdge(t, func(c *Config) { c.Secret = "wrong" })
	if res := e.browser().signIn("/"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a wrong secret: %d", res.StatusCode)
	}
}

// attack identity 61: the name of the session changes when the person signs in again,
// and when they do so more strongly; the old one is worth nothing then.
func TestSessionIsRenamedAtEachSignIn(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	first := b.cookie()
	e.issuer.Set(func(s *issuertest.Script) { s.ACR, s.AMR = "phr", []string{"pwd", "hwk"} })
	b.get(b.begin(LoginURL(e.Path(), "/pay", "phr", "300")))
	second := b.session()
	if b.cookie() == first || second == nil || e.Find([]byte(first), e.clock.now()) != nil || e.cfg.Sessions.Len() != 1 {
		t.Fatalf("%d sessions", e.cfg.Sessions.Len())
	}
	last := e.issuer.Logins()[1]
	if last.Get("acr_values") != "phr" || last.Get("max_age") != "300" {
		t.Errorf("asked for %v", last)
	}
	if what, at := second.Asked(); what != "phr|300" || !at.Equal(e.clock.now()) || second.signIn.ACR != "phr" || second.signIn.AMR[1] != "hwk" {
		t.Errorf("%q at %v: %+v", what, at, second.signIn)
	}
	// A cookie that somebody has planted names nobody, and is not adopted.
	planted := e.browser()
	u, _ := url.Parse(e.site.URL)
	planted.c.Jar.SetCookies(u, []*http.Cookie{{Name: e.Cookie(), Value: strings.Repeat("A", 43), Path: "/", Secure: true}})
	planted.signIn("/")
	if planted.cookie() == strings.Repeat("A", 43) || planted.session() == nil {
		t.Error("a planted session id was adopted")
	}
}

// A sign-in that is older than was asked for does not count (attack gateway 76).
func TestMaxAgeIsCheckedAfterwards(t *testing.T) {
	for name, script := range map[string]func(*issuertest.Script){
		"older":   func(s *issuertest.Script) { s.AuthAge = time.Hour },
		"missing": func(s *issuertest.Script) { s.ID = map[string]any{"auth_time": nil} },
	} {
		e := newEdge(t, nil)
		e.issuer.Set(script)
		b := e.browser()
		if res := b.get(b.begin(LoginURL(e.Path(), "/", "", "300"))); res.StatusCode != http.StatusBadRequest || b.session() != nil {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

func TestLoginIsAPageOverHTTPS(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	if res := b.send(http.MethodGet, e.Path()+"login", "", "Sec-Fetch-Dest", "image"); res.StatusCode != http.StatusBadRequest || len(res.Cookies()) != 0 {
		t.Errorf("as an image: %d", res.StatusCode)
	}
	for _, c := range []struct {
		scheme, host string
		ok           bool
	}{{"https", "app.test", true}, {"http", "app.test", false}, {"http", "localhost:8080", true}, {"http", "127.0.0.1:1", true}, {"http", "[::1]:1", true}, {"http", "localhost.evil.test", false}, {"http", "127.0.0.1.evil.test", false}, {"https", "", false}} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.Scheme, r.URL.Host = c.scheme, c.host
		if _, err := origin(r); (err == nil) != c.ok {
			t.Errorf("%s://%s: %v", c.scheme, c.host, err)
		}
	}
}

// attack gateway 75: nothing that a return address may hold leads to another origin.
func FuzzSafeReturn(f *testing.F) {
	for _, s := range []string{
		"/", "/a?b=c", "//evil.test", "/\\evil.test", "\\\\evil.test", "https://evil.test", "/%2f/evil.test", "/\t/evil.test", "javascript:alert(1)",
		"/.gatehouse/okta/login", "/..//evil.test", "/a#b", "", "/é", "/.//evil.test", "///evil.test", "/@evil.test", strings.Repeat("/a", 2000),
	} {
		f.Add(s)
	}
	base, _ := url.Parse("https://app.test/.gatehouse/okta/callback")
	f.Fuzz(func(t *testing.T, s string) {
		got := safeReturn(s)
		u, err := base.Parse(got)
		if err != nil && got != s {
			t.Fatalf("%q: %v", got, err)
		}
		if err == nil && (u.Host != "app.test" || u.Scheme != "https") || strings.HasPrefix(got, "//") || got[0] != '/' || strings.ContainsAny(got, "\\\r\n\t ") || strings.HasPrefix(got, Prefix) {
			t.Errorf("%q leads to %v", s, u)
		}
	})
}

func TestSafeReturnKeepsWhatIsSafe(t *testing.T) {
	for in, want := range map[string]string{
		"/orders?page=2&q=a%20b": "/orders?page=2&q=a%20b", "/a/../b": "/a/../b", "": "/", "orders": "/", "//evil.test/": "/", "/\\evil.test": "/",
		"https://evil.test/": "/", "/.gatehouse/okta/login": "/", "/" + strings.Repeat("a", maxReturn): "/", "/a\r\nSet-Cookie: x": "/",
	} {
		if got := safeReturn(in); got != want {
			t.Errorf("%.40q: %.40q, want %.40q", in, got, want)
		}
	}
}

func TestHalfHash(t *testing.T) {
	sum := sha256.Sum256([]byte("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"))
	// The example of OpenID Connect Core 1.0, appendix A.4.
	if got := halfHash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"); got != "77QmUPtjPfzWtF2AnpK9RQ" || got != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		t.Error(got)
	}
}
