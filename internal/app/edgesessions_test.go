package app_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/relying/issuertest"
)

const edgeAPI = `version: 1
server:
  gateway: { tls: { cert: %s, key: %s } }
issuers:
  okta:
    url: %s
    audience: api://test
    client_id: "gate way:1"
    client_secret: ${env:OKTA_SECRET}
apis:
  shop:
    base_path: /shop
    upstream: %s
    auth: session
    routes:
      GET  /orders/*: orders:read
      POST /orders:   orders:read
      GET  /pay:      { scopes: orders:read, mfa: 5m }
      GET  /strong:   { acr: phr }
      GET  /admin:    orders:admin
      GET  /free:     public
  machines:
    base_path: /machines
    upstream: %s
    auth: [session, okta]
    routes: { "* /*": {} }
  open:
    base_path: /open
    upstream: %s
    auth: public
    routes: { GET /*: public }
`

// site is the program as browsers meet it, over TLS.
type site struct {
	*program
	issuer *issuertest.Issuer
	tls    *tls.Config
	up     *httptest.Server
}

func newSite(t *testing.T, opts ...startOption) *site {
	t.Helper()
	s := &site{issuer: issuertest.New(t)}
	s.issuer.Set(func(c *issuertest.Script) { c.Access = map[string]any{"scp": []string{"orders:read"}} })
	s.up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-gatehouse-session-okta", Value: "planted", Path: "/", Secure: true})
		w.Header().Add("Set-Cookie", "=__Host-gatehouse-session-okta=planted; Path=/; Secure") // browsers send it back as the one above
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark", Path: "/", Secure: true})
		_ = json.NewEncoder(w).Encode(map[string]any{"cookie": r.Header.Get("Cookie"), "user": r.Header.Get("X-User-Id"), "auth": r.Header.Get("Authorization"), "uri": r.RequestURI})
	}))
	t.Cleanup(s.up.Close)
	cert, key, pool := selfSigned(t)
	s.tls = &tls.Config{RootCAs: pool}
	file := write(t, fmt.Sprintf(edgeAPI, cert, key, s.issuer.URL, s.up.URL, s.up.URL, s.up.URL))
	s.program = start(t, file, append(opts, withEnv(map[string]string{"OKTA_SECRET": s.issuer.Secret}))...)
	return s
}

// visitor is one browser, on one lane.
type visitor struct {
	s *site
	c *http.Client
	t *testing.T
}

func (s *site) visitor(t *testing.T, protocol string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var p http.Protocols
	p.SetHTTP1(protocol == "http/1.1")
	p.SetHTTP2(protocol == "h2")
	tr := &http.Transport{TLSClientConfig: s.tls.Clone(), Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &visitor{s, &http.Client{Transport: tr, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t}
}

func (p *visitor) send(method, address string, header ...string) answer {
	p.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = p.s.Ready().Gateway + address
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := p.c.Do(r)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, address, err, p.s.err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// open is a navigation, with everything that it leads to.
func (p *visitor) open(address string) (answer, []string) {
	p.t.Helper()
	var way []string
	for range 10 {
		a := p.send(http.MethodGet, address, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
		if a.Status != http.StatusSeeOther {
			return a, way
		}
		at, err := url.Parse(address)
		if err != nil {
			p.t.Fatal(err)
		}
		if at.Host == "" {
			at, _ = url.Parse(p.s.Ready().Gateway + address)
		}
		next, err := at.Parse(a.Header.Get("Location"))
		if err != nil {
			p.t.Fatal(err)
		}
		address = next.String()
		way = append(way, next.Path)
	}
	p.t.Fatalf("the browser is sent round and round: %v", way)
	return answer{}, nil
}

func (p *visitor) names() (list []string) {
	u, _ := url.Parse(p.s.Ready().Gateway)
	for _, c := range p.c.Jar.Cookies(u) {
		list = append(list, c.Name)
	}
	return list
}

func onBothLanes(t *testing.T, s *site, test func(t *testing.T, p *visitor)) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) { test(t, s.visitor(t, protocol)) })
	}
}

