package app

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/client"
	"gatehouse/docs/reasons"
	"gatehouse/internal/decide"
	"gatehouse/internal/login"
	"gatehouse/internal/okta"
	"gatehouse/internal/scim"
	"gatehouse/internal/web"
)

// later is a handler that exists once what it stands on does. Until then it
// answers 503.
type later struct{ handler atomic.Pointer[http.Handler] }

func (l *later) set(h http.Handler) { l.handler.Store(&h) }

// ServeHTTP answers one request.
func (l *later) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := l.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "5")
	writeProblem(w, http.StatusServiceUnavailable, "unavailable", "the store is down; the gateway goes on, this goes on when the store is back")
}

func writeProblem(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = jsonTo(w, client.Error{Status: status, Title: title, Detail: detail})
}

// identityHandler serves the identity listener.
func (a *App) identityHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/gatehouse/v1/", &a.admin)
	mux.Handle("/api/v1/", &a.okta)
	mux.Handle(scim.Root+"/", &a.scim)
	for _, path := range login.SessionPaths() {
		mux.Handle(path, &a.identityPages) // by the browser's cookie, not by an API token
	}
	mux.Handle("/.well-known/okta-organization", &a.okta)
	mux.Handle(okta.GlobalRevocationPath, &a.okta)
	mux.Handle("/oauth2/v1/clients", &a.okta)
	mux.Handle("/oauth2/v1/clients/", &a.okta)
	mux.HandleFunc("GET /.well-known/gatehouse/jwks.json", a.serveContextKeys)
	mux.HandleFunc("GET /docs/reasons/{reason}", serveReason)
	mux.HandleFunc("GET /docs/reasons/{$}", serveReasonIndex)
	mux.HandleFunc("GET /docs/style.css", serveStyle)
	mux.Handle("/", &a.identityPages)
	return secured(mux)
}

// consoleHandler serves the console listener: for administrators, on loopback.
func (a *App) consoleHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/gatehouse/v1/", &a.admin)
	// Not on the identity listener: whoever may ask here chooses what is decided
	// about, and strangers reach that listener through the operator's own proxies.
	mux.Handle("GET /authz/forward", decide.NewForward(a.consoleDecideConfig()))
	handleAuthZEN(mux, decide.NewAuthZEN(a.consoleDecideConfig(), a.node.gateway))
	mux.Handle("GET /livez", a.health.Live())
	mux.Handle("GET /readyz", a.health.ReadyHandler())
	if a.settings.Telemetry.Metrics {
		mux.Handle("GET /metrics", a.metrics.Handler())
	}
	mux.HandleFunc("GET /docs/reasons/{reason}", serveReason)
	mux.HandleFunc("GET /docs/reasons/{$}", serveReasonIndex)
	mux.HandleFunc("GET /docs/style.css", serveStyle)
	view := consoleView{Metrics: a.settings.Telemetry.Metrics}
	if letters := a.mailboxHandler(); letters != nil {
		mux.Handle("GET "+mailboxPath, letters)
		mux.Handle("GET "+web.AssetPath, letters)
		view.Mailbox = mailboxPath
	}
	mux.Handle("GET /{$}", serveConsole(view))
	return secured(loopbackHost(mux))
}

// secured sets what every page and document of ours has.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		next.ServeHTTP(w, r)
	})
}

// loopbackHost refuses requests that name another host than this machine: a page
// elsewhere whose DNS name is made to point here must not reach the console.
func loopbackHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
			host = host[:i]
		}
		switch strings.Trim(strings.ToLower(host), "[]") {
		case "localhost", "127.0.0.1", "::1":
			next.ServeHTTP(w, r)
		default:
			writeProblem(w, http.StatusMisdirectedRequest, "misdirected", "the console answers as localhost, 127.0.0.1 or [::1] alone")
		}
	})
}

func (a *App) serveContextKeys(w http.ResponseWriter, r *http.Request) {
	doc, etag, ok := a.node.context.jwks()
	if !ok {
		writeProblem(w, http.StatusServiceUnavailable, "unavailable", "the keys are not loaded yet")
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(doc))
}

func serveReason(w http.ResponseWriter, r *http.Request) {
	page, ok := reasons.Document(r.PathValue("reason"), "/docs/style.css")
	if !ok {
		http.NotFound(w, r)
		return
	}
	writePage(w, page)
}

func serveReasonIndex(w http.ResponseWriter, r *http.Request) {
	page, ok := reasons.Document("index", "/docs/style.css")
	if !ok {
		http.NotFound(w, r)
		return
	}
	writePage(w, page)
}

func writePage(w http.ResponseWriter, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(page) //nolint:gosec // the page is ours: the reason only selects it
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(docStyle)
}
