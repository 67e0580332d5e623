package decide

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/internal/gateway"
	"gatehouse/internal/policy"
)

// The OpenID AuthZEN Authorization API 1.0, as a decision point.

// Bounds of an AuthZEN request.
const (
	maxEvaluation  = 1 << 20 // bytes
	maxEvaluations = 500
	maxWord        = 1024 // bytes of a type, an id, a name
)

// Evaluator answers AuthZEN questions.
type Evaluator interface {
	Evaluate(q policy.Question, id string, from netip.Addr) gateway.Evaluation
}

// AuthZEN serves the access evaluation API. Make it with NewAuthZEN.
type AuthZEN struct {
	config    Config
	evaluator Evaluator
	mux       *http.ServeMux
}

// NewAuthZEN returns the handler of /access/v1/... and of its metadata.
func NewAuthZEN(c Config, e Evaluator) *AuthZEN {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &AuthZEN{config: c, evaluator: e, mux: http.NewServeMux()}
	a.mux.HandleFunc("POST /access/v1/evaluation", a.evaluation)
	a.mux.HandleFunc("POST /access/v1/evaluations", a.evaluations)
	a.mux.HandleFunc("GET /.well-known/authzen-configuration", a.metadata)
	return a
}

// ServeHTTP implements http.Handler. Metadata is for everybody who reaches it.
func (a *AuthZEN) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if id := r.Header.Get("X-Request-Id"); id != "" && knownBy(id) != "" {
		w.Header().Set("X-Request-Id", id) // section 10.1.3
	}
	if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
		if why := a.config.Trust.refuses(r.RemoteAddr, bearer(r)); why != "" {
			a.config.Logger.WarnContext(r.Context(), "a question was refused", slog.String("peer", r.RemoteAddr), slog.String("why", why))
			refuseAsker(w, why)
			return
		}
	}
	a.mux.ServeHTTP(w, r)
}

// knownBy returns an id that a question is known by as the one who asks says, "" when
// it cannot be one.
func knownBy(id string) string {
	if len(id) > 48 {
		return ""
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return ""
		}
	}
	return id
}

// thing is a subject or a resource on the wire.
type thing struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties"`
}

// action is an action on the wire.
type action struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties"`
}

// evaluation is a question on the wire. Of several, what one leaves out is the
// default that stands beside them.
type evaluation struct {
	Subject  *thing         `json:"subject"`
	Action   *action        `json:"action"`
	Resource *thing         `json:"resource"`
	Context  map[string]any `json:"context"`
}

// evaluations are several questions on the wire.
type evaluations struct {
	evaluation

	Evaluations []evaluation `json:"evaluations"`
	Options     struct {
		Semantic string `json:"evaluations_semantic"`
	} `json:"options"`
}

// decision is an answer on the wire.
type decision struct {
	Decision bool             `json:"decision"`
	Context  *decisionContext `json:"context,omitempty"`
}

// decisionContext says that a question could not be answered.
type decisionContext struct {
	Error evaluationError `json:"error"`
}

type evaluationError struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

func failed(status int, message string) decision {
	return decision{Context: &decisionContext{evaluationError{status, message}}}
}

// question returns what is asked, or what is missing.
func (e *evaluation) question() (q policy.Question, why string) {
	switch {
	case e.Subject == nil || e.Subject.Type == "" || e.Subject.ID == "":
		return q, "subject has a type and an id"
	case e.Action == nil || e.Action.Name == "":
		return q, "action has a name"
	case e.Resource == nil || e.Resource.Type == "" || e.Resource.ID == "":
		return q, "resource has a type and an id"
	}
	for _, s := range []string{e.Subject.Type, e.Subject.ID, e.Action.Name, e.Resource.Type, e.Resource.ID} {
		if len(s) > maxWord {
			return q, fmt.Sprintf("a type, an id or a name has at most %d bytes", maxWord)
		}
	}
	return policy.Question{
		Subject: policy.Thing(*e.Subject), Resource: policy.Thing(*e.Resource), Action: e.Action.Name,
		ActionProperties: e.Action.Properties, Context: e.Context,
	}, ""
}

