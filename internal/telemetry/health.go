package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// State is how well a part of the process works.
type State uint8

// The states.
const (
	OK       State = iota
	Degraded       // it works with less: from a cache, from disk, locally
	Failing        // it does not work
)

var stateNames = [...]string{OK: "ok", Degraded: "degraded", Failing: "failing"}

// String returns the state in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "failing"
}

// Status is the answer of a check.
type Status struct {
	State  State
	Detail string // what is going on and what traffic it touches; shown to whoever may ask, so no secret
}

// Check is one named part of the process.
type Check struct {
	Name string // such as "store", "redis", "issuer okta", "upstream hr"
	// Required says that the process must not be given traffic while the check
	// is failing. Degraded never takes a process out.
	Required bool
	// Probe answers from what is known already and returns at once; what needs
	// the network probes in the background and remembers.
	Probe func(ctx context.Context) Status
}

// Health is the registry of checks and the pages over it. The zero value is
// ready for use and live, but not ready until Started is called.
type Health struct {
	mu       sync.Mutex
	checks   []*Check
	started  bool
	draining bool
}

// Register adds a check and returns what takes it away again.
func (h *Health) Register(c Check) (remove func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &c
	h.checks = append(h.checks, p)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.checks = slices.DeleteFunc(h.checks, func(x *Check) bool { return x == p })
	}
}

// Started says that all listeners serve.
func (h *Health) Started() { h.set(func() { h.started = true }) }

// Draining says that the process is about to end: it is not ready any more.
func (h *Health) Draining() { h.set(func() { h.draining = true }) }

func (h *Health) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Report is the state of one check at one moment.
type Report struct {
	Name     string
	Required bool
	Status
}

// Reports asks every check, in order of name.
func (h *Health) Reports(ctx context.Context) []Report {
	h.mu.Lock()
	checks := slices.Clone(h.checks)
	h.mu.Unlock()
	slices.SortStableFunc(checks, func(a, b *Check) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]Report, len(checks))
	for i, c := range checks {
		out[i] = Report{Name: c.Name, Required: c.Required, Status: c.Probe(ctx)}
	}
	return out
}

// Ready reports whether the process should be given traffic: it has started, is
// not draining, and no required check is failing.
func (h *Health) Ready(ctx context.Context) bool {
	h.mu.Lock()
	up := h.started && !h.draining
	h.mu.Unlock()
	return up && !slices.ContainsFunc(h.Reports(ctx), func(r Report) bool { return r.Required && r.State == Failing })
}

// Live serves /livez: 200 as long as the process can answer at all.
func (h *Health) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok\n")
	})
}

// ReadyHandler serves /readyz: 200 "ok" or 503 with the names of what is
// failing; with ?verbose a line for each check:
//
//	[+]store ok
//	[~]redis degraded: limits count on this node alone
//	[-]issuer okta failing: no keys yet
//	readyz check failed
func (h *Health) ReadyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		status, text := h.page(ctx, r.URL.Query().Has("verbose"))
		answer(w, status, text)
	})
}

func (h *Health) page(ctx context.Context, verbose bool) (int, string) {
	h.mu.Lock()
	started, draining := h.started, h.draining
	h.mu.Unlock()
	reports := h.Reports(ctx)
	switch {
	case draining:
		reports = append([]Report{{Name: "process", Required: true, Status: Status{Failing, "draining, about to end"}}}, reports...)
	case !started:
		reports = append([]Report{{Name: "process", Required: true, Status: Status{Failing, "still starting"}}}, reports...)
	}
	var b strings.Builder
	var failing []string
	for _, r := range reports {
		if r.State == Failing && r.Required {
			failing = append(failing, r.Name)
		}
		if verbose {
			b.WriteString(r.line())
		}
	}
	switch {
	case len(failing) > 0 && verbose:
		b.WriteString("readyz check failed\n")
	case len(failing) > 0:
		fmt.Fprintf(&b, "not ready: %s; see /readyz?verbose\n", strings.Join(failing, ", "))
	case verbose:
		b.WriteString("readyz check passed\n")
	default:
		b.WriteString("ok\n")
	}
	if len(failing) > 0 {
		return http.StatusServiceUnavailable, b.String()
	}
	return http.StatusOK, b.String()
}

func (r Report) line() string {
	mark := map[State]string{OK: "[+]", Degraded: "[~]"}[r.State]
	if mark == "" {
		mark = "[-]"
	}
	line := mark + r.Name + " " + r.State.String()
	if r.Detail != "" {
		line += ": " + strings.Map(oneLine, r.Detail)
	}
	if !r.Required && r.State == Failing {
		line += " (not required for traffic)"
	}
	return line + "\n"
}

// oneLine keeps a detail from pretending to be another check.
func oneLine(c rune) rune {
	if c < ' ' || c == 0x7f {
		return ' '
	}
	return c
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	//nolint:errcheck // a client that is gone needs no answer
	w.Write([]byte(text))
}
