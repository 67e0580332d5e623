package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/keys"
	"gatehouse/internal/settings"
)

// program is the real program, started from a test on free ports.
type program struct {
	*app.App
	t    *testing.T
	data string
	out  *syncBuffer
	err  *syncBuffer
	http *http.Client
	now  func() time.Time // its clock
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type startOption func(*app.Config)

func withStore(url string) startOption { return func(c *app.Config) { c.Flags.Store = url } }

func withData(dir string) startOption { return func(c *app.Config) { c.Flags.Data = dir } }

func withEnv(env map[string]string) startOption {
	return func(c *app.Config) {
		c.Getenv = func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	}
}

// withCostlyPasswords takes the product's own price of a password's hash.
func withCostlyPasswords(c *app.Config) { c.Passwords = keys.PasswordConfig{} }

// start runs the program in dev with the file ("" = the demo) until the test ends.
func start(t *testing.T, file string, opts ...startOption) *program {
	t.Helper()
	p, err := tryStart(t, file, opts...)
	if err != nil {
		t.Fatalf("start: %v\n%s", err, p.err)
	}
	return p
}

func tryStart(t *testing.T, file string, opts ...startOption) (*program, error) {
	t.Helper()
	p := &program{t: t, out: &syncBuffer{}, err: &syncBuffer{}}
	c := app.Config{
		File: file, Dev: true, Version: "test", Out: p.out, Err: p.err,
		Getenv: func(string) (string, bool) { return "", false },
		// Hundreds of programs are started, each with people who have passwords.
		Passwords: keys.PasswordConfig{MemoryKiB: 64, Iterations: 1, Lanes: 1},
		Flags: settings.Flags{
			Gateway: "127.0.0.1:0", Identity: "127.0.0.1:0", Console: "127.0.0.1:0",
			ShutdownTimeout: 30 * time.Second,
		},
	}
	for _, o := range opts {
		o(&c)
	}
	if c.Flags.Data == "" {
		c.Flags.Data = filepath.Join(t.TempDir(), "data")
	}
	p.data = c.Flags.Data
	if p.now = c.Now; p.now == nil {
		p.now = time.Now
	}
	tr := &http.Transport{}
	p.http = &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(tr.CloseIdleConnections)
	var err error
	p.App, err = app.Start(t.Context(), c)
	if err != nil {
		return p, err
	}
	t.Cleanup(func() { p.stop() })
	return p, nil
}

// stop ends the program; once is enough.
func (p *program) stop() {
	p.t.Helper()
	if p.App == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		p.t.Errorf("shutdown: %v", err)
	}
	p.App = nil
}

// answer is what came back, body read.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, a.Body)
	}
	return v
}

// call sends a request to the gateway; token "" sends none.
func (p *program) call(method, path, token string, header ...string) answer {
	p.t.Helper()
	return p.request(method, p.Ready().Gateway+path, token, "", header...)
}

func (p *program) request(method, address, token, body string, header ...string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if i > 1 && header[i] == header[i-2] {
			req.Header.Add(header[i], header[i+1]) // a line of its own
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := p.http.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, address, err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// token gets a token for the demo client by client credentials, as anybody would.
func (p *program) token(scopes string) string {
	p.t.Helper()
	d := p.Ready().Demo
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scopes}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, d.Issuer+"/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth(d.ClientID, d.ClientSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(b, &out) != nil || out.AccessToken == "" {
		p.t.Fatalf("the token endpoint answers %d: %s", res.StatusCode, b)
	}
	return out.AccessToken
}

// admin returns a client of the management API.
func (p *program) admin() *client.Client {
	return client.New(client.Config{URL: p.Ready().Console, Token: p.Ready().APIToken})
}

// decision returns the trace of a request. A decision is kept once the answer is
// out, which the caller may have a moment earlier.
func (p *program) decision(id string) (d client.Decision, err error) {
	p.t.Helper()
	eventually(p.t, "the decision of request "+id, func() bool {
		var missing *client.Error
		d, err = p.admin().Decision(p.t.Context(), id)
		return !errors.As(err, &missing) || missing.Status != http.StatusNotFound
	})
	return d, err
}

// write puts a configuration file into a folder of the test.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	replace(t, path, text)
	return path
}

// replace changes the file as an editor does: by another file in its place.
func replace(t *testing.T, path, text string) {
	t.Helper()
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok, and fails the test after a minute: what comes at all comes
// long before, on a busy machine too.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited a minute for %s", what)
		case <-tick.C:
		}
	}
}

func (p *program) String() string { return fmt.Sprintf("%+v", p.Ready()) }

type netConn = net.Conn

var dialer net.Dialer

func withIdentity(addr string) startOption { return func(c *app.Config) { c.Flags.Identity = addr } }

func withGateway(addr string) startOption { return func(c *app.Config) { c.Flags.Gateway = addr } }
