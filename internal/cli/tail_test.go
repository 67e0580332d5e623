package cli

import (
	"bytes"
	"context"
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
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
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
	for deadline := time.Now().Add(10 * time.Second); r.code == exitFailed && time.Now().Before(deadline); {
		r = run(t, env, "explain", id)
	}
	if r.code != exitDenied || !strings.Contains(r.out, "no_token") || !strings.Contains(r.out, "gatehouse.yaml:") {
		t.Errorf("%+v", r)
	}
}
