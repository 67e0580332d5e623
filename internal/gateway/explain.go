package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Outcomes of a step in a trace.
const (
	OutcomePass       = "pass"
	OutcomeRefuse     = "refuse"
	OutcomeSkip       = "not needed"  // the route does not ask for it
	OutcomeNotReached = "not reached" // an earlier step refused
	OutcomeAssumed    = "assumed"     // the caller was described, so nothing was proven
	OutcomeNotAsked   = "not asked"   // others decide, and are asked about requests that were sent only
)

// Trace is a decision step by step: what each needed, what it had, and the line
// of the configuration that asked for it. It is the deep view, for
// administrators; Shallow gives what an app's owner may see.
type Trace struct {
	Decision Decision    `json:"decision"`
	Allowed  bool        `json:"allowed"`
	Steps    []TraceStep `json:"steps"`
}

// TraceStep is one step of a trace.
type TraceStep struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Needed  string `json:"needed,omitempty"`
	Had     string `json:"had,omitempty"`
	Source  string `json:"source,omitempty"` // "gatehouse.yaml:14:7"
}

// Shallow returns the trace without what belongs to the gateway's operator:
// needs, possessions, configuration lines, details.
func (t Trace) Shallow() Trace {
	t.Decision.Detail = ""
	t.Steps = slices.Clone(t.Steps)
	for i := range t.Steps {
		s := &t.Steps[i]
		s.Needed, s.Had, s.Source = "", "", ""
	}
	return t
}

// Hypothetical is a request that nobody has sent.
type Hypothetical struct {
	Method string // empty = GET
	Host   string // may be empty when the API takes any host
	Path   string // with a query, if any
	Header map[string]string
	From   netip.Addr // the peer; the zero value is a loopback address
	// Country and ASN are where the client is, in place of what the files of places
	// say; "" and 0 leave it to them.
	Country string
	ASN     uint32
	Length  int64 // bytes of the request body

	// Token is a real token; then the caller is whoever it says.
	Token string
	// Otherwise the caller is as described here. Anonymous when all are empty.
	User, Client   string
	Scopes, Groups []string
	Roles          []string
	Issuer         string // name of a configured issuer; empty = the first that the API accepts
	// SignIn is how long before the request the user signed in, nil when the token
	// does not say. ACR and AMR are what it says about how.
	SignIn *time.Duration
	ACR    string
	AMR    []string
	// At is the time of the request; zero = now.
	At time.Time
}

func (h *Hypothetical) described() bool {
	return h.Token == "" && (h.User != "" || h.Client != "" || len(h.Scopes) > 0 || len(h.Groups) > 0 || len(h.Roles) > 0 ||
		h.SignIn != nil || h.ACR != "" || len(h.AMR) > 0)
}

// Explain answers what the gateway would do, by running the very steps that
// requests run, but nothing is sent, counted or recorded.
func (g *Gateway) Explain(ctx context.Context, h Hypothetical) (Trace, error) {
	c := g.current.Load()
	if c == nil {
		return Trace{}, fault.New(fault.Unavailable, "no configuration has been loaded yet")
	}
	if !c.hasIssuer(h.Issuer) {
		return Trace{}, fault.New(fault.Invalid, "there is no issuer %q: name one of the configuration", h.Issuer)
	}
	return g.explain(ctx, c, h), nil
}

// hasIssuer reports whether a caller may be described as one of the issuer; of
// the first that the API accepts when it has no name.
func (c *compiled) hasIssuer(name string) bool {
	return name == "" || name == spec.AuthAPIKey || name == spec.AuthMTLS ||
		slices.ContainsFunc(c.spec.Issuers, func(i spec.Issuer) bool { return i.Name == name })
}

// ExplainWith is Explain for a snapshot that is not served: the tests of a
// configuration run before it is. Backends are not made.
func (g *Gateway) ExplainWith(ctx context.Context, s spec.Snapshot, list []Hypothetical) ([]Trace, error) {
	probe := *g.probe()
	c, err := probe.compile(s, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, r := range c.routes {
			r.metrics.Release()
		}
	}()
	out := make([]Trace, len(list))
	for i, h := range list {
		out[i] = g.explain(ctx, c, h)
	}
	return out, nil
}

// noBackend stands in where nothing is sent.
type noBackend struct{ _ byte }

