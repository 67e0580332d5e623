package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/client"
)

const replayedAPI = `version: 1
server:
  replay: { keep: 24h }
issuers:
  default: { builtin: default }
apis:
  a:
    base_path: /a
    upstream: %s
    auth: default
    routes:
      GET /mine/{user}: { scopes: [s] }
      GET /all:         { scopes: [t] }
      GET /open:        public
`

// Recorded decisions against a draft, through the whole program: who gains, who
// loses, and no token or query on disk.
func TestReplay(t *testing.T) {
	up := echoUpstream(t, nil)
	served := fmt.Sprintf(replayedAPI, up.URL)
	data := t.TempDir()
	p := start(t, write(t, served), withData(data))
	mint := func(user string, scopes ...string) string {
		t.Helper()
		tok, err := p.admin().Mint(t.Context(), client.TokenRequest{User: user, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		return tok.AccessToken
	}
	ana, ben := mint("ana@example.com", "s"), mint("ben@example.com", "s")
	for range 2 {
		p.call(http.MethodGet, "/a/mine/ana@example.com?secret-query=1", ana)
	}
	p.call(http.MethodGet, "/a/mine/ana@example.com", ben)
	p.call(http.MethodGet, "/a/all", ben)
	p.call(http.MethodGet, "/a/all", "")
	p.call(http.MethodGet, "/a/all", "nonsense")
	p.call(http.MethodGet, "/a/open", "", "X-Debug", "on")
	if a := p.call(http.MethodGet, "/.well-known/oauth-protected-resource/a", ""); a.Status != http.StatusOK {
		t.Fatal(a.Body) // the gateway's own: no configuration decides about it
	}
	replay := func(draft string) client.Replay {
		t.Helper()
		r, err := p.admin().Replay(t.Context(), client.ReplayRequest{Since: "1h", Configuration: client.Configuration{Files: []client.File{{Name: "draft.yaml", Content: draft}}}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// A decision is kept once the answer is out, which the caller may have a moment earlier.
	eventually(t, "all decisions to be kept", func() bool { r := replay(served); return r.Replayed+r.Skipped >= 7 })
	if r := replay(served); len(r.Changes) != 0 || r.Replayed != 6 || r.Skipped != 1 || r.Dropped != 0 {
		t.Errorf("the same: %+v", r)
	}
	draft := strings.Replace(served, "{ scopes: [s] }", "{ scopes: [s], when: resource.user == principal.login }", 1)
	draft = strings.Replace(draft, "{ scopes: [t] }", "{ scopes: [s] }", 1) +
		"policies:\n  no_debug: forbid (principal, action, resource) when { resource.headers[\"x-debug\"].contains(\"on\") };\n"
	r := replay(draft)
	want := []client.AccessChange{
		{Access: "loses", Who: "ben@example.com", Operation: "GET /a/mine/{user}", Count: 1, Now: "condition_failed"},
		{Access: "gains", Who: "ben@example.com", Operation: "GET /a/all", Count: 1, Was: "missing_scope"},
	}
	if d := cmp.Diff(want, r.Changes); d != "" {
		t.Error(d)
	}
	// What the draft reads and nobody had recorded is said, and not guessed.
	if d := cmp.Diff([]string{"the header x-debug"}, r.Unknown); d != "" || r.Unsure == 0 {
		t.Errorf("%s %+v", d, r)
	}
	kept, err := filepath.Glob(filepath.Join(data, "replay", "*.jsonl"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v %v", kept, err)
	}
	b, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{ana, ben, "secret-query", "nonsense"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%.12s... is on disk", secret)
		}
	}
	if strings.Count(string(b), "\n") != 7 {
		t.Errorf("kept:\n%s", b)
	}

	// Without the setting nothing is kept, and the question is answered so.
	p = start(t, write(t, strings.Replace(served, "server:\n  replay: { keep: 24h }\n", "", 1)))
	if _, err := p.admin().Replay(t.Context(), client.ReplayRequest{Since: "1h"}); err == nil || !strings.Contains(err.Error(), "server.replay.keep") {
		t.Error(err)
	}
}
