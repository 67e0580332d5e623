package app_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/hostile"
)

// The table "When something is down" of docs/ARCHITECTURE.md, cell by cell, through
// the whole program. What a cell says is its name.
func TestWhenSomethingIsDown(t *testing.T) {
	for _, cell := range []struct {
		down, column, says string
		test               func(*testing.T)
	}{
		{"store", "running traffic", "full service", storeDownTraffic},
		{"store", "changes", "503, and nothing is half-written", storeDownChanges},
		{"store", "restart", "serves from its snapshot", restartWithEverythingDown},
		{"Redis", "all", "is refused, since counters are not shared yet", redisIsRefused},
		{"issuer's keys", "running traffic", "known keys go on, an unknown one is 401", keysDownTraffic},
		{"issuer's keys", "restart", "keys from disk", keysDownRestart},
		{"introspection", "running traffic", "what was answered counts, else 503, however it misbehaves", introspectionDown},
		{"decision point", "running traffic", "operations that ask it 503, others go on", decisionPointDown},
		{"upstream", "running traffic", "503 with Retry-After, and others are served", upstreamDown},
		{"upstream", "running traffic", "half of it down is not noticed", halfOfTheUpstreamDown},
		{"log sink", "running traffic", "goes on; lines are dropped and counted", logSinkBlocked},
		{"log sink", "changes", "go on, and are in the ledger", logSinkBlockedChanges},
		{"disk", "running traffic and changes", "traffic goes on, a change is 507", fullDisk},
		{"disk", "changes", "nothing half-written: the file that is served stays", fullDiskApply},
	} {
		t.Run(cell.down+"/"+cell.column+": "+cell.says, cell.test)
	}
}

// cuttable passes connections on to a PostgreSQL's socket until it is cut.
type cuttable struct {
	dir, to string
	mu      sync.Mutex
	l       net.Listener
	conns   map[net.Conn]bool
	done    sync.WaitGroup
}

// newCuttable returns the cable and the URL of the database at its end.
func newCuttable(t *testing.T, database string) (cable *cuttable, address string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("host") == "" {
		t.Skip("the database is not at a socket of this machine")
	}
	dir, err := os.MkdirTemp("", "cable") // shorter than the test's: the path of a socket is bounded
	if err != nil {
		t.Fatal(err)
	}
	c := &cuttable{dir: dir, to: q.Get("host"), conns: map[net.Conn]bool{}}
	c.mend(t)
	t.Cleanup(func() {
		c.cut()
		c.done.Wait()
		_ = os.RemoveAll(dir)
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return c, u.String()
}

const pgSocket = ".s.PGSQL.5432"

func (c *cuttable) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(c.dir, pgSocket))
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.l = l
	c.mu.Unlock()
	c.done.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			c.done.Go(func() { c.pass(in) })
		}
	})
}

func (c *cuttable) pass(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("unix", filepath.Join(c.to, pgSocket))
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	c.done.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
	_, _ = io.Copy(in, out)
	c.mu.Lock()
	delete(c.conns, in)
	delete(c.conns, out)
	c.mu.Unlock()
}

// cut ends every connection and takes no other.
func (c *cuttable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.l != nil {
		_ = c.l.Close()
		c.l = nil
	}
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = map[net.Conn]bool{}
}

// withoutStore is a program whose store is down, once it had all that it needs.
func withoutStore(t *testing.T) (p *program, cable *cuttable, known string) {
	t.Helper()
	cable, address := newCuttable(t, postgres.Database(t))
	p = start(t, "", withStore(address))
	known = p.token("vacations:read")
	if a := p.call(http.MethodGet, "/hr/vacations/ana", known); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	cable.cut()
	return p, cable, known
}

