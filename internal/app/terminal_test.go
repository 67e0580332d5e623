package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/cli"
)

// shell is a person's terminal.
type shell struct {
	t   *testing.T
	dir string
}

// run runs a command and returns what it said and its exit code.
func (s *shell) run(args ...string) (out, talk string, code int) {
	s.t.Helper()
	var o, e syncBuffer
	code = cli.Run(s.t.Context(), args, s.io(&o, &e))
	return o.String(), e.String(), code
}

func (s *shell) io(out, err *syncBuffer) cli.IO {
	return cli.IO{In: strings.NewReader(""), Out: out, Err: err, Getenv: func(k string) (string, bool) {
		if k == "GATEHOUSE_CONFIG_DIR" {
			return s.dir, true
		}
		return "", false
	}}
}

// begin runs a command that waits for somebody, and returns what it has said as soon as
// that fits, and how to wait for its end.
func (s *shell) begin(fits string, args ...string) (found string, end func() int) {
	s.t.Helper()
	var o, e syncBuffer
	done := make(chan int, 1)
	go func() { done <- cli.Run(s.t.Context(), args, s.io(&o, &e)) }()
	re := regexp.MustCompile(fits)
	eventually(s.t, "what the command says: "+e.String(), func() bool {
		found = re.FindString(e.String())
		return found != ""
	})
	return found, func() int {
		s.t.Helper()
		select {
		case code := <-done:
			if code != 0 {
				s.t.Logf("%s", e.String())
			}
			return code
		case <-time.After(60 * time.Second):
			s.t.Fatalf("%v does not end: %s", args, e.String())
			return -1
		}
	}
}

// edit changes the file of contexts.
func (s *shell) edit(change func(context map[string]any)) {
	s.t.Helper()
	path := filepath.Join(s.dir, "contexts.json")
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		s.t.Fatal(err)
	}
	all, _ := v["contexts"].(map[string]any)
	for _, c := range all {
		m, _ := c.(map[string]any)
		change(m)
	}
	if b, err = json.Marshal(v); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Somebody signs in from their terminal with a browser on the same machine; commands act
// as they, renew what expires, and end with the sign-out.
func TestTerminalSignIn(t *testing.T) {
	p := start(t, "")
	s := &shell{t: t, dir: filepath.Join(t.TempDir(), "config")}
	ana := p.Ready().Demo.Users[0]
	address, end := s.begin(`http://\S+/authorize\?\S+`, "login", p.Ready().Identity, "--name", "here")
	b := p.browser(t)
	page := b.signIn(b.get(address), ana.Login, ana.Password)
	page.has(t, 200, "Allow Gatehouse command line to do this?", "Manage Gatehouse as you")
	back := b.post(page, "step", "consent", "shown", "gatehouse.manage").Header.Get("Location")
	// What does not have the state is nobody's.
	u, err := url.Parse(back)
	if err != nil || u.Hostname() != "127.0.0.1" {
		t.Fatalf("led to %q", back)
	}
	q := u.Query()
	q.Set("state", "another")
	forged := *u
	forged.RawQuery = q.Encode()
	if a := p.request("GET", forged.String(), "", ""); a.Status != http.StatusNotFound {
		t.Errorf("another state: %d", a.Status)
	}
	if a := p.request("GET", back, "", ""); a.Status != 200 || !strings.Contains(a.Body, "close this page") {
		t.Errorf("the way back: %d %s", a.Status, a.Body)
	}
	if code := end(); code != 0 {
		t.Fatalf("login ends with %d", code)
	}
	path := filepath.Join(s.dir, "contexts.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if out, talk, code := s.run("servers", "-o", "json"); code != 0 || !strings.Contains(out, `"default"`) {
		t.Fatalf("servers: %d %s %s", code, out, talk)
	}
	if out, _, code := s.run("context", "list"); code != 0 || !strings.Contains(out, "here") || !strings.Contains(out, "*") || strings.Contains(out, "eyJ") {
		t.Errorf("contexts: %d %s", code, out)
	}
	// History names the person.
	if _, talk, code := s.run("apps", "create", "by terminal"); code != 0 {
		t.Errorf("create: %d %s", code, talk)
	}
	if changes, err := p.admin().Changes(t.Context(), 0, 1000, ""); err != nil || !strings.Contains(jsonOf(t, changes), p.okta("GET", "/api/v1/users/"+ana.Login, "").json(t)["id"].(string)) { //nolint:forcetypeassert // a user has an id
		t.Errorf("the change is not by the person: %v", err)
	}
	var before string
	s.edit(func(c map[string]any) {
		before, _ = c["refresh_token"].(string)
		c["expires"] = time.Now().Add(-time.Hour)
		c["access_token"] = "expired"
	})
	if _, talk, code := s.run("servers"); code != 0 {
		t.Errorf("after the end of the access token: %d %s", code, talk)
	}
	s.edit(func(c map[string]any) {
		if c["refresh_token"] == before || c["refresh_token"] == "" {
			t.Error("the refresh token was not replaced")
		}
	})
	b2, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, talk, code := s.run("logout"); code != 0 {
		t.Errorf("logout: %d %s", code, talk)
	}
	if out, talk, code := s.run("servers"); code != 5 {
		t.Errorf("after the sign-out: %d %s %s", code, out, talk)
	}
	// Who kept a copy of the file has nothing.
	if err := os.WriteFile(path, b2, 0o600); err != nil {
		t.Fatal(err)
	}
	s.edit(func(c map[string]any) { c["expires"] = time.Now().Add(-time.Hour) })
	if _, talk, code := s.run("servers"); code != 6 || !strings.Contains(talk, "gatehouse login") {
		t.Errorf("a copy: %d %s", code, talk)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, talk, code := s.run("servers"); code != 1 || !strings.Contains(talk, "chmod 600") {
		t.Errorf("a file that others can read: %d %s", code, talk)
	}
}

// Somebody signs in with a browser elsewhere. Who is no super administrator gets a token,
// and nothing for it.
func TestTerminalSignInByDevice(t *testing.T) {
	p := start(t, "")
	s := &shell{t: t, dir: t.TempDir()}
	ben := p.Ready().Demo.Users[1]
	code, end := s.begin(`[B-Z]{4}-[B-Z]{4}`, "login", p.Ready().Identity, "--device")
	b := p.browser(t)
	page := b.signIn(b.get("/activate"), ben.Login, ben.Password)
	page = b.post(page, "code", code, "do", "find")
	page.has(t, 200, "Gatehouse command line")
	b.post(page, "code", code, "do", "approve")
	if got := end(); got != 0 {
		t.Fatalf("login ends with %d", got)
	}
	if _, talk, got := s.run("servers"); got != 6 || !strings.Contains(talk, "super administrator") {
		t.Errorf("no administrator: %d %s", got, talk)
	}
	for _, bad := range []string{"http://id.example.com", "id.example.com", "https://a@b.example", "https://b.example/x"} {
		if _, _, got := s.run("login", bad); got != 2 {
			t.Errorf("%s: %d", bad, got)
		}
	}
	// A token without the scope of the native API opens nothing there.
	if a := p.request("GET", p.Ready().Console+"/gatehouse/v1/status", p.token("vacations:read"), ""); a.Status != 401 {
		t.Errorf("a token for an API: %d %s", a.Status, a.Body)
	}
}
