package app

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"
)

// received is what the demo service answers: what reached it, so that a newcomer
// sees what the gateway passes on and what it does not.
type received struct {
	Method    string              `json:"method"`
	Path      string              `json:"path"`
	Query     string              `json:"query"`
	Headers   map[string][]string `json:"headers"`
	BodyBytes int64               `json:"body_bytes"`
}

// demoService is the HR system behind the demo API.
type demoService struct {
	server *http.Server
	url    string
	done   chan struct{}
}

// startDemoService serves on a free loopback port.
func startDemoService(ln net.Listener) *demoService {
	s := &demoService{
		server: &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 10 * time.Second},
		url:    "http://" + ln.Addr().String(),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(ln)
	}()
	return s
}

func (s *demoService) close() {
	_ = s.server.Close()
	<-s.done
}

func echo(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the gateway broke off; nobody is left to answer
	}
	headers := map[string][]string(r.Header.Clone())
	headers["Host"] = []string{r.Host}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(received{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Headers: headers, BodyBytes: n})
}