func storeDownTraffic(t *testing.T) {
	cable, address := newCuttable(t, postgres.Database(t))
	p := start(t, "", withStore(address))
	known, unseen, payroll := p.token("vacations:read"), p.token("vacations:read"), p.token("payroll:write")
	p.call(http.MethodGet, "/hr/vacations/ana", known)
	cable.cut()
	for range 3 {
		for name, c := range map[string]struct {
			token, path string
			status      int
		}{
			"a token that was seen":     {known, "/hr/vacations/ana", 200},
			"one that was not":          {unseen, "/hr/vacations/ana", 200},
			"one that may not":          {payroll, "/hr/vacations/ana", 403},
			"nonsense":                  {"nonsense", "/hr/vacations/ana", 401},
			"what is public":            {"", "/hr/health", 200},
			"what no route lists":       {known, "/hr/nothing", 404},
			"nobody where one is asked": {"", "/hr/vacations/ana", 401},
		} {
			if a := p.call(http.MethodGet, c.path, c.token); a.Status != c.status {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	}
	d := p.Ready().Demo
	if a := p.request(http.MethodPost, d.Issuer+"/v1/token", "", url.Values{
		"grant_type": {"client_credentials"}, "scope": {"vacations:read"}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret},
	}.Encode(), "Content-Type", "application/x-www-form-urlencoded"); a.Status != http.StatusOK {
		t.Errorf("client credentials: %d %s", a.Status, a.Body)
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/livez", "", ""); a.Status != http.StatusOK {
		t.Errorf("livez: %d", a.Status)
	}
}

func storeDownChanges(t *testing.T) {
	p, cable, known := withoutStore(t)
	unavailable := func(what string, err error) {
		t.Helper()
		var e *client.Error
		if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := p.admin().CreateApp(t.Context(), client.App{Label: "half"})
	unavailable("a new app", err)
	unavailable("a revocation", p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, known)}))
	_, err = p.admin().Apply(t.Context(), client.Configuration{Files: []client.File{{Name: "gatehouse.yaml", Content: "version: 1\n"}}}, false)
	unavailable("a configuration", err)
	// A code or a refresh token is used once, which only the store can say.
	issuer := p.Ready().Demo
	a := p.request(http.MethodPost, issuer.Issuer+"/v1/token", "", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {issuer.ClientID}, "client_secret": {issuer.ClientSecret},
	}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if a.Status < 400 || strings.Contains(a.Body, "access_token") {
		t.Errorf("a refresh: %d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/hr/vacations/ana", known); a.Status != http.StatusOK {
		t.Errorf("what was not revoked: %d %s", a.Status, a.Body)
	}
	cable.mend(t)
	eventually(t, "the store", func() bool {
		list, err := p.admin().Apps(t.Context())
		if err != nil {
			return false
		}
		for _, one := range list {
			if one.Label == "half" {
				t.Error("the app is half there")
			}
		}
		return true
	})
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, known)}); err != nil {
		t.Error(err)
	}
	if a := p.call(http.MethodGet, "/hr/vacations/ana", known); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked: %d %s", a.Status, a.Body)
	}
}

func redisIsRefused(t *testing.T) {
	_, err := tryStart(t, write(t, "version: 1\nserver: { redis: \"redis://127.0.0.1:6379\" }\n"))
	if err == nil || !strings.Contains(err.Error(), "not supported yet: redis") {
		t.Errorf("started with Redis: %v", err)
	}
}

func keysDownTraffic(t *testing.T) {
	up := echoUpstream(t, nil)
	is := newIssuer(t)
	p := start(t, write(t, fmt.Sprintf(ordersAPI, is.URL, up.URL)))
	if a := p.call(http.MethodGet, "/orders/1", is.token(t, nil)); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	is.Close()
	fresh := is.token(t, nil)
	for range 3 {
		if a := p.call(http.MethodGet, "/orders/1", fresh); a.Status != http.StatusOK {
			t.Errorf("a new token of a known key: %d %s", a.Status, a.Body)
		}
		_, rest, _ := strings.Cut(fresh, ".")
		unknown := b64([]byte(`{"alg":"ES256","kid":"other"}`)) + "." + rest
		if a := p.call(http.MethodGet, "/orders/1", unknown); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "unknown_key") {
			t.Errorf("an unknown key: %d %s", a.Status, a.Body)
		}
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", ""); a.Status != http.StatusOK {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
}

func keysDownRestart(t *testing.T) {
	up := echoUpstream(t, nil)
	is := newIssuer(t)
	file := write(t, fmt.Sprintf(ordersAPI, is.URL, up.URL))
	p := start(t, file)
	if a := p.call(http.MethodGet, "/orders/1", is.token(t, nil)); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	data := p.data
	p.stop()
	is.Close()
	p = start(t, file, withData(data))
	if a := p.call(http.MethodGet, "/orders/1", is.token(t, nil)); a.Status != http.StatusOK {
		t.Errorf("with keys from disk: %d %s", a.Status, a.Body)
	}
	p.stop()
	p = start(t, file) // another node, which has never seen the issuer
	if a := p.call(http.MethodGet, "/orders/1", is.token(t, nil)); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "issuer_unreachable") {
		t.Errorf("without any keys: %d %s", a.Status, a.Body)
	}
}

