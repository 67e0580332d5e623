package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// DecisionPoint is a service outside that is asked whether a request may pass.
type DecisionPoint interface {
	// Ask sends a question (OpenID AuthZEN 1.0 section 6.1), known by the request's id.
	// It blocks for a bounded time. The reason is for administrators; an error says that
	// nothing was decided.
	Ask(ctx context.Context, id string, question []byte) (permitted bool, reason string, err error)
}

// NewDecisionPoint returns what asks a decision point. It must hand out the same one
// while the settings have not changed.
type NewDecisionPoint func(spec.DecisionPoint) (DecisionPoint, error)

// point is a compiled decision point.
type point struct {
	name string
	ask  DecisionPoint
}

// opinions are what came of asking decision points.
type opinions struct {
	list   []opinion
	nobody bool // was asked, since the request is none that was sent
}

// opinion is what came of asking one decision point.
type opinion struct {
	point     string
	permitted bool
	reason    string
	err       error
	took      time.Duration
}

// elsewhere asks decision points about a request that everything else would let pass:
// each has to as well. Their answers count for this request and no other.
type elsewhere struct {
	points []point
	limit  *limit // of the route; nil for none
}

// decisionPoints compiles the decision points of a route.
func (c *compiler) decisionPoints(r *route) (step, error) {
	names := r.spec.Asked(r.api.spec)
	switch {
	case r.public() && len(r.spec.Authorize) > 0:
		return nil, fault.New(fault.Invalid, "the route is public, so there is nobody to ask decision points about: remove authorize")
	case r.public() || len(names) == 0:
		return nil, nil //nolint:nilnil // nobody else is asked
	}
	s := &elsewhere{}
	for _, name := range names {
		i := slices.IndexFunc(c.out.spec.DecisionPoints, func(p spec.DecisionPoint) bool { return p.Name == name })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "there is no decision point %q", name)
		}
		if c.g.config.DecisionPoint == nil {
			return nil, c.unsupported("authorize", name)
		}
		ask, err := c.g.config.DecisionPoint(c.out.spec.DecisionPoints[i])
		if err != nil {
			return nil, fmt.Errorf("decision point %s: %w", name, err)
		}
		s.points = append(s.points, point{name, ask})
	}
	limits, err := c.limit(r)
	if err != nil {
		return nil, err
	}
	s.limit, _ = limits.(*limit)
	return s, nil
}

// Do implements step. A request that is only described or replayed asks nobody: what
// they would say is not known, and the trace says so.
func (s *elsewhere) Do(ex *Exchange) error {
	ex.opinions = &opinions{nobody: ex.dry}
	if ex.dry {
		return nil
	}
	if s.limit != nil && s.limit.full(ex) {
		return errRateLimited // who sends too much does not make others work
	}
	question, err := json.Marshal(ex.question())
	if err != nil {
		return Refuse(ReasonPolicyError, err, "the question for the decision points cannot be written")
	}
	for _, p := range s.points {
		began := ex.Now()
		o := opinion{point: p.name}
		o.permitted, o.reason, o.err = p.ask.Ask(ex.Context(), string(ex.ID()), question)
		o.took = ex.Now().Sub(began)
		ex.opinions.list = append(ex.opinions.list, o)
		switch {
		case o.err != nil:
			return Refuse(ReasonPolicyError, o.err, "the decision point %s has decided nothing", p.name)
		case !o.permitted:
			return Refuse(ReasonPolicyForbids, nil, "the decision point %s forbids it", p.name)
		}
	}
	return nil
}

// The question, in the shape of the standard's interoperability events for gateways:
// an identity, a method and a route, and what else is known beside them.
type (
	askedQuestion struct {
		Subject  askedThing     `json:"subject"`
		Action   askedAction    `json:"action"`
		Resource askedThing     `json:"resource"`
		Context  map[string]any `json:"context"`
	}
	askedThing struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Properties map[string]any `json:"properties"`
	}
	askedAction struct {
		Name string `json:"name"`
	}
)

