package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/client"
)

// echoUpstream answers with what reached it, as the demo service does.
func echoUpstream(t *testing.T, header http.Header) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "headers": r.Header})
	}))
	t.Cleanup(s.Close)
	return s
}

const twoScopes = `version: 1
issuers:
  default: { builtin: default }
apis:
  a:
    base_path: /a
    upstream: %s
    auth: default
    routes:
      GET /orders/{id}: orders:read
      GET /orders/special: orders:special
      POST /orders/{id}: orders:write
      GET /me/*: orders:read
`

// Attack gateway 31, 32: there is no cache of decisions to confuse. The same token
// is decided anew for each path and method, however often it was let through.
func TestNoVerdictOutlivesItsRequest(t *testing.T) {
	p := start(t, write(t, fmt.Sprintf(twoScopes, echoUpstream(t, nil).URL)))
	token := p.token("orders:read")
	for range 3 {
		for _, c := range []struct {
			method, path string
			status       int
		}{
			{"GET", "/a/orders/1", 200},
			{"GET", "/a/orders/2", 200},
			{"GET", "/a/orders/special", 403},
			{"POST", "/a/orders/1", 403},
			{"GET", "/a/orders/1", 200},
		} {
			if a := p.call(c.method, c.path, token); a.Status != c.status {
				t.Errorf("%s %s: %d, want %d", c.method, c.path, a.Status, c.status)
			}
		}
	}
}

// Attack gateway 33-35: nothing is cached, however much the upstream invites it;
// whoever comes next is asked for a token. The setting that would cache is refused.
func TestNoResponseIsServedTwice(t *testing.T) {
	var served atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		fmt.Fprintf(w, "answer %d for %s", served.Add(1), r.Header.Get("X-Client-ID"))
	}))
	defer up.Close()
	text := fmt.Sprintf(twoScopes, up.URL)
	p := start(t, write(t, text))
	token := p.token("orders:read")
	first := p.call("GET", "/a/me/profile.css", token)
	if first.Status != http.StatusOK {
		t.Fatalf("%d", first.Status)
	}
	if again := p.call("GET", "/a/me/profile.css", token); again.Body == first.Body {
		t.Error("the answer came from a cache")
	}
	for _, header := range [][]string{{}, {"X-Forwarded-Host", "evil.test"}, {"X-HTTP-Method-Override", "POST"}, {"Vary", "*"}} {
		if a := p.call("GET", "/a/me/profile.css", "", header...); a.Status != http.StatusUnauthorized {
			t.Errorf("somebody without a token and %v is answered %d", header, a.Status)
		}
	}
	for _, path := range []string{"/a/me;x=.js", "/a/me%2f..%2fstatic.css"} {
		if a := p.call("GET", path, token); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	if _, err := tryStart(t, write(t, text+"    cache: 1m\n")); err == nil || !strings.Contains(err.Error(), "cache") {
		t.Errorf("a setting that is not enforced was accepted: %v", err)
	}
}

// Attack gateway 40: what is left after the base path is stripped is what was
// matched; nothing that means another path gets through.
func TestStrippedPathIsTheMatchedPath(t *testing.T) {
	p := start(t, write(t, fmt.Sprintf(twoScopes, echoUpstream(t, nil).URL)))
	token := p.token("orders:read")
	for path, want := range map[string]string{
		"/a/orders/1": "/orders/1", "/a/orders/a%20b": "/orders/a%20b", "/a/me/x/y": "/me/x/y", "/a/orders/1?x=/a/admin": "/orders/1",
	} {
		a := p.call("GET", path, token)
		if a.Status != http.StatusOK || a.json(t)["path"] != want {
			t.Errorf("%s: %d, the upstream saw %v, want %s", path, a.Status, a.Body, want)
		}
	}
	for _, path := range []string{"/a/a/orders/1", "/a../orders/1", "/a/../a/orders/1", "/a//orders/1", "/aa/orders/1", "/a/orders%2f1", "/a/orders/..%2f1", "/a/orders/%2e%2e/x"} {
		if a := p.call("GET", path, token); a.Status == http.StatusOK {
			t.Errorf("%s reached the upstream: %s", path, a.Body)
		}
	}
}

