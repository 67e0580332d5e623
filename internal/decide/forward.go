// Package decide is the decision without the proxy: it lets nginx (auth_request),
// Traefik (ForwardAuth), Caddy (forward_auth) and programs ask the gateway what it
// would do with a request that they pass on themselves, and AuthZEN clients what
// the model of the file says. It turns what they say into the request that the
// client sent, and the answer into one that they understand; what is decided, and
// why, it must not know. Who may ask is one rule for all of them (Trust).
package decide

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"gatehouse/internal/gateway"
)

// Decider decides about a request that stands for the client's.
type Decider interface {
	Decide(r *http.Request) gateway.Answer
}

// Config is what a Forward is made of. Decider is required.
type Config struct {
	Decider Decider
	Trust   Trust        // who may ask; zero: this machine
	Logger  *slog.Logger // nil: discarded
	// CertificateHeader is one of gateway's CertHeader constants: where a proxy that asks
	// says which certificate the client has shown. Empty: it says nothing.
	CertificateHeader string
}

// Forward answers proxies. Make it with NewForward.
type Forward struct{ config Config }

// NewForward returns the handler of GET /authz/forward.
func NewForward(c Config) *Forward {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Forward{c}
}

// ServeHTTP implements http.Handler. It answers 200 with the headers that the
// proxy copies, or as the gateway would have refused the request. 400 says that the
// question has no meaning, and 403 without a reason that the peer may not ask.
func (f *Forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := f.config.Trust.refuses(r.RemoteAddr, r.Header.Values(TokenHeader)); why != "" {
		f.refuse(w, r, http.StatusForbidden, "not for whoever asks this", why)
		return
	}
	r.Header.Del(TokenHeader)
	asked, dialect, why := original(r, f.config.CertificateHeader)
	if why != "" {
		f.refuse(w, r, http.StatusBadRequest, "the question has no single meaning", why)
		return
	}
	answer := f.config.Decider.Decide(asked)
	h := w.Header()
	for name, values := range answer.Header {
		h[name] = values
	}
	h.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	w.WriteHeader(dialect.status(answer.Status))
	if r.Method != http.MethodHead {
		_, _ = w.Write(answer.Body) // the proxy may be gone
	}
}

func (f *Forward) refuse(w http.ResponseWriter, r *http.Request, status int, title, detail string) {
	f.config.Logger.WarnContext(r.Context(), "a question of a proxy was refused",
		slog.String("peer", r.RemoteAddr), slog.String("why", detail))
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": title, "detail": detail}) // the proxy may be gone
}
