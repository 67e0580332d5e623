package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const publicAPI = `version: 1
apis:
  a:
    base_path: /a
    upstream: %s
    auth: public
    routes:
      GET /*: public
%s`

// load sends requests without pause, each client on one connection, until stop is
// called, and knows how many succeeded and what failed. It speaks HTTP itself: a
// busy http.Transport gives up connections of its own accord (when the goroutine that
// writes gets no turn for 50 ms), which would look as if the server had dropped them.
type load struct {
	stop   context.CancelFunc
	wg     sync.WaitGroup
	ok     atomic.Int64
	mu     sync.Mutex
	failed []string
}

func startLoad(t *testing.T, clients int, address, path string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	for range clients {
		c, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		l.wg.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			// The last request does not end with the load: it is finished.
			for ctx.Err() == nil {
				if err := l.send(c, r, address, path); err != nil {
					l.fail(err.Error())
					return
				}
			}
		})
	}
	return l
}

// send sends a request and reads its answer. An error means that the connection
// cannot be used any more, which the server must never bring about.
func (l *load) send(c netConn, r *bufio.Reader, address, path string) error {
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address); err != nil {
		return err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch _, err = io.Copy(io.Discard, res.Body); {
	case err != nil:
		return err
	case res.Close:
		return errors.New("the server says that it will close the connection")
	case res.StatusCode != http.StatusOK:
		l.fail(res.Status)
	default:
		l.ok.Add(1)
	}
	return nil
}

func (l *load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, what)
}

// end stops the load and fails the test when a request failed or a connection was dropped.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.wg.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(l.failed), int64(len(l.failed))+l.ok.Load(), l.failed[0])
	}
	if l.ok.Load() == 0 {
		t.Error("no request succeeded")
	}
}

// 500 reloads under load: no request fails, no connection is dropped.
func TestReloadsUnderLoad(t *testing.T) {
	reloads := 500
	if testing.Short() {
		reloads = 25
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer up.Close()
	extra := func(i int) string { return fmt.Sprintf("      POST /n%d: public\n", i) }
	file := write(t, fmt.Sprintf(publicAPI, up.URL, extra(0)))
	p := start(t, file)
	l := startLoad(t, 4, strings.TrimPrefix(p.Ready().Gateway, "http://"), "/a/x")
	began := time.Now()
	for i := 1; i <= reloads; i++ {
		before := p.Revision()
		replace(t, file, fmt.Sprintf(publicAPI, up.URL, extra(i)))
		eventually(t, fmt.Sprintf("reload %d", i), func() bool { return p.Revision() > before })
	}
	took := time.Since(began)
	l.end(t)
	t.Logf("%d reloads in %s, %d requests", reloads, took.Round(time.Millisecond), l.ok.Load())
}

// A broken file changes nothing; what is wrong can be read; a right one is loaded again.
func TestBrokenFileAtReload(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer up.Close()
	good := fmt.Sprintf(publicAPI, up.URL, "")
	file := write(t, good)
	p := start(t, file)
	for name, text := range map[string]string{
		"not YAML":      "version: 1\n\tapis: {",
		"unknown key":   strings.Replace(good, "auth:", "auht:", 1),
		"half-written":  good[:len(good)/2],
		"failing test":  good + "tests:\n  - GET /a/x -> deny no_token\n",
		"empty":         "",
		"not supported": good + "policies:\n  p: permit (principal, action, resource);\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := p.Revision()
			replace(t, file, text)
			eventually(t, "the file to be refused", func() bool {
				a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", "")
				goesOn := fmt.Sprintf("revision %d goes on, the file was refused: ", before)
				return a.Status == http.StatusOK && strings.Contains(a.Body, goesOn) && strings.Contains(a.Body, file+":")
			})
			if p.Revision() != before {
				t.Error("the revision changed")
			}
			if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusOK {
				t.Errorf("what was running answers %d", a.Status)
			}
			if a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", ""); !strings.Contains(a.Body, "[+]upstream a ok") {
				t.Errorf("the pool is not shown: %s", a.Body)
			}
			replace(t, file, good)
			eventually(t, "the file to be accepted again", func() bool {
				a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", "")
				return !strings.Contains(a.Body, "the file was refused")
			})
		})
	}
}

// SIGTERM in the middle of traffic: every request that was sent is answered.
func TestShutdownUnderLoad(t *testing.T) {
	release := make(chan struct{})
	var inside atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside.Add(1)
			<-release
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer up.Close()
	p := start(t, write(t, fmt.Sprintf(publicAPI, up.URL, "")))
	const slow = 20
	answers := make(chan error, slow)
	gateway := p.Ready().Gateway
	for range slow {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway+"/a/slow", nil)
			if err != nil {
				answers <- err
				return
			}
			res, err := (&http.Client{Timeout: time.Minute}).Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", res.StatusCode)
				}
			}
			answers <- err
		}()
	}
	eventually(t, "all requests to be at the upstream", func() bool { return inside.Load() == slow })
	done := make(chan struct{})
	go func() { defer close(done); p.stop() }()
	eventually(t, "the listener to be closed", func() bool {
		c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(gateway, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(release)
	for range slow {
		if err := <-answers; err != nil {
			t.Errorf("a request under way failed: %v", err)
		}
	}
	<-done
}

// What references lead to is read again when it changes, and what only a start can
// change is said to wait for one.
func TestReloadOfWhatTheFileDoesNotHold(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer up.Close()
	reference := write(t, "http://127.0.0.1:1")
	text := fmt.Sprintf(publicAPI, "${file:"+reference+"}", "")
	file := write(t, text)
	p := start(t, file)
	if a := p.call(http.MethodGet, "/a/x", ""); a.Status != http.StatusServiceUnavailable {
		t.Fatalf("an upstream that is not there: %d", a.Status)
	}
	replace(t, reference, up.URL)
	eventually(t, "the reference to be read again", func() bool { return p.call(http.MethodGet, "/a/x", "").Status == http.StatusOK })

	const waits = "settings under server have changed and wait for the next start"
	ready := func() string { return p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", "").Body }
	if strings.Contains(ready(), waits) {
		t.Errorf("nothing waits: %s", ready())
	}
	replace(t, file, text+"server: { log: { level: debug } }\n")
	eventually(t, "the change to be said to wait", func() bool { return strings.Contains(ready(), waits) })
	replace(t, file, text)
	eventually(t, "nothing to wait any more", func() bool { return !strings.Contains(ready(), waits) })
}