// ask answers one question.
func (a *AuthZEN) ask(r *http.Request, q policy.Question, id string) (decision, string) {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // it was read to find out whether it may ask
	e := a.evaluator.Evaluate(q, id, from.Addr().Unmap())
	if e.Failed {
		return failed(http.StatusInternalServerError, "a rule could not be evaluated"), e.ID
	}
	return decision{Decision: e.Permitted}, e.ID
}

// evaluation serves POST /access/v1/evaluation (section 6).
func (a *AuthZEN) evaluation(w http.ResponseWriter, r *http.Request) {
	var in evaluation
	if status, why := readJSON(w, r, maxEvaluation, false, &in); why != "" {
		wrong(w, status, why)
		return
	}
	a.one(w, r, &in)
}

func (a *AuthZEN) one(w http.ResponseWriter, r *http.Request, in *evaluation) {
	q, why := in.question()
	if why != "" {
		wrong(w, http.StatusBadRequest, why)
		return
	}
	d, id := a.ask(r, q, knownBy(r.Header.Get("X-Request-Id")))
	if w.Header().Get("X-Request-Id") == "" {
		w.Header().Set("X-Request-Id", id)
	}
	answer(w, d)
}

// The ways to go through several questions (section 7.1.2.1).
const (
	executeAll    = "execute_all"
	stopAtDeny    = "deny_on_first_deny"
	stopAtPermit  = "permit_on_first_permit"
	knownSemantic = executeAll + ", " + stopAtDeny + " or " + stopAtPermit
)

// evaluations serves POST /access/v1/evaluations (section 7). Without evaluations it
// is the same as one question.
func (a *AuthZEN) evaluations(w http.ResponseWriter, r *http.Request) {
	var in evaluations
	if status, why := readJSON(w, r, maxEvaluation, false, &in); why != "" {
		wrong(w, status, why)
		return
	}
	if len(in.Evaluations) == 0 {
		a.one(w, r, &in.evaluation)
		return
	}
	if len(in.Evaluations) > maxEvaluations {
		wrong(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d evaluations are answered at once", maxEvaluations))
		return
	}
	switch in.Options.Semantic {
	case "", executeAll, stopAtDeny, stopAtPermit:
	default:
		wrong(w, http.StatusBadRequest, "evaluations_semantic is "+knownSemantic)
		return
	}
	id := knownBy(r.Header.Get("X-Request-Id"))
	out := make([]decision, 0, len(in.Evaluations))
	for i := range in.Evaluations {
		d, first := a.item(r, &in, i, id)
		if id == "" {
			id = strings.TrimSuffix(first, ".1")
			w.Header().Set("X-Request-Id", id)
		}
		out = append(out, d)
		if d.Decision && in.Options.Semantic == stopAtPermit || !d.Decision && in.Options.Semantic == stopAtDeny {
			break
		}
	}
	answer(w, map[string]any{"evaluations": out})
}

// item answers one of several questions. Each is known by the id of all and its place.
func (a *AuthZEN) item(r *http.Request, in *evaluations, i int, id string) (decision, string) {
	e := in.Evaluations[i]
	if e.Subject == nil {
		e.Subject = in.Subject
	}
	if e.Action == nil {
		e.Action = in.Action
	}
	if e.Resource == nil {
		e.Resource = in.Resource
	}
	if e.Context == nil {
		e.Context = in.Context
	}
	q, why := e.question()
	if why != "" {
		return failed(http.StatusBadRequest, why), id
	}
	if id != "" {
		id = fmt.Sprintf("%s.%d", id, i+1)
	}
	return a.ask(r, q, id)
}

// metadata serves /.well-known/authzen-configuration (section 9): where the API is,
// as whoever asks has reached it.
func (a *AuthZEN) metadata(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	answer(w, map[string]string{
		"policy_decision_point":       base,
		"access_evaluation_endpoint":  base + "/access/v1/evaluation",
		"access_evaluations_endpoint": base + "/access/v1/evaluations",
	})
}

// wrong answers what is no question. The API's errors are a text.
func wrong(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(why) // whoever asked may be gone
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}