// introspectionDown is attack gateway 29 through the program.
func introspectionDown(t *testing.T) {
	s, err := hostile.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  partner: { url: %s, audience: api://test, tokens: opaque, client_id: g, client_secret: "${env:S}" }
apis:
  orders: { upstream: %s, auth: partner, routes: { GET /x: {} , GET /open: public } }
`, s.URL, up.URL)), withEnv(map[string]string{"S": "s"}), timeStandsStill()) // an answer is good for a minute
	if a := p.call(http.MethodGet, "/x", "known"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for name, answer := range hostile.Answers() {
		if name == "flapping" || name == "one byte a second" || name == "silence" {
			continue // half of the answers are right; the others cost five seconds each, see internal/introspect
		}
		s.Turn(answer)
		if a := p.call(http.MethodGet, "/x", rand.Text()); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "issuer_unreachable") {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if a := p.call(http.MethodGet, "/x", "known"); a.Status != http.StatusOK {
			t.Errorf("%s, and what is known: %d %s", name, a.Status, a.Body)
		}
		if a := p.call(http.MethodGet, "/open", ""); a.Status != http.StatusOK {
			t.Errorf("%s, and others: %d %s", name, a.Status, a.Body)
		}
	}
}

const twoUpstreams = `version: 1
issuers:
  default: { builtin: default }
apis:
  a: { base_path: /a, upstream: { targets: [%s], retries: 1 }, auth: default, routes: { GET /*: public } }
  b: { base_path: /b, upstream: %s, auth: default, routes: { GET /*: public } }
`

func upstreamDown(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(twoUpstreams, "http://"+freeAddress(t), up.URL)))
	for i := range 30 {
		a := p.call(http.MethodGet, "/a/x", "")
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "upstream_unreachable") {
			t.Fatalf("request %d: %d %s %v", i, a.Status, a.Body, a.Header)
		}
		if a := p.call(http.MethodGet, "/b/x", ""); a.Status != http.StatusOK {
			t.Fatalf("another API: %d %s", a.Status, a.Body)
		}
	}
}

func halfOfTheUpstreamDown(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(twoUpstreams, "http://"+freeAddress(t)+", "+up.URL, up.URL)))
	for i := range 50 {
		if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, a.Status, a.Body)
		}
	}
}

// blocked is a sink that takes nothing until it is opened.
type blocked struct{ open chan struct{} }

// Write implements io.Writer.
func (b blocked) Write(p []byte) (int, error) {
	<-b.open
	return len(p), nil
}

// withBlockedLog is a program of run, whose access log goes nowhere.
func withBlockedLog(t *testing.T) *program {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	t.Cleanup(up.Close)
	sink := blocked{make(chan struct{})}
	const setup = "a-setup-token-of-at-least-32-characters"
	p := start(t, write(t, fmt.Sprintf(twoUpstreams, up.URL, up.URL)), asRun, withEnv(map[string]string{"GATEHOUSE_SETUP_TOKEN": setup}), func(c *app.Config) { c.Out = sink })
	t.Cleanup(sync.OnceFunc(func() { close(sink.open) })) // before the program is stopped
	return p
}

func logSinkBlocked(t *testing.T) {
	p := withBlockedLog(t)
	dropped := func() bool {
		a := p.request(http.MethodGet, p.Ready().Console+"/metrics", "", "")
		_, rest, ok := strings.Cut(a.Body, "\ngatehouse_access_log_dropped_total ")
		return ok && !strings.HasPrefix(rest, "0\n")
	}
	long := "/a/" + strings.Repeat("x", 4000)
	for i := 0; !dropped(); i++ {
		for range 200 {
			if a := p.call(http.MethodGet, long, ""); a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		if i == 50 {
			t.Fatal("no line was dropped, so they all wait somewhere")
		}
	}
	if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func logSinkBlockedChanges(t *testing.T) {
	p := withBlockedLog(t)
	admin := client.New(client.Config{URL: p.Ready().Console, Token: "a-setup-token-of-at-least-32-characters"})
	status, err := admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made, err := admin.CreateApp(t.Context(), client.App{Label: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := admin.Changes(t.Context(), status.Revision, 10, "app")
	if err != nil || len(list) != 1 || list[0].ID == "" || made.ID == "" {
		t.Errorf("the change is not in the ledger: %+v %v", list, err)
	}
}

// fullDiskApply: a configuration that cannot be kept is not served, and the one that
// is stays, also after a restart.
func fullDiskApply(t *testing.T) {
	dir := smallDisk(t)
	up := echoUpstream(t, nil)
	before := fmt.Sprintf(twoUpstreams, up.URL, up.URL)
	data := filepath.Join(dir, "data")
	file := write(t, before)
	p := start(t, file, withData(data))
	fill := filepath.Join(dir, "fill")
	fillDisk(t, fill)
	large := before + "policies:\n"
	for i := range 200 {
		large += fmt.Sprintf("  p%d: 'forbid (principal, action, resource) when { context.host == %q };'\n", i, strings.Repeat("x", 2000))
	}
	_, err := p.admin().Apply(t.Context(), client.Configuration{Files: []client.File{{Name: "gatehouse.yaml", Content: large}}}, false)
	var e *client.Error
	if !errors.As(err, &e) || e.Status != http.StatusInsufficientStorage {
		t.Errorf("a configuration on a full disk: %v", err)
	}
	if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusOK {
		t.Errorf("traffic: %d %s", a.Status, a.Body)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if out, err := p.admin().Export(t.Context(), 0); err != nil || strings.Contains(string(out), "policies") {
		t.Errorf("half of it was written: %v %.300s", err, out)
	}
	p.stop()
	p = start(t, file, withData(data))
	if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusOK {
		t.Errorf("after a restart: %d %s", a.Status, a.Body)
	}
}