// question says who wants to do what, with what, and under which circumstances. No
// credential is in it, and no header or body of the request.
func (ex *Exchange) question() askedQuestion {
	t, facts := ex.token, (*policyFacts)(ex)
	id := t.Subject
	if id == "" {
		id = t.ClientID
	}
	params := map[string]string{}
	for n, name := range ex.route.params {
		params[name] = facts.Param(n)
	}
	method, path, host := facts.Target()
	return askedQuestion{
		Subject: askedThing{Type: "identity", ID: id, Properties: subjectProperties(t)},
		Action:  askedAction{Name: method},
		Resource: askedThing{Type: "route", ID: ex.route.full, Properties: map[string]any{
			"api": ex.route.api.name, "operation": ex.route.name, "params": params, "path": path, "host": host,
		}},
		Context: ex.askedContext(facts),
	}
}

// notClaims are claims that are said under a name of ours already, or that are about
// the token and not about whoever has it.
var notClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "scp", "scope", "groups", "roles", "acr", "amr", "auth_time", "cnf",
	"cid", "client_id", "uid", "active", "token_type", "nonce", "ver",
}

func subjectProperties(t *verify.Token) map[string]any {
	claims := map[string]any{}
	for name, value := range t.Claims {
		if !slices.Contains(notClaims, name) && !strings.HasSuffix(name, "_hash") {
			claims[name] = value
		}
	}
	out := map[string]any{"issuer": t.Issuer, "claims": claims}
	for name, value := range map[string]string{
		"login": loginOf(t), "user": t.UserID, "client": t.ClientID, "acr": t.ACR, "device": textClaim(t, claimDevice),
	} {
		if value != "" {
			out[name] = value
		}
	}
	for name, list := range map[string][]string{"scopes": t.Scopes, "groups": t.Groups, "roles": t.Roles, "amr": t.AMR} {
		if list == nil {
			list = []string{}
		}
		out[name] = list
	}
	return out
}

func (ex *Exchange) askedContext(facts *policyFacts) map[string]any {
	now, place := facts.Circumstances(), facts.Place(true, ex.gw.config.Places != nil)
	zones := place.Zones
	if zones == nil {
		zones = []string{}
	}
	out := map[string]any{
		"ip": now.Client.Unmap().WithZone("").String(), "zones": zones, "time": now.Now.UTC().Format(time.RFC3339),
	}
	if place.Country != "" {
		out["country"] = place.Country
	}
	if place.ASN != 0 {
		out["asn"] = place.ASN
	}
	if now.Risk != "" {
		out["risk"] = now.Risk
	}
	if now.SignIn != 0 {
		out["auth_age"] = max(now.Now.Unix()-now.SignIn, 0)
	}
	return out
}

// nobodyAsked stands in for a decision point where nothing is sent.
type nobodyAsked struct{}

// Ask implements DecisionPoint.
func (nobodyAsked) Ask(context.Context, string, []byte) (permitted bool, reason string, err error) {
	return false, "", fault.New(fault.Unavailable, "this gateway only decides")
}

func (s *elsewhere) explain(f *facts) (needed, had string) {
	names := make([]string, len(s.points))
	for i, p := range s.points {
		names[i] = p.name
	}
	needed = "that each of these decision points permits it: " + strings.Join(names, ", ")
	if f.opinions == nil {
		return needed, ""
	}
	if f.opinions.nobody {
		return needed, "nobody was asked, since the request was not sent"
	}
	said := make([]string, 0, len(f.opinions.list))
	for _, o := range f.opinions.list {
		verb := "permits it"
		switch {
		case o.err != nil:
			verb = "has decided nothing: " + causeText(o.err)
		case !o.permitted:
			verb = "forbids it"
		}
		if o.reason != "" {
			verb += ", because: " + o.reason
		}
		said = append(said, o.point+" "+verb+" (after "+o.took.Truncate(time.Millisecond).String()+")")
	}
	return needed, strings.Join(said, "; ")
}
