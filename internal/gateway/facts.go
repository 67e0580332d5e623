package gateway

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Facts are what a request was decided by, so that it can be decided again by
// another configuration: no token, no credential, no query, no body.
type Facts struct {
	Time    time.Time  `json:"time"`
	Method  string     `json:"method"`
	Host    string     `json:"host,omitempty"`
	Path    string     `json:"path"` // canonical
	From    netip.Addr `json:"from"`
	Country string     `json:"country,omitempty"`
	ASN     uint32     `json:"asn,omitempty"`
	Length  int64      `json:"length,omitempty"` // of the body, when it is known
	// Read are the headers that a rule of the API could read then; Headers those of
	// them that were there.
	Read    []string            `json:"read,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Caller  *CallerFacts        `json:"caller,omitempty"` // nil: nobody was known
	API     string              `json:"api,omitempty"`
	Route   string              `json:"route,omitempty"`
	Reason  string              `json:"reason,omitempty"` // empty when it was allowed
	Step    string              `json:"step,omitempty"`   // that refused
	// Points are the decision points that were asked; the last one refused when their
	// step did.
	Points []string `json:"points,omitempty"`
}

// CallerFacts are what the caller's token said.
type CallerFacts struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub,omitempty"`
	User     string   `json:"user,omitempty"`
	Client   string   `json:"client,omitempty"`
	Audience []string `json:"aud,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	SignIn   int64    `json:"auth_time,omitempty"`
	// Claims are those that a rule could read then, by name; Asked their names.
	Claims map[string]any `json:"claims,omitempty"`
	Asked  []string       `json:"asked,omitempty"`
}

// alwaysKept are claims that are kept whatever rules read.
var alwaysKept = []string{"login", claimDevice, claimRisk}

// Recorder keeps the facts of decisions. It never blocks.
type Recorder interface {
	Record(f Facts)
}

// factsOf returns what the exchange was decided by; false when it never had one meaning,
// or was for a page of the gateway's own, which no configuration decides about.
func (ex *Exchange) factsOf() (Facts, bool) {
	if ex.snap == nil || ex.stopped == stepCanonicalize && ex.reason != nil {
		return Facts{}, false
	}
	if ex.route == nil && (ex.reason == nil || ex.reason.Name == ReasonSignInFailed) {
		return Facts{}, false
	}
	f := Facts{
		Time: ex.started, Method: string(ex.req.Method), Host: string(ex.host), Path: string(ex.path), From: ex.facts.client,
		Country: ex.place.code(), ASN: ex.place.asn, Length: max(ex.req.Body.Length(), 0), Read: ex.snap.rules.Headers(),
	}
	if ex.route != nil {
		f.API, f.Route = ex.route.api.name, ex.route.name
	}
	if ex.reason != nil {
		f.Reason, f.Step = ex.reason.Name, ex.stopped.String()
	}
	if ex.opinions != nil {
		for _, o := range ex.opinions.list {
			f.Points = append(f.Points, o.point)
		}
	}
	for _, name := range f.Read {
		if lines := (*policyFacts)(ex).Header(name); len(lines) > 0 {
			if f.Headers == nil {
				f.Headers = map[string][]string{}
			}
			f.Headers[name] = lines
		}
	}
	if t := ex.token; t != nil {
		f.Caller = callerFacts(t, ex.snap.rules.Claims())
	}
	return f, true
}

func callerFacts(t *verify.Token, claims []string) *CallerFacts {
	c := &CallerFacts{
		Issuer: t.Issuer, Subject: t.Subject, User: t.UserID, Client: t.ClientID, Audience: t.Audience, Scopes: t.Scopes,
		Groups: t.Groups, Roles: t.Roles, ACR: t.ACR, AMR: t.AMR, SignIn: t.AuthTime, Asked: claims,
	}
	for _, list := range [][]string{alwaysKept, claims} {
		for _, name := range list {
			if v, ok := t.Claim(name); ok {
				if c.Claims == nil {
					c.Claims = map[string]any{}
				}
				c.Claims[name] = v
			}
		}
	}
	return c
}

// token returns the caller as the token that it was.
func (c *CallerFacts) token() (*verify.Token, error) {
	object, err := json.Marshal(c.Claims)
	if err != nil {
		return nil, err
	}
	if c.Claims == nil {
		object = []byte("{}")
	}
	t, err := verify.FromClaims(object, verify.ClaimNames{})
	if err != nil {
		return nil, err
	}
	t.Issuer, t.Subject, t.UserID, t.ClientID, t.Audience = c.Issuer, c.Subject, c.User, c.Client, c.Audience
	t.Scopes, t.Groups, t.Roles, t.ACR, t.AMR, t.AuthTime = c.Scopes, c.Groups, c.Roles, c.ACR, c.AMR, c.SignIn
	return t, nil
}

// Judge decides recorded requests by a snapshot that is not served. Nothing is sent,
// counted or recorded. It is for one goroutine.
type Judge struct {
	gateway *Gateway
	rules   *compiled
}

// NewJudge compiles a snapshot. Close gives back what it holds.
func (g *Gateway) NewJudge(s spec.Snapshot) (*Judge, error) {
	probe := g.probe()
	c, err := probe.compile(s, nil)
	if err != nil {
		return nil, err
	}
	return &Judge{g, c}, nil
}

// Close gives back what the judge holds.
func (j *Judge) Close() {
	for _, r := range j.rules.routes {
		r.metrics.Release()
	}
}

// Judgement is what a configuration says of a recorded request.
type Judgement struct {
	Allowed bool
	Reason  string // empty when it is allowed
	Route   string
	// Unknown names what rules read that was not recorded: the judgement may be wrong.
	Unknown []string
}

// Replayable reports whether the facts say what a configuration can decide: a token
// that was refused for itself says nothing about who may do what.
func (f *Facts) Replayable() bool {
	refusedToken := f.Caller == nil && f.Step == stepAuthenticate.String() && f.Reason != ReasonNoToken
	return !refusedToken && f.Reason != ReasonRevoked && f.Reason != ReasonKeyDisabled && f.Reason != ReasonRevocationStateUnknown &&
		f.Reason != ReasonAmbiguousRequest && f.Reason != ReasonProofInvalid
}

// WasAllowed reports whether the request was let through to limits and upstream.
// What happened there is nobody's access.
func (f *Facts) WasAllowed() bool {
	return f.Reason == "" || slices.Contains([]string{stepLimit.String(), stepTransform.String(), stepBackend.String()}, f.Step)
}

// Decide decides the request again.
func (j *Judge) Decide(f *Facts) (Judgement, error) {
	lane := &paperLane{ctx: j.gateway.base, request: f.request()}
	ex := &Exchange{course: course{dry: true}}
	ex.begin(j.gateway, lane)
	ex.snap, ex.started = j.rules, f.Time
	if f.Country != "" || f.ASN != 0 {
		ex.place = placeOf(f.Country, f.ASN)
	}
	if f.Caller != nil {
		t, err := f.Caller.token()
		if err != nil {
			return Judgement{}, fault.Because(err, fault.Invalid, "the recorded caller cannot be read")
		}
		ex.assumed, ex.exact = t, true
	}
	out := Judgement{Allowed: true, Unknown: f.unknown(j.rules.rules)}
	if err := ex.guarded(); err != nil {
		ex.settle(err)
		if ex.stopped < stepLimit {
			out.Allowed, out.Reason = false, ex.reason.Name
		}
	}
	if ex.route != nil {
		out.Route = ex.route.name
	}
	if ex.opinions != nil && out.Allowed {
		// Nobody is asked again: what a decision point has said then is what it says.
		for _, name := range ex.route.spec.Asked(ex.route.api.spec) {
			switch {
			case !slices.Contains(f.Points, name):
				out.Unknown = append(out.Unknown, "the decision point "+name)
			case f.Step == stepElsewhere.String() && name == f.Points[len(f.Points)-1]:
				out.Allowed, out.Reason = false, f.Reason
			}
		}
	}
	return out, nil
}

// unknown names what rules read that was not recorded.
func (f *Facts) unknown(rules *policy.Compiled) []string {
	var out []string
	for _, name := range rules.Headers() {
		if !slices.Contains(f.Read, name) {
			out = append(out, "the header "+name)
		}
	}
	if f.Caller != nil {
		for _, name := range rules.Claims() {
			if !slices.Contains(f.Caller.Asked, name) && !slices.Contains(alwaysKept, name) {
				out = append(out, "the claim "+name)
			}
		}
	}
	return out
}

// request writes the facts as the lane would have read them.
func (f *Facts) request() wire.Request {
	h := Hypothetical{Method: f.Method, Host: f.Host, Path: f.Path, From: f.From, Length: f.Length}
	r := h.request()
	for name, lines := range f.Headers {
		for _, line := range lines {
			r.Fields = append(r.Fields, wire.Field{Name: []byte(name), Value: []byte(line), Kind: wire.Classify([]byte(name))})
		}
	}
	return r
}

// Who names the caller for people: a person, an app, or nobody.
func (f *Facts) Who() string {
	switch c := f.Caller; {
	case c == nil:
		return "nobody"
	case c.User != "" && c.Subject != "" && c.Subject != c.Client:
		return c.Subject
	case c.User != "" && c.User != c.Client:
		return c.User
	case c.Client != "":
		return "app " + c.Client
	default:
		return c.Subject
	}
}

// Operation names what was asked for: the route, or method and path where there was none.
func (f *Facts) Operation() string {
	if f.Route != "" {
		return f.Route
	}
	path, err := url.PathUnescape(f.Path)
	if err != nil {
		path = f.Path
	}
	return strings.TrimSpace(f.Method + " " + path)
}

// keepFacts gives the facts to whoever keeps them.
func (ex *Exchange) keepFacts() {
	if f, ok := ex.factsOf(); ok {
		ex.gw.config.Recorder.Record(f)
	}
}
