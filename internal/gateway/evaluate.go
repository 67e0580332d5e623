package gateway

import (
	"net/http"
	"net/netip"

	"gatehouse/internal/policy"
)

// Evaluation is what came of an AuthZEN question.
type Evaluation struct {
	Permitted bool
	Failed    bool   // a rule could not be evaluated
	ID        string // for explain
}

// Evaluate answers a question by the models of what is served, and keeps why. id is
// what the question is known by; "" for a new one. from is whoever asks.
func (g *Gateway) Evaluate(q policy.Question, id string, from netip.Addr) Evaluation {
	now := g.config.Now()
	if id == "" {
		id = string(newID(nil))
	}
	d := Decision{
		ID: id, Time: now, Method: q.Action, Path: q.Resource.Type + "/" + q.Resource.ID, User: q.Subject.ID, ClientIP: from,
		Step: stepPolicy.String(), Status: http.StatusOK,
	}
	d.Path = d.Path[:min(len(d.Path), keptPath)]
	var reason *Reason
	c := g.current.Load()
	if c == nil {
		reason, d.Detail = reasonNamed(ReasonOverloaded), "no configuration has been loaded yet"
	} else {
		d.Revision = c.revision
		r := c.models.Decide(q)
		d.Route, d.Detail = "authzen "+r.Model, r.Why
		switch {
		case r.Permitted:
		case r.Failed:
			reason = reasonNamed(ReasonPolicyError)
		default:
			reason = reasonNamed(ReasonPolicyForbids)
		}
	}
	if reason != nil {
		d.Reason, d.Status = reason.Name, reason.Status
	}
	d.Duration = g.config.Now().Sub(now)
	g.ring.putRejection(d, reason)
	if g.watchers.any() {
		g.watchers.tell(d)
	}
	return Evaluation{Permitted: reason == nil, Failed: reason != nil && reason.Name != ReasonPolicyForbids, ID: id}
}

// modelTrace is the trace of an AuthZEN question: it has one step.
func (s *slot) modelTrace() Trace {
	t := Trace{Decision: *s.refused, Allowed: s.reason == nil}
	step := TraceStep{Name: stepPolicy.String(), Outcome: OutcomePass, Needed: "that a policy of the model permits it, and none forbids it", Had: s.refused.Detail}
	if s.reason != nil {
		step.Outcome, step.Reason = OutcomeRefuse, s.reason.Name
	}
	t.Steps = []TraceStep{step}
	return t
}