// Serve implements Backend.
func (*noBackend) Serve(*Exchange) error {
	return Refuse(ReasonInternal, nil, "an explained request is not sent")
}

func (g *Gateway) explain(ctx context.Context, c *compiled, h Hypothetical) Trace {
	if h.Method == "" {
		h.Method = "GET"
	}
	lane := &paperLane{ctx: ctx, request: h.request()}
	ex := &Exchange{course: course{dry: true}}
	ex.begin(g, lane)
	ex.snap = c
	if !h.At.IsZero() {
		ex.started = h.At
	}
	if h.Country != "" || h.ASN != 0 {
		ex.place = placeOf(h.Country, h.ASN)
	}
	if h.described() {
		ex.assumed = h.caller(c, ex.started)
		ex.exact = true
	}
	if err := ex.guarded(); err != nil {
		ex.settle(err)
		ex.status = ex.reason.Status
	}
	var s slot
	s.fill(ex, 0)
	return s.trace()
}

// request writes the hypothetical as the lane would have read it.
func (h *Hypothetical) request() wire.Request {
	from := h.From
	if !from.IsValid() {
		from = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	host := h.Host
	if host == "" {
		host = "localhost"
	}
	r := wire.Request{
		Method: []byte(h.Method), Target: []byte(h.Path), Host: []byte(host), Proto: "HTTP/1.1",
		Remote: netip.AddrPortFrom(from, 0), Local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 80),
		Body: wire.NewBody(nil, max(h.Length, 0)),
	}
	add := func(name, value string) {
		r.Fields = append(r.Fields, wire.Field{Name: []byte(name), Value: []byte(value), Kind: wire.Classify([]byte(name))})
	}
	for name, value := range h.Header {
		add(name, value)
	}
	if h.Token != "" {
		add("Authorization", "Bearer "+h.Token)
	}
	return r
}

// caller is the described caller as a token of the named issuer. Without a name,
// authenticate fills in the issuer.
func (h *Hypothetical) caller(c *compiled, now time.Time) *verify.Token {
	t := &verify.Token{
		UserID: h.User, Subject: h.User, ClientID: h.Client,
		Scopes: slices.Clone(h.Scopes), Groups: h.Groups, Roles: h.Roles, ACR: h.ACR, AMR: h.AMR,
	}
	if h.SignIn != nil {
		t.AuthTime = now.Add(-*h.SignIn).Unix()
	}
	slices.Sort(t.Scopes)
	t.Scopes = slices.Compact(t.Scopes)
	if t.Subject == "" {
		t.Subject = h.Client
	}
	t.Issuer = h.Issuer // a name that nobody has is no API's issuer
	if h.Issuer == spec.AuthAPIKey {
		t.Issuer = APIKeyIssuer
	}
	for _, a := range c.apis {
		for _, i := range a.issuers {
			if h.Issuer != "" && i.name == h.Issuer {
				t.Issuer, t.Audience = i.url, i.audience
			}
		}
	}
	return t
}

// Decision returns the trace of a request that was decided not long ago, and
// whether it is still known. Requests on their way are not.
func (g *Gateway) Decision(requestID string) (Trace, bool) {
	var t Trace
	ok := g.ring.find(requestID, func(s *slot) { t = s.trace() })
	return t, ok
}

// trace rebuilds the steps from what was kept: each step that the route has
// says what it asks for and what there was.
func (s *slot) trace() Trace {
	if s.refused != nil && s.refused.Step == stepPolicy.String() {
		return s.modelTrace()
	}
	t := Trace{Decision: s.decision(), Allowed: s.reason == nil}
	bound := map[stepID]step{stepCanonicalize: canonicalize{}, stepMatch: match{}}
	if s.route != nil {
		for _, b := range s.route.steps {
			bound[b.id] = b.do
		}
	}
	for _, k := range steps() {
		if k.phase == onAnswer {
			continue
		}
		t.Steps = append(t.Steps, s.traceStep(k, bound[k.id]))
	}
	return t
}

