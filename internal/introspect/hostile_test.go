package introspect

import (
	"context"
	"encoding/json"
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

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// fakeIssuer is an introspection endpoint that a test tells what to answer.
type fakeIssuer struct {
	*httptest.Server
	asked  atomic.Int64
	mu     sync.Mutex
	answer http.HandlerFunc
	last   struct{ token, hint, user, password string }
}

func newFakeIssuer(t *testing.T, answer http.HandlerFunc) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{answer: answer}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": f.URL, "introspection_endpoint": f.URL + "/introspect"})
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		f.mu.Lock()
		f.last.token, f.last.hint = r.FormValue("token"), r.FormValue("token_type_hint")
		f.last.user, f.last.password, _ = r.BasicAuth()
		answer := f.answer
		f.mu.Unlock()
		answer(w, r)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeIssuer) answers(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = h
}

// says answers with a JSON text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, text)
	}
}

// clock is a clock that a test moves.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) forward(d time.Duration) { c.Add(int64(d)) }

func newTestClient(t *testing.T, f *fakeIssuer, change ...func(*Config)) (*Client, *clock) {
	t.Helper()
	at := newClock()
	h := safehttp.New(safehttp.Config{AllowPrivate: true, MaxBody: 64 << 10, Timeout: time.Minute})
	t.Cleanup(h.Close)
	cfg := Config{Issuer: f.URL, ClientID: "gate:house", Secret: "s3 cr+t", HTTP: h, Now: at.now, Timeout: time.Minute}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, at
}

func reasonOf(err error) verify.Reason { return verify.ReasonOf(err) }

// Attack gateway 29: whatever an endpoint answers that is not an answer is neither
// a yes nor a no.
func TestNoAnswerIsNeitherYesNorNo(t *testing.T) {
	good := `{"active":true,"sub":"ana","aud":"api://test"`
	for name, h := range map[string]http.HandlerFunc{
		"500":                  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"500 with a good body": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); says(good+"}")(w, r) },
		"401":                  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"204":                  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/introspect", http.StatusTemporaryRedirect)
		},
		"a redirect to metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		},
		"an empty object":        says(`{}`),
		"an empty body":          says(``),
		"null":                   says(`null`),
		"a list":                 says(`[{"active":true}]`),
		"true":                   says(`true`),
		"active as text":         says(`{"active":"true"}`),
		"active as number":       says(`{"active":1}`),
		"active null":            says(`{"active":null,"sub":"ana"}`),
		"active in another case": says(`{"Active":true,"ACTIVE":true}`),
		"active twice":           says(`{"active":false,"active":true}`),
		"a claim twice":          says(`{"active":true,"sub":"a","sub":"admin"}`),
		"something behind it":    says(good + `}{"active":true}`),
		"cut off":                says(good),
		"sub as number":          says(`{"active":true,"sub":7}`),
		"exp as text":            says(`{"active":true,"exp":"9999999999"}`),
		"exp out of range":       says(`{"active":true,"exp":1e300}`),
		"aud as object":          says(`{"active":true,"aud":{"a":1}}`),
		"scope as object":        says(`{"active":true,"scope":{"a":1}}`),
		"cnf as text":            says(`{"active":true,"cnf":"x"}`),
		"depth":                  says(good + `,"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`),
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>sign in</html>")
		},
		"JSON that says it is HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, good+"}")
		},
		"compressed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			says(good+"}")(w, r)
		},
		"said to be 1 GiB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1073741824")
			_, _ = io.WriteString(w, good)
		},
		"1 GiB without a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			block := strings.Repeat(" ", 1<<20)
			for range 1024 {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		},
		"hang up": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIssuer(t, h)
			c, _ := newTestClient(t, f)
			tok, err := c.Ask(t.Context(), []byte("opaque"))
			if tok != nil || reasonOf(err) != verify.ReasonIssuerUnreachable {
				t.Fatalf("%v, %v", tok, err)
			}
			if _, known, _ := c.Cached([]byte("opaque")); known {
				t.Error("it is remembered as an answer")
			}
			if c.Err() == nil {
				t.Error("nobody is told")
			}
		})
	}
}

// An endpoint that answers a byte now and then is no answer in time either, and
// the question does not outlast its time.
func TestSlowAnswer(t *testing.T) {
	end := make(chan struct{})
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-end:
				return
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	defer close(end)
	c, _ := newTestClient(t, f, func(c *Config) { c.Timeout = 150 * time.Millisecond })
	began := time.Now()
	_, err := c.Ask(t.Context(), []byte("opaque"))
	if took := time.Since(began); reasonOf(err) != verify.ReasonIssuerUnreachable || took > 30*time.Second {
		t.Errorf("%v after %s", err, took)
	}
}

// A client that is closed gives up at once.
func TestClose(t *testing.T) {
	entered := make(chan struct{})
	f := newFakeIssuer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	c, _ := newTestClient(t, f, func(c *Config) { c.Timeout = time.Minute })
	done := make(chan error, 1)
	go func() {
		_, err := c.Ask(context.Background(), []byte("opaque"))
		done <- err
	}()
	<-entered
	c.Close()
	if err := <-done; reasonOf(err) != verify.ReasonIssuerUnreachable {
		t.Error(err)
	}
}