// A person opens a page, signs in at the issuer, and is where they wanted to be. The
// page's scripts go on with the cookie alone; upstreams see neither it nor a token.
func TestBrowserSignsInThroughTheProgram(t *testing.T) {
	s := newSite(t)
	onBothLanes(t, s, func(t *testing.T, p *visitor) {
		a, way := p.open("/shop/orders/7?view=full&x=%2e")
		if a.Status != http.StatusOK || strings.Join(way, " ") != "/.gatehouse/okta/login /authorize /.gatehouse/okta/callback /shop/orders/7" {
			t.Fatalf("%d %s by way of %v\n%s", a.Status, a.Body, way, s.err)
		}
		got := a.json(t)
		if got["user"] != "ana" || got["cookie"] != "" || got["auth"] != "" || got["uri"] != "/orders/7?view=full&x=%2e" {
			t.Errorf("the upstream got %v", got)
		}
		if names := p.names(); len(names) != 2 || names[0] != "__Host-gatehouse-session-okta" || names[1] != "theme" {
			t.Errorf("the browser has %v", names)
		}
		for _, path := range []string{"/shop/orders/8", "/machines/x", "/open/x", "/shop/free"} {
			a := p.send(http.MethodGet, path, "Sec-Fetch-Site", "same-origin")
			if a.Status != http.StatusOK || a.json(t)["cookie"] != "theme=dark" || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), " "), "planted") {
				t.Errorf("%s: %d, the upstream got the cookies %s", path, a.Status, a.Body)
			}
		}
		if a := p.send(http.MethodGet, "/shop/admin", "Sec-Fetch-Mode", "cors"); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "missing_scope") {
			t.Errorf("a scope that the session has not: %d %s", a.Status, a.Body)
		}
	})
}

