package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const publicAPI = `version: 1
apis:
  a:
    upstream: %s
    auth: public
    routes:
      GET /*: public
`

// SIGTERM under load: every request that got a connection is answered, and the
// process ends with 0.
func TestSigtermUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the binary; make test runs it")
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer up.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, publicAPI, up.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(dir, "cpu.pgo")
	a, cmd, _ := serve(t, binary(t), dir, "dev", file, "--cpu-profile", profile)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		tr := &http.Transport{MaxIdleConnsPerHost: 1}
		wg.Go(func() {
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Gateway+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := tr.RoundTrip(req)
				if errors.Is(err, syscall.ECONNREFUSED) {
					return // nobody listens any more
				}
				if err != nil {
					t.Errorf("after %d: %v", ok.Load(), err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%d %v", res.StatusCode, err)
					return
				}
				ok.Add(1)
			}
		})
	}
	for ok.Load() < 500 && ctx.Err() == nil {
		<-time.After(time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ends with %v", err)
	}
	wg.Wait()
	if ctx.Err() != nil {
		t.Fatal("it did not end in time")
	}
	if b, err := os.ReadFile(profile); err != nil || !bytes.HasPrefix(b, []byte("\x1f\x8b")) { // gzip
		t.Errorf("the CPU profile is not complete: %d bytes, %v", len(b), err)
	}
	t.Logf("%d requests, none failed", ok.Load())
}

// A process that was killed serves again, and what it had confirmed is there.
func TestKilledAndStartedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the binary; make test runs it")
	}
	bin, dir := binary(t), t.TempDir()
	for round := range 3 {
		began := time.Now()
		_, cmd, _ := serve(t, bin, dir, "dev")
		took := time.Since(began)
		label := fmt.Sprintf("app of round %d", round)
		for i := range round + 1 {
			out, code := command(t, bin, dir, "apps", "create", fmt.Sprintf("%s.%d", label, i))
			if code != 0 {
				t.Fatalf("create: %d %s", code, out)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		t.Logf("round %d was ready after %s", round, took.Round(time.Millisecond))
	}
	_, _, _ = serve(t, bin, dir, "dev")
	out, _ := command(t, bin, dir, "apps", "-o", "json")
	for round := range 3 {
		for i := range round + 1 {
			if want := fmt.Sprintf("app of round %d.%d", round, i); !strings.Contains(out, want) {
				t.Errorf("%q is lost:\n%s", want, out)
			}
		}
	}
	if out, code := command(t, bin, dir, "db", "check", "--data", ".gatehouse", "--store", "sqlite:.gatehouse/gatehouse.db"); code != 0 {
		t.Errorf("db check: %s", out)
	}
}