// An endpoint that is down is not asked all the time, and is asked again.
func TestBreaker(t *testing.T) {
	f := newFakeIssuer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c, at := newTestClient(t, f)
	ask := func(i int) error {
		_, err := c.Ask(t.Context(), fmt.Appendf(nil, "token %d", i))
		return err
	}
	for i := range 50 {
		if err := ask(i); reasonOf(err) != verify.ReasonIssuerUnreachable {
			t.Fatal(err)
		}
	}
	if n := f.asked.Load(); n != safehttp.Tolerated {
		t.Errorf("it was asked %d times", n)
	}
	at.forward(time.Second)
	_ = ask(100) // the one that tries
	_ = ask(101)
	if n := f.asked.Load(); n != safehttp.Tolerated+1 {
		t.Errorf("after a second it was asked %d times", n-safehttp.Tolerated)
	}
	f.answers(says(`{"active":true,"sub":"ana"}`))
	at.forward(time.Second)
	if err := ask(102); err == nil {
		t.Error("the gap has not grown")
	}
	at.forward(time.Second)
	if err := ask(103); err != nil {
		t.Errorf("it is back, but: %v", err)
	}
	if c.Err() != nil {
		t.Error("the failure is still shown")
	}
}

// A token that the endpoint does not even read keeps nobody else out.
func TestOneStrangeTokenOpensNoBreaker(t *testing.T) {
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.FormValue("token"), "strange") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		says(`{"active":true,"sub":"ana"}`)(w, r)
	})
	c, _ := newTestClient(t, f)
	for i := range 3 * safehttp.Tolerated {
		if _, err := c.Ask(t.Context(), fmt.Appendf(nil, "strange%d", i)); reasonOf(err) != verify.ReasonIssuerUnreachable {
			t.Fatal(err)
		}
	}
	if _, err := c.Ask(t.Context(), []byte("good")); err != nil {
		t.Error(err)
	}
}

// The secret goes nowhere that nobody meant.
func TestWhereTheSecretGoes(t *testing.T) {
	thief := newFakeIssuer(t, says(`{"active":true,"sub":"admin"}`))
	for name, endpoint := range map[string]string{
		"another host":  thief.URL + "/introspect",
		"none":          "",
		"another shape": "::",
		"a user in it":  "http://u:p@%s/introspect",
	} {
		t.Run(name, func(t *testing.T) {
			var issuer string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				at := endpoint
				if strings.Contains(at, "%s") {
					at = fmt.Sprintf(at, strings.TrimPrefix(issuer, "http://"))
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "introspection_endpoint": at})
			}))
			defer s.Close()
			issuer = s.URL
			c, _ := newTestClient(t, thief, func(c *Config) { c.Issuer = issuer })
			if _, err := c.Ask(t.Context(), []byte("x")); reasonOf(err) != verify.ReasonIssuerUnreachable {
				t.Error(err)
			}
		})
	}
	if n := thief.asked.Load(); n != 0 {
		t.Errorf("the thief was told %d times", n)
	}
}

// Metadata of another issuer is refused (attack gateway 12).
func TestMetadataOfAnotherIssuer(t *testing.T) {
	f := newFakeIssuer(t, says(`{"active":true,"sub":"ana"}`))
	c, _ := newTestClient(t, f, func(c *Config) { c.Issuer = strings.Replace(f.URL, "127.0.0.1", "localhost", 1) })
	if _, err := c.Ask(t.Context(), []byte("x")); reasonOf(err) != verify.ReasonIssuerUnreachable || f.asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, f.asked.Load())
	}
}

func TestReadMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		doc string
		ok  bool
	}{
		"right":             {`{"issuer":"https://x.test/a","introspection_endpoint":"https://x.test/ask"}`, true},
		"host in capitals":  {`{"issuer":"https://x.test/a","introspection_endpoint":"https://X.test/ask"}`, true},
		"another issuer":    {`{"issuer":"https://x.test/b","introspection_endpoint":"https://x.test/ask"}`, false},
		"no issuer":         {`{"introspection_endpoint":"https://x.test/ask"}`, false},
		"another port":      {`{"issuer":"https://x.test/a","introspection_endpoint":"https://x.test:8443/ask"}`, false},
		"plain http":        {`{"issuer":"https://x.test/a","introspection_endpoint":"http://x.test/ask"}`, false},
		"no endpoint":       {`{"issuer":"https://x.test/a"}`, false},
		"an endpoint in []": {`{"issuer":"https://x.test/a","introspection_endpoint":["https://x.test/ask"]}`, false},
		"HTML":              {`<html>`, false},
	} {
		got, err := readMetadata([]byte(c.doc), "https://x.test/a")
		if (err == nil) != c.ok || (got != "") != c.ok {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// What is missing is said at the start.
func TestNew(t *testing.T) {
	h := safehttp.New(safehttp.Config{})
	for name, c := range map[string]Config{
		"issuer": {ClientID: "a", Secret: "b", HTTP: h}, "client": {Issuer: "https://x", Secret: "b", HTTP: h},
		"secret": {Issuer: "https://x", ClientID: "a", HTTP: h}, "http": {Issuer: "https://x", ClientID: "a", Secret: "b"},
	} {
		if _, err := New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// No error says anything of the token or of the secret.
func TestErrorsHoldNoSecrets(t *testing.T) {
	f := newFakeIssuer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "canary-token s3 cr+t")
	})
	c, _ := newTestClient(t, f)
	_, err := c.Ask(t.Context(), []byte("canary-token"))
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), "canary") || strings.Contains(e.Error(), "s3") {
			t.Errorf("%v", e)
		}
	}
}
