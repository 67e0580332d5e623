package wire

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An event stream that is silent must not outlive the client that asked for it:
// the upstream sees its connection close soon after the client has gone.
func TestVanishedClientEndsASilentStream(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	up := startWebUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(closed)
	})
	_, addr := startProxy(t, up, ServerConfig{}, &proxy{timeout: patience})
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for got := ""; !strings.Contains(got, "data: one"); {
		n, err := nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	_ = nc.Close()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("the upstream's connection is still open long after the client has gone")
	}
}
