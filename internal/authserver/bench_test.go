package authserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/access"
)

// The figures are per core-second of this process, measured as user and system
// time: writing the system log to SQLite is part of it.

// cpu returns the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// discard is a response writer that keeps the status alone.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// run sends the same form again and again, straight to the handler.
func (h *house) run(b *testing.B, a access.Created, path string, values url.Values) {
	body := []byte(values.Encode())
	auth := basic(a.ID, a.Secret)
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		req := httptest.NewRequestWithContext(h.ctx, http.MethodPost, path, bytes.NewReader(body))
		req.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		req.Header["Authorization"] = []string{auth}
		w := &discard{header: http.Header{}}
		h.server.ServeHTTP(w, req)
		if w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
	must(b, h.audit.Flush(h.ctx))
	used := cpu(b) - start
	b.ReportMetric(float64(b.N)/used.Seconds(), "per-core-second")
	b.ReportMetric(float64(h.audit.Dropped()), "events-dropped")
}

func BenchmarkToken(b *testing.B) {
	for _, alg := range []string{access.ES256, access.RS256} {
		b.Run(alg, func(b *testing.B) {
			h := newHouse(b)
			h.setAlgorithm(alg)
			a := h.app("job", "a:read", "b:read")
			h.token(a, "a:read")
			h.run(b, a, "/oauth2/default/v1/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read b:read"}})
		})
	}
}

func BenchmarkIntrospect(b *testing.B) {
	h := newHouse(b)
	h.setAlgorithm(access.ES256)
	a := h.app("job", "a:read")
	token := h.token(a, "a:read")
	h.run(b, a, "/oauth2/default/v1/introspect", url.Values{"token": {token}})
}

// BenchmarkTokenOverHTTP is the whole way: a client on a kept connection,
// net/http on both sides (the client's CPU is in the figure, too).
func BenchmarkTokenOverHTTP(b *testing.B) {
	h := newHouse(b)
	h.setAlgorithm(access.ES256)
	a := h.app("job", "a:read")
	h.token(a, "a:read")
	body := []byte(url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}.Encode())
	auth := basic(a.ID, a.Secret)
	client := h.web.Client()
	start := cpu(b)
	for b.Loop() {
		req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.url+"/oauth2/default/v1/token", bytes.NewReader(body))
		must(b, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", auth)
		res, err := client.Do(req)
		must(b, err)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			b.Fatalf("status %d", res.StatusCode)
		}
	}
	must(b, h.audit.Flush(h.ctx))
	b.ReportMetric(float64(b.N)/(cpu(b)-start).Seconds(), "per-core-second")
}

// A code is issued, redeemed, and its refresh token is used once: what a person's
// sign-in costs the server behind its pages.
func BenchmarkCodeWithRefresh(b *testing.B) {
	for _, alg := range []string{access.ES256, access.RS256} {
		b.Run(alg, func(b *testing.B) {
			s := newSignIn(b, nil)
			s.setAlgorithm(alg)
			auth := basic(s.app.ID, s.app.Secret)
			ask := func(v url.Values) map[string]any {
				req := httptest.NewRequestWithContext(s.ctx, http.MethodPost, "/oauth2/default/v1/token", strings.NewReader(v.Encode()))
				req.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
				req.Header["Authorization"] = []string{auth}
				w := httptest.NewRecorder()
				s.server.ServeHTTP(w, req)
				var got map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
					b.Fatalf("%d %s %v", w.Code, w.Body, err)
				}
				return got
			}
			ask(url.Values{"grant_type": {"authorization_code"}, "code": {s.code(s.authorization())}, "redirect_uri": {callback}, "code_verifier": {verifier}})
			b.ReportAllocs()
			start := cpu(b)
			for b.Loop() {
				code := s.code(s.authorization())
				got := ask(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
				token, _ := got["refresh_token"].(string)
				ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
			}
			must(b, s.audit.Flush(s.ctx))
			used := cpu(b) - start
			b.ReportMetric(float64(b.N)/used.Seconds(), "per-core-second")
		})
	}
}