// A decider outside that is not described, and conditions, zones and policies that
// could not be enforced as they are written, are refused and not ignored.
func TestWhatIsNotEnforcedIsRefused(t *testing.T) {
	base := fmt.Sprintf(twoScopes, "http://127.0.0.1:9")
	for name, extra := range map[string]string{
		"a wrong condition":   "      PUT /x: { scopes: [a], when: 'context.headers.role == \"user\"' }\n",
		"an unknown zone":     "      PUT /x: { scopes: [a], zones: [office] }\n",
		"an external decider": "    authorize: http://127.0.0.1:9/decide\n",
		"a policy to permit":  "policies:\n  p: permit (principal, action, resource);\n",
		"client certificates": "  x: { upstream: http://127.0.0.1:9, auth: mtls, routes: { GET /: a } }\n",
	} {
		if _, err := tryStart(t, write(t, base+extra)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// Attack gateway 73: a route cannot take away what its API asks for, and nothing
// unknown is accepted.
func TestConfigurationOnlyTightens(t *testing.T) {
	base := fmt.Sprintf(twoScopes, "http://127.0.0.1:9")
	for name, text := range map[string]string{
		"auth at a route":   base + "      GET /x: { auth: public }\n",
		"scopes and public": base + "      GET /x: { public: true, scopes: [a] }\n",
		"unknown key":       base + "    override: allow\n",
		"no auth":           strings.Replace(base, "    auth: default\n", "", 1),
		"literal secret":    strings.Replace(base, "{ builtin: default }", "{ url: https://x.test, audience: a, tokens: opaque, client_id: a, client_secret: hunter2 }", 1),
	} {
		if _, err := tryStart(t, write(t, text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// Attack gateway 66: nothing that administers answers without a token, and nothing
// has a token that somebody could guess.
func TestAdministrationNeedsAToken(t *testing.T) {
	p := start(t, "")
	for _, base := range []string{p.Ready().Console, p.Ready().Identity} {
		for _, path := range []string{"/status", "/apps", "/keys", "/changes", "/export", "/tail"} {
			for _, token := range []string{"", "admin", "changeme", p.token("vacations:read")} {
				var header []string
				if token != "" {
					header = []string{"Authorization", "SSWS " + token}
				}
				if a := p.request(http.MethodGet, base+"/gatehouse/v1"+path, "", "", header...); a.Status != http.StatusUnauthorized {
					t.Errorf("%s%s with %q: %d", base, path, token, a.Status)
				}
			}
		}
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/gatehouse/v1/status", "", "", "Authorization", "SSWS "+p.Ready().APIToken); a.Status != http.StatusOK {
		t.Errorf("with the token: %d %s", a.Status, a.Body)
	}
	// The gateway's own listener serves none of it.
	for _, path := range []string{"/gatehouse/v1/status", "/metrics", "/readyz", "/docs/reasons/no_token", "/oauth2/default/v1/keys"} {
		if a := p.call(http.MethodGet, path, ""); a.Status != http.StatusNotFound {
			t.Errorf("the gateway listener answers %s with %d", path, a.Status)
		}
	}
	// A page elsewhere whose name was made to point here does not reach the console.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Ready().Console+"/metrics", nil)
	req.Host = "evil.test"
	res, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("the console answers another host with %d", res.StatusCode)
	}
}

// Attack gateway 70: whatever is under way when a token is revoked, nothing that
// starts after the call has returned gets through.
func TestRevocationRacesWithRequests(t *testing.T) {
	p := start(t, "")
	token := p.token("vacations:read")
	var revoked atomic.Bool
	var late atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				after := revoked.Load()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Ready().Gateway+"/hr/vacations/ana", nil)
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := p.http.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if after && res.StatusCode == http.StatusOK {
					late.Add(1)
				}
			}
		})
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, token)}); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	for range 200 {
		if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status == http.StatusOK {
			t.Fatal("a revoked token was let through")
		}
	}
	close(stop)
	wg.Wait()
	if n := late.Load(); n > 0 {
		t.Errorf("%d requests that began after the revocation were let through", n)
	}
}

// Attack gateway 72: secrets that go through the program are in nothing that it
// writes: logs, metrics, errors, explanations, files, database.
func TestNoSecretIsWrittenDown(t *testing.T) {
	p := start(t, "")
	d := p.Ready().Demo
	token := p.token("vacations:read")
	tampered := token[:len(token)-8] + "CANARYzz"
	canaries := []string{
		"canary-cookie", "canary-query", "canary-body", "canary-basic", "CANARYzz",
		token, strings.Split(token, ".")[2], d.ClientSecret, p.Ready().APIToken, d.Users[0].Password,
	}
	shown := ""
	for _, tok := range []string{token, tampered, "canary-basic"} {
		a := p.request(http.MethodGet, p.Ready().Gateway+"/hr/vacations/ana?access_token=canary-query&x="+tok, tok, "", "Cookie", "sid=canary-cookie")
		if a.Status != http.StatusOK {
			shown += a.Body + fmt.Sprint(a.Header)
		}
		id := a.Header.Get("X-Request-Id")
		dec, err := p.decision(id)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(dec)
		shown += string(b)
	}
	a := p.request(http.MethodPost, d.Issuer+"/v1/token", "", "grant_type=client_credentials&client_id="+d.ClientID+"&client_secret=canary-body&scope=x", "Content-Type", "application/x-www-form-urlencoded")
	shown += a.Body
	a = p.request(http.MethodGet, p.Ready().Console+"/gatehouse/v1/status", "", "", "Authorization", "SSWS canary-basic")
	shown += a.Body
	for _, path := range []string{"/metrics", "/readyz?verbose", "/livez"} {
		shown += p.request(http.MethodGet, p.Ready().Console+path, "", "").Body
	}
	conf, err := p.admin().Export(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	shown += string(conf)
	data := p.data
	p.stop()
	shown += p.err.String()
	for _, c := range canaries {
		if strings.Contains(shown, c) {
			t.Errorf("%.20q... is in an answer or the log", c)
		}
	}
	err = filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, c := range canaries {
			if strings.Contains(string(b), c) {
				t.Errorf("%.20q... is in %s", c, filepath.Base(path))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
