package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A refusal shows up in tail as it happens, and its id leads to the whole trace.
func TestTailAndExplainARequest(t *testing.T) {
	a, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, []string{"tail", "--denied"}, IO{In: strings.NewReader(""), Out: &out, Err: &bytes.Buffer{}, Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	}()
	// The follower may come after a request: ask until it has seen one.
	id := ""
	for !strings.Contains(out.String(), "no_token") {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Ready().Gateway+"/shop/items/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		id = res.Header.Get("X-Request-Id")
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("tail ends with %d", code)
	}
	r := run(t, env, "explain", id)
	// A decision is kept once the answer is out, which the caller may have a moment earlier.
	for deadline := time.Now().Add(time.Minute); r.code == exitFailed && time.Now().Before(deadline); {
		r = run(t, env, "explain", id)
	}
	if r.code != exitDenied || !strings.Contains(r.out, "no_token") || !strings.Contains(r.out, "gatehouse.yaml:") {
		t.Errorf("%+v", r)
	}
}

// lines is a writer that hands on what is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// Who follows an API that is not there is told, and waits all the same.
func TestTailOfNothing(t *testing.T) {
	_, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	ctx, stop := context.WithCancel(t.Context())
	said, ended := make(lines, 8), make(chan int, 1)
	go func() {
		ended <- Run(ctx, []string{"tail", "--api", "shpo"}, IO{In: strings.NewReader(""), Out: &lockedBuffer{}, Err: said, Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	}()
	select {
	case got := <-said:
		if want := `no API "shpo" is served now: did you mean shop?`; !strings.Contains(got, want) {
			t.Errorf("said %q, not %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was said")
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("tail ends with %d", code)
	}
}

// A line of JSON for each decision; when the server ends, so does the command, and says so.
func TestTailUntilTheServerEnds(t *testing.T) {
	a, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	var out, errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- Run(t.Context(), []string{"tail", "-o", "json"}, IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	}()
	for out.String() == "" {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Ready().Gateway+"/shop/items/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if code := <-ended; code != exitUnreachable || !strings.Contains(errs.String(), "the server has ended") {
		t.Errorf("tail ends with %d, and says %q", code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a line of JSON: %q", line)
		}
	}
}