func (s *slot) traceStep(k stepKind, do step) TraceStep {
	out := TraceStep{Name: k.name, Outcome: OutcomePass}
	switch {
	case s.reason != nil && k.id > s.stopped:
		out.Outcome = OutcomeNotReached
	case do == nil:
		out.Outcome = OutcomeSkip
		return out
	case s.reason != nil && k.id == s.stopped:
		out.Outcome, out.Reason = OutcomeRefuse, s.reason.Name
	case (k.id == stepAuthenticate || k.id == stepSender) && s.exact:
		out.Outcome = OutcomeAssumed
	case k.id == stepElsewhere && s.opinions != nil && s.opinions.nobody:
		out.Outcome = OutcomeNotAsked
	}
	if do == nil {
		return out
	}
	if e, ok := do.(explainer); ok {
		out.Needed, out.Had = e.explain(&s.facts)
	}
	if out.Outcome == OutcomeNotReached {
		out.Had = ""
	}
	if out.Outcome == OutcomeRefuse && out.Had == "" {
		out.Had = causeText(s.cause)
	}
	out.Source = s.source(k.id)
	return out
}

// source names the line that asked for the step.
func (s *slot) source(id stepID) string {
	if s.route == nil || s.snap == nil {
		return ""
	}
	r, sources := s.route, s.snap.spec.Sources
	first := func(paths ...string) string {
		for _, p := range paths {
			if at := sources[p]; at != "" {
				return at
			}
		}
		return ""
	}
	route := func(field ...string) string {
		return spec.PathRoute(r.api.name, r.spec.Method, r.spec.Path, field...)
	}
	api := func(field ...string) string { return spec.PathAPI(r.api.name, field...) }
	switch id {
	case stepMatch:
		return first(route(), api())
	case stepGuard:
		return first(route("max_body"), api("max_body"))
	case stepAuthenticate:
		return first(route("auth"), api("auth"), api())
	case stepSender:
		return first(route("proof"), api("proof"))
	case stepAuthorize:
		return first(route("scopes"), route())
	case stepStepUp:
		return first(route("mfa"), route("max_age"), route("acr"), route("amr"), route())
	case stepZone:
		return first(route("zones"), route())
	case stepGroups:
		return first(route("groups"), route("roles"), route())
	case stepPolicy:
		return s.ruleSource(route())
	case stepElsewhere:
		return first(route("authorize"), api("authorize"))
	case stepLimit:
		if n := len(s.limits); n > 0 && s.limits[n-1].rule.source != "" {
			return s.limits[n-1].rule.source
		}
		return first(route("limit"), api("limit"))
	case stepTransform:
		return first(api("headers"))
	case stepBackend:
		return first(api("upstream"), api())
	default:
		return ""
	}
}

// causeText says why in words, for administrators. Addresses of upstreams are in
// it; secrets are not: no error that reaches here was made from one.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	var refused *fault.Error
	var token *verify.Error
	if errors.As(err, &refused) && errors.As(refused.Cause, &token) && token.Detail == refused.Message {
		// The refusal says what the verifier said: only what was behind that is news.
		if token.Cause == nil {
			return token.Detail
		}
		return token.Detail + ": " + token.Cause.Error()
	}
	return err.Error()
}

// paperLane is a lane on which nothing is sent.
type paperLane struct {
	ctx     context.Context //nolint:containedctx // a lane has the context of its request
	request wire.Request
}

func (l *paperLane) Context() context.Context { return l.ctx }

// Request implements wire.Exchange.
func (l *paperLane) Request() *wire.Request { return &l.request }

// Respond implements wire.Exchange.
func (l *paperLane) Respond(int, []wire.Field, []byte) error { return nil }

// Relay implements wire.Exchange.
func (l *paperLane) Relay(*wire.Response) (int64, error) { return 0, wire.ErrAnswered }

// Upgrade implements wire.Exchange.
func (l *paperLane) Upgrade(*wire.Response, <-chan struct{}) (int64, error) {
	return 0, wire.ErrNoUpgrade
}

// ParseURL fills method-less parts of a hypothetical from an absolute URL or a path.
func (h *Hypothetical) ParseURL(raw string) error {
	if strings.HasPrefix(raw, "/") {
		h.Path = raw
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fault.New(fault.Invalid, "%q is neither a path nor an http or https URL", raw)
	}
	h.Host = u.Host
	if host, port, err := net.SplitHostPort(u.Host); err == nil && port == "" {
		h.Host = host
	}
	// The path as written: what it means is the gateway's to say.
	rest := raw[strings.Index(raw, "://")+3:]
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		h.Path = rest[i:]
	}
	if !strings.HasPrefix(h.Path, "/") {
		h.Path = "/" + h.Path
	}
	return nil
}
