package authzen

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/hostile"
	"gatehouse/internal/safehttp"
)

// says answers with a JSON text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, text)
	}
}

func ask(t *testing.T, address string, change ...func(*Config)) *Client {
	t.Helper()
	h := safehttp.New(safehttp.Config{AllowPrivate: true, MaxBody: 64 << 10, Timeout: time.Minute})
	t.Cleanup(h.Close)
	cfg := Config{Endpoint: address + "/access/v1/evaluation", Timeout: time.Minute, HTTP: h}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// What is asked goes out as it is, with the token and the id; what is answered comes
// back, and its reason in one short line.
func TestAsk(t *testing.T) {
	var got *http.Request
	var body []byte
	answer := `{"decision":true}`
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		says(answer)(w, r)
	})
	c := ask(t, s.URL, func(c *Config) { c.Token = "secret" })
	for _, one := range []struct {
		answer    string
		permitted bool
		reason    string
	}{
		{`{"decision":true}`, true, ""},
		{`{"decision":false}`, false, ""},
		{`{"decision":false,"context":{"reason":"not\nnow\u202e"}}`, false, "not now"},
		{`{"decision":false,"context":{"reason_admin":{"en":"role viewer","de":"Rolle viewer"}}}`, false, "Rolle viewer"},
		{`{"decision":true,"context":{"reason_user":{"403":7},"id":"x"},"more":1}`, true, ""},
		{`{"decision":false,"context":{"reason":"` + strings.Repeat("ä", 400) + `"}}`, false, strings.Repeat("ä", 150) + "…"},
		{`{"decision":false,"context":null}`, false, ""},
	} {
		answer = one.answer
		permitted, reason, err := c.Ask(t.Context(), "id-1", []byte(`{"a":1}`))
		if err != nil || permitted != one.permitted || reason != one.reason {
			t.Errorf("%s: %v %q %v", one.answer, permitted, reason, err)
		}
	}
	h := got.Header
	if string(body) != `{"a":1}` || h.Get("Authorization") != "Bearer secret" || h.Get("X-Request-Id") != "id-1" || h.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s %v", body, h)
	}
}

// Whatever is answered that is no answer is neither a yes nor a no.
func TestNoAnswerIsNoDecision(t *testing.T) {
	good := says(`{"decision":true}`)
	for name, h := range map[string]http.HandlerFunc{
		"500 with a yes": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); good(w, r) },
		"201 with a yes": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); good(w, r) },
		"401":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"a redirect to a yes": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
		},
		"no decision":    says(`{}`),
		"text":           says(`{"decision":"true"}`),
		"number":         says(`{"decision":1}`),
		"null":           says(`{"decision":null}`),
		"list":           says(`{"decision":[true]}`),
		"another case":   says(`{"Decision":true}`),
		"both":           says(`{"decision":false,"decision":true}`),
		"escaped twice":  says(`{"decision":false,"\u0064ecision":true}`),
		"several":        says(`{"decision":true}{"decision":true}`),
		"a list of them": says(`[{"decision":true}]`),
		"inside":         says(`{"evaluation":{"decision":true}}`),
		"true":           says(`true`),
		"nothing":        says(``),
		"cut":            says(`{"decision":true`),
		"not UTF-8":      says("{\"decision\":true,\"x\":\"\xff\"}"),
		"deep":           says(`{"decision":true,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`),
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `{"decision":true}`)
		},
		"larger than is read": says(`{"decision":true,"x":"` + strings.Repeat("x", 64<<10) + `"}`),
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/yes", good)
		mux.HandleFunc("/", h)
		permitted, _, err := ask(t, server(t, mux.ServeHTTP).URL).Ask(t.Context(), "1", []byte(`{}`))
		if permitted || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v %v", name, permitted, err)
		}
	}
}

// Every way to misbehave that the project's hostile server knows: never a yes, within
// the time, and without the memory.
func TestHostileDecisionPoint(t *testing.T) {
	s, err := hostile.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for name, answer := range hostile.Answers() {
		s.Turn(answer)
		c := ask(t, s.URL, func(c *Config) { c.Timeout = 300 * time.Millisecond })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		wrong := 0
		for range 4 {
			permitted, _, err := c.Ask(t.Context(), "1", []byte(`{}`))
			if permitted || err == nil {
				wrong++
			}
		}
		runtime.ReadMemStats(&after)
		if wrong > 0 && name != "flapping" { // every other answer of which is right
			t.Errorf("%s: taken for an answer %d times", name, wrong)
		}
		if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 20<<20 {
			t.Errorf("%s: %d MiB", name, grown>>20)
		}
	}
	s.Turn(nil)
	if permitted, _, err := ask(t, s.URL).Ask(t.Context(), "1", []byte(`{}`)); !permitted || err != nil {
		t.Errorf("when it behaves: %v %v", permitted, err)
	}
}

// One that does not answer is not asked all the time; one strange question does not
// close it for the others, nor does an impatient caller.
func TestBreaker(t *testing.T) {
	var asked atomic.Int64
	status := http.StatusBadGateway
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		says(`{"decision":true}`)(w, r)
	})
	now := time.Now()
	c := ask(t, s.URL, func(c *Config) { c.Now = func() time.Time { return now } })
	for range 50 {
		if permitted, _, err := c.Ask(t.Context(), "1", nil); permitted || err == nil {
			t.Fatal("taken for an answer")
		}
	}
	if n := asked.Load(); n != safehttp.Tolerated || c.Err() == nil {
		t.Errorf("asked %d times", n)
	}
	now, status = now.Add(time.Minute), http.StatusOK
	if permitted, _, err := c.Ask(t.Context(), "1", nil); !permitted || err != nil || c.Err() != nil {
		t.Errorf("it is back, but: %v", err)
	}
	status = http.StatusBadRequest
	for range 50 {
		if permitted, _, err := c.Ask(t.Context(), "1", nil); permitted || err == nil {
			t.Fatal("taken for an answer")
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		_, _, err := c.Ask(gone, "1", nil)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	status = http.StatusOK
	if permitted, _, err := c.Ask(t.Context(), "1", nil); !permitted || err != nil {
		t.Errorf("the others are kept out: %v", err)
	}
}

// More than a bounded number does not wait on it at once, and who waits does not wait for ever.
func TestConcurrencyIsBounded(t *testing.T) {
	hold := make(chan struct{})
	arrived := make(chan struct{}, 10)
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-hold:
		case <-r.Context().Done():
		}
		says(`{"decision":true}`)(w, r)
	})
	c := ask(t, s.URL, func(c *Config) { c.Concurrent = 1 })
	done := make(chan error)
	go func() {
		_, _, err := c.Ask(t.Context(), "1", nil)
		done <- err
	}()
	<-arrived
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if permitted, _, err := c.Ask(short, "2", nil); permitted || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v %v", permitted, err)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Close()
	if permitted, _, err := c.Ask(t.Context(), "3", nil); permitted || err == nil {
		t.Error("a closed client has answered")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"decision":true}`, `{"decision":false,"context":{"reason":"x"}}`, `{"decision":true,"decision":false}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		permitted, reason, err := read(body)
		if err != nil && (permitted || reason != "") {
			t.Error("an error that permits")
		}
		if permitted && !strings.Contains(string(body), "true") || len(reason) > maxReason+len("…") || strings.ContainsAny(reason, "\n\r\x1b") {
			t.Errorf("%v %q", permitted, reason)
		}
	})
}
