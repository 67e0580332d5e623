package app_test

import (
	"context"
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

// load sends requests without pause on connections that are kept, until stop is
// called, and returns how many succeeded and what failed.
type load struct {
	stop   context.CancelFunc
	wg     sync.WaitGroup
	ok     atomic.Int64
	conns  atomic.Int64
	mu     sync.Mutex
	failed []string
}

func startLoad(t *testing.T, clients int, url string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	for range clients {
		tr := &http.Transport{MaxIdleConnsPerHost: 1}
		tr.DialContext = func(ctx context.Context, network, addr string) (c netConn, err error) {
			l.conns.Add(1)
			return dialer.DialContext(ctx, network, addr)
		}
		c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
		l.wg.Go(func() {
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				// The request does not end with the load: the last one is finished.
				req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
				if err != nil {
					l.fail(err.Error())
					return
				}
				res, err := c.Do(req)
				if err != nil {
					l.fail(err.Error())
					continue
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					l.fail(fmt.Sprintf("%d %v", res.StatusCode, err))
					continue
				}
				l.ok.Add(1)
			}
		})
	}
	return l
}

func (l *load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, what)
}

// end stops the load and fails the test when anything failed.
func (l *load) end(t *testing.T, clients int) {
	t.Helper()
	l.stop()
	l.wg.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(l.failed), int64(len(l.failed))+l.ok.Load(), l.failed[0])
	}
	if n := l.conns.Load(); n > int64(clients) {
		t.Errorf("%d connections for %d clients: some were dropped", n, clients)
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
	const clients = 4
	l := startLoad(t, clients, p.Ready().Gateway+"/a/x")
	began := time.Now()
	for i := 1; i <= reloads; i++ {
		before := p.Revision()
		replace(t, file, fmt.Sprintf(publicAPI, up.URL, extra(i)))
		eventually(t, fmt.Sprintf("reload %d", i), func() bool { return p.Revision() > before })
	}
	took := time.Since(began)
	l.end(t, clients)
	if took > time.Minute {
		t.Errorf("%d reloads took %s, more than a minute", reloads, took)
	}
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
				return a.Status == http.StatusOK && strings.Contains(a.Body, "the file was refused")
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
			res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
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