// Scripts are not sent anywhere: they are told where a person can sign in.
func TestScriptsAreToldWhereToSignIn(t *testing.T) {
	s := newSite(t)
	onBothLanes(t, s, func(t *testing.T, p *visitor) {
		for _, header := range [][]string{{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, {"Accept", "application/json"}, {"X-Requested-With", "XMLHttpRequest", "Accept", "text/html"}, {}} {
			a := p.send(http.MethodGet, "/shop/orders/7", header...)
			if a.Status != http.StatusUnauthorized || a.json(t)["login"] != "/.gatehouse/okta/login" || a.json(t)["reason"] != "no_token" {
				t.Errorf("%v: %d %s", header, a.Status, a.Body)
			}
		}
		a := p.send(http.MethodPost, "/shop/orders", "Sec-Fetch-Mode", "navigate", "Accept", "text/html")
		if a.Status != http.StatusUnauthorized {
			t.Errorf("a form that is sent without a session: %d", a.Status)
		}
		a = p.send(http.MethodGet, "/shop/orders/7", "Cookie", "__Host-gatehouse-session-okta="+strings.Repeat("A", 43))
		if a.Status != http.StatusUnauthorized || a.json(t)["reason"] != "session_ended" {
			t.Errorf("a cookie of nobody: %d %s", a.Status, a.Body)
		}
	})
}

// attack gateway 64 and its kin: what another site makes the browser send has no effect.
func TestOtherSitesCannotUseTheSession(t *testing.T) {
	s := newSite(t)
	onBothLanes(t, s, func(t *testing.T, p *visitor) {
		p.open("/shop/orders/1")
		own := s.Ready().Gateway
		for _, c := range []struct {
			header []string
			ok     bool
		}{
			{[]string{"Sec-Fetch-Site", "same-origin"}, true},
			{[]string{"Origin", own}, true},
			{[]string{"Origin", strings.ToUpper(own)}, false}, // a scheme is lower-case
			{[]string{"Sec-Fetch-Site", "cross-site"}, false},
			{[]string{"Sec-Fetch-Site", "same-site"}, false},
			{[]string{"Sec-Fetch-Site", "cross-site", "Origin", own}, false},
			{[]string{"Origin", "https://evil.test"}, false},
			{[]string{"Origin", "null"}, false},
			{[]string{"Origin", own + ".evil.test"}, false},
			{[]string{"Origin", strings.Replace(own, "https", "http", 1)}, false},
			{nil, false},
		} {
			a := p.send(http.MethodPost, "/shop/orders", c.header...)
			if c.ok && a.Status != http.StatusOK || !c.ok && (a.Status != http.StatusForbidden || a.json(t)["reason"] != "cross_site") {
				t.Errorf("%v: %d %s", c.header, a.Status, a.Body)
			}
		}
	})
	p := s.visitor(t, "http/1.1")
	p.open("/machines/1")
	for _, origin := range []string{"", "https://evil.test"} {
		header := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
		if origin != "" {
			header = append(header, "Origin", origin)
		}

		if a := p.send(http.MethodGet, "/machines/1", header...); a.Status != http.StatusForbidden || a.json(t)["reason"] != "cross_site" {
			t.Errorf("a WebSocket from %q: %d %s", origin, a.Status, a.Body)
		}
	}
}

// The same by way of a proxy that only asks: it takes Upgrade out of its question and
// opens the WebSocket all the same (attack gateway 64). What it is to pass on of the
// client's cookies is without the session.
func TestOtherSitesCannotUseTheSessionBehindAProxy(t *testing.T) {
	s := newSite(t)
	p := s.visitor(t, "http/1.1")
	p.open("/machines/1")
	u, err := url.Parse(s.Ready().Gateway)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, c := range p.c.Jar.Cookies(u) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	own := s.Ready().Gateway
	for name, c := range map[string]struct {
		header []string
		ok     bool
	}{
		"a page":                 {nil, true},
		"a WebSocket of ours":    {[]string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13", "Origin", own}, true},
		"a WebSocket of another": {[]string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13", "Origin", "https://evil.test"}, false},
		"one of nobody":          {[]string{"Sec-WebSocket-Version", "13"}, false},
		"one by its mode":        {[]string{"Sec-Fetch-Mode", "websocket"}, false},
	} {
		a := s.request(http.MethodGet, s.Ready().Console+"/authz/forward", "", "", append([]string{
			"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/machines/1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", u.Host, "X-Forwarded-For", "192.0.2.9",
			"Cookie", strings.Join(cookies, "; "),
		}, c.header...)...)
		if c.ok && a.Status != http.StatusOK || !c.ok && (a.Status != http.StatusForbidden || a.json(t)["reason"] != "cross_site") {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if got := a.Header.Get("Cookie"); c.ok && got != "theme=dark" {
			t.Errorf("%s: the upstream would get the cookies %q", name, got)
		}
	}
}

// A token that a program sends counts for more than a cookie, where tokens are taken;
// where they are not, it is none.
func TestTokensAndSessionsSideBySide(t *testing.T) {
	s := newSite(t)
	p := s.visitor(t, "http/1.1")
	now := time.Now().Unix()
	token := s.issuer.Sign("at+jwt", map[string]any{"iss": s.issuer.URL, "aud": "api://test", "sub": "robot", "uid": "robot", "exp": now + 600, "iat": now})
	if a := p.send(http.MethodPost, "/machines/1", "Authorization", "Bearer "+token); a.Status != http.StatusOK || a.json(t)["user"] != "robot" {
		t.Errorf("a token: %d %s", a.Status, a.Body)
	}
	if a := p.send(http.MethodGet, "/shop/orders/1", "Authorization", "Bearer "+token); a.Status != http.StatusUnauthorized {
		t.Errorf("a token where only sessions count: %d", a.Status)
	}
	p.open("/machines/1")
	if a := p.send(http.MethodGet, "/machines/1", "Authorization", "Bearer "+token); a.json(t)["user"] != "robot" {
		t.Errorf("both: %d %s", a.Status, a.Body)
	}
	if a := p.send(http.MethodGet, "/machines/1", "Authorization", "Bearer x"); a.Status != http.StatusUnauthorized {
		t.Errorf("a bad token beside a good cookie: %d %s", a.Status, a.Body)
	}
	if a := p.send(http.MethodGet, "/machines/1"); a.json(t)["user"] != "ana" {
		t.Errorf("the cookie: %d %s", a.Status, a.Body)
	}
	// An ID token is none of the access tokens that the API takes.
	id := s.issuer.Sign("JWT", map[string]any{"iss": s.issuer.URL, "aud": "api://test", "sub": "robot", "nonce": "n", "exp": now + 600, "iat": now})
	if a := p.send(http.MethodGet, "/machines/1", "Authorization", "Bearer "+id); a.Status != http.StatusUnauthorized {
		t.Errorf("an ID token: %d", a.Status)
	}
}

// attack gateway 75, 77, 78: a stronger sign-in is asked for, what was achieved is
// looked at, and a browser whose issuer does not achieve it is not sent round for ever.
func TestStepUpOfABrowser(t *testing.T) {
	s := newSite(t)
	onBothLanes(t, s, func(t *testing.T, p *visitor) {
		s.issuer.Set(func(c *issuertest.Script) { c.ACR, c.AMR = "", []string{"pwd"} })
		p.open("/shop/orders/1")
		if a := p.send(http.MethodGet, "/shop/pay", "Sec-Fetch-Mode", "cors"); a.Status != http.StatusUnauthorized ||
			a.json(t)["login"] != "/.gatehouse/okta/login?acr_values=urn%3Aokta%3Aloa%3A2fa%3Aany&max_age=300" || a.json(t)["reason"] != "step_up_required" {
			t.Errorf("a script: %d %s", a.Status, a.Body)
		}
		a, way := p.open("/shop/pay?sum=7")
		if a.Status != http.StatusUnauthorized || len(way) != 4 || a.json(t)["reason"] != "step_up_required" {
			t.Errorf("an issuer that does not achieve it: %d %s by way of %v", a.Status, a.Body, way)
		}
		s.issuer.Set(func(c *issuertest.Script) { c.ACR, c.AMR = "", []string{"pwd", "otp"} })
		a, way = p.open("/shop/strong") // another demand, so the browser goes again
		if a.Status != http.StatusUnauthorized || len(way) != 4 {
			t.Errorf("another class: %d by way of %v", a.Status, way)
		}
		a, way = p.open("/shop/pay?sum=7")
		if a.Status != http.StatusOK || a.json(t)["uri"] != "/pay?sum=7" || len(way) != 0 {
			t.Errorf("an issuer that does: %d %s by way of %v", a.Status, a.Body, way)
		}
		s.issuer.Set(func(c *issuertest.Script) { c.ACR = "phr" })
		if a, _ := p.open("/shop/pay"); a.Status != http.StatusOK {
			t.Errorf("again: %d", a.Status)
		}
		last := s.issuer.Logins()[len(s.issuer.Logins())-1]
		if last.Get("acr_values") != "phr" && last.Get("acr_values") != "urn:okta:loa:2fa:any" {
			t.Errorf("the issuer was asked for %v", last)
		}
	})
}

// Sessions live on over a restart; what has ended stays ended. The file gives nothing away.
func TestSessionsOutliveTheProcess(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	addr := freeAddress(t)
	s := newSite(t, withData(data), withGateway(addr))
	p, q := s.visitor(t, "http/1.1"), s.visitor(t, "http/1.1")
	p.open("/shop/orders/1")
	q.open("/shop/orders/1")
	if a := q.send(http.MethodPost, "/.gatehouse/okta/logout", "Sec-Fetch-Site", "same-origin"); a.Status != http.StatusOK {
		t.Fatalf("logout: %d %s", a.Status, a.Body)
	}
	u, _ := url.Parse(s.Ready().Gateway)
	secret := p.c.Jar.Cookies(u)[0].Value
	cert, key, pool := selfSigned(t)
	s.stop()
	file := write(t, fmt.Sprintf(edgeAPI, cert, key, s.issuer.URL, s.up.URL, s.up.URL, s.up.URL))
	s.tls.RootCAs = pool
	s.program = start(t, file, withData(data), withGateway(addr), withEnv(map[string]string{"OKTA_SECRET": s.issuer.Secret}))
	p.c.CloseIdleConnections()
	for who, want := range map[*visitor]int{p: http.StatusOK, q: http.StatusUnauthorized} {
		who.c.Transport.(*http.Transport).TLSClientConfig = s.tls.Clone()
		if a := who.send(http.MethodGet, "/shop/orders/1"); a.Status != want {
			t.Errorf("after the restart: %d, want %d", a.Status, want)
		}
	}
	kept, err := os.ReadFile(filepath.Join(data, "sessions.log"))
	if err != nil || len(kept) == 0 {
		t.Fatal(err)
	}
	for _, word := range []string{secret, "ana", "refresh-", "eyJ", s.issuer.URL} {
		if strings.Contains(string(kept), word) {
			t.Errorf("the file of sessions shows %q", word)
		}
	}
}

// Revocations by session and user, and the issuer's own logout, end the session
// before the call returns, and a renewal does not bring it back.
func TestSessionsAreRevoked(t *testing.T) {
	s := newSite(t)
	admin := s.admin()
	// Each has a session of its own, since what is revoked stays so; the person is the last.
	for i, c := range []struct {
		name string
		end  func(sid string) error
	}{
		{"session", func(sid string) error {
			return admin.Revoke(t.Context(), client.Revocation{Kind: "session", Issuer: s.issuer.URL, Value: sid})
		}},
		{"issuer's logout", func(sid string) error {
			form := url.Values{"logout_token": {s.issuer.LogoutToken(sid, nil)}}
			res, err := s.visitor(t, "http/1.1").c.PostForm(s.Ready().Gateway+"/.gatehouse/okta/backchannel-logout", form)
			if err == nil {
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", res.StatusCode)
				}
			}
			return err
		}},
		{"user", func(string) error {
			return admin.Revoke(t.Context(), client.Revocation{Kind: "user", Issuer: s.issuer.URL, Value: "ana"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sid := fmt.Sprintf("sid-%d", i)
			s.issuer.Set(func(c *issuertest.Script) { c.SID = sid })
			p := s.visitor(t, "http/1.1")
			p.open("/shop/orders/1")
			if a := p.send(http.MethodGet, "/shop/orders/1"); a.Status != http.StatusOK {
				t.Fatalf("signed in: %d %s", a.Status, a.Body)
			}
			if err := c.end(sid); err != nil {
				t.Fatal(err)
			}
			if a := p.send(http.MethodGet, "/shop/orders/1"); a.Status != http.StatusUnauthorized || a.json(t)["reason"] != "session_ended" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
}

// Explain, the record and the metrics know sessions, and none of them a secret.
func TestSessionsAreExplained(t *testing.T) {
	s := newSite(t)
	p := s.visitor(t, "http/1.1")
	a, _ := p.open("/shop/orders/1")
	d, err := s.decision(a.Header.Get("X-Request-ID"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(d)
	if !strings.Contains(string(b), "a session of "+s.issuer.URL) || !strings.Contains(string(b), "a browser's session with okta") {
		t.Errorf("the trace: %s", b)
	}
	a = p.send(http.MethodGet, "/.gatehouse/okta/callback?state=x&code=code-secret")
	if d, err = s.decision(a.Header.Get("X-Request-ID")); err != nil || d.Reason != "sign_in_failed" || d.Detail == "" || a.Status != http.StatusBadRequest {
		t.Errorf("a callback of nobody: %d %+v %v", a.Status, d, err)
	}
	m := s.request(http.MethodGet, s.Ready().Console+"/metrics", "", "")
	for _, line := range []string{`sign_ins_total{issuer="okta",outcome="signed_in"} 1`, `reason="sign_in_failed"`} {
		if !strings.Contains(m.Body, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	log, err := os.ReadFile(filepath.Join(s.data, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(s.Ready().Gateway)
	secrets := []string{"code-", "refresh-", "eyJ", s.issuer.Secret, "sealed:v1"}
	for _, c := range p.c.Jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "__Host-") {
			secrets = append(secrets, c.Value)
		}
	}
	for _, text := range []string{string(log), s.err.String(), s.out.String(), string(b)} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %.300s", secret, text)
			}
		}
	}
}
