package gateway

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/internal/policy"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// maxLimits bounds the limits of an API and one of its routes together, maxKeyLimits those
// of an API key that come on top.
const (
	maxLimits    = 8
	maxKeyLimits = 2
	maxCounted   = maxLimits + maxKeyLimits
)

// Exchange is one request and its response on their way through the gateway.
// It is pooled: nothing of it may be kept after the step or backend that was
// given it has returned. It is used by one goroutine at a time.
type Exchange struct {
	course
	memory
}

// course is what belongs to one request. It is forgotten as a whole when the
// exchange ends; so what need not be forgotten is not in here.
type course struct {
	// Out is the request for the upstream. The transform step fills it, the path
	// below the base path included; a backend sets Host, Deadline and Replayable,
	// and may put a target's path prefix before Target.
	Out wire.Outbound

	lane wire.Exchange
	req  *wire.Request
	gw   *Gateway
	snap *compiled

	facts
	lookup

	// dry says that nothing may be consumed, sent or recorded: the exchange only
	// answers what would happen. assumed is then the caller, when one was described.
	dry     bool
	assumed *verify.Token
	asked   bool // the decision is all that is wanted: another proxy passes the request on

	host      []byte // canonical, without port
	query     []byte // as sent, without "?"
	hasQuery  bool
	slash     bool // the path holds an encoded slash
	rewritten bool // the canonical path is not the bytes of the request's target

	trusted bool // the peer is a trusted proxy
	auth    int  // index of the Authorization line, -1 for none
	auths   int  // how many there are
	idLine  int  // index of the X-Request-ID line, -1 for none
	parent  int  // index of the traceparent line, -1 for none; -2 for several
	memo    *tokenMemo
	stream  *stream // once the answer has been on its way for long
	scheme  scheme
	session Session // nil: the caller has none
	apiKey  *apiKey // nil: the caller has presented none

	held *wire.Body // the body of a signed request, read and checked; nil for none

	shown        bool                // the client's certificates have been looked for
	certificates []*x509.Certificate // its own first; nil for none
	thumbprint   string              // of its own
	vouched      *authority          // who has vouched for it, when it is what says who calls
	span         *telemetry.Span
	trace        telemetry.TraceParent
	answered     bool

	proofError string // error code of a DPoP challenge
	freshNonce string // what the next proof is to hold; "" when the caller needs none
	wantsDPoP  bool   // a token of the scheme DPoP would do

	retryAfter   time.Duration
	target       string
	attempts     int
	upstreamTook time.Duration
	sent         int64
	status       int
	idLen        int
}

// memory is what the next exchange writes over: it is never read beyond what
// the course of this one has written.
type memory struct {
	idBuf     [64]byte
	hostBuf   [64]byte
	portBuf   [5]byte
	pathBuf   []byte
	targetBuf []byte
	fields    []wire.Field // towards the upstream
	lines     []byte       // towards the upstream
	answer    []wire.Field // towards the client
	answerBuf []byte
	body      []byte
	cookies   []byte // towards the upstream, without ours
	stamp     timeStamp
	kept      any // the backend's
	claims    [maxCounted]ratelimit.Claim
	states    [maxCounted]limitState // facts.limits is the beginning of it
}

// facts are what a decision is explained from. They outlive the exchange.
type facts struct {
	started time.Time
	route   *route        // nil until one is matched
	token   *verify.Token // nil until one is accepted
	client  netip.Addr
	// certificate is the thumbprint (x5t#S256) of the certificate that the client has
	// shown, "" when it has shown none.
	certificate string
	place       place           // of the client, when somebody has asked
	stopped     stepID          // the step that refused, or the last one
	reason      *Reason         // nil when nothing refused
	cause       error           // why, for the trace and the log
	limits      []limitState    // those that were looked at
	exact       bool            // the caller was described, not proven
	bySession   bool            // the caller is a browser that has signed in
	verdict     *policy.Verdict // of the rules that denied, nil when none did
	shadow      *policy.Verdict // of the rules that would have, nil when none would
	opinions    *opinions       // of decision points outside, nil where none is asked
}

// Request returns the request as the lane parsed it. It is read-only.
func (ex *Exchange) Request() *wire.Request { return ex.req }

// Context is cancelled when the client of an HTTP/2 stream is gone or the gateway
// is closed. On the strict lane a vanished client is noticed when it is written to.
func (ex *Exchange) Context() context.Context {
	if l, ok := ex.lane.(interface{ Context() context.Context }); ok {
		return l.Context()
	}
	return ex.gw.base
}

// Now returns the time by the gateway's clock.
func (ex *Exchange) Now() time.Time { return ex.gw.config.Now() }

// Kept is a place where a backend finds again what it has put there for the exchanges
// after this one: memory, and nothing of a request.
func (ex *Exchange) Kept() *any { return &ex.kept }

// Started returns when the exchange began, by the gateway's clock.
func (ex *Exchange) Started() time.Time { return ex.started }

// ID returns the request id. The bytes are valid until the exchange ends.
func (ex *Exchange) ID() []byte { return ex.idBuf[:ex.idLen] }

// ClientIP returns the address of the client: the peer's, or the one that
// trusted proxies vouch for.
func (ex *Exchange) ClientIP() netip.Addr { return ex.facts.client }

// Header returns the value of the first request header of the name, nil when
// there is none. The name must be given in lower case.
func (ex *Exchange) Header(name string) []byte {
	for i := range ex.req.Fields {
		if f := &ex.req.Fields[i]; wire.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return nil
}

// Claim returns a string claim of the caller's token, "" when there is none.
func (ex *Exchange) Claim(name string) string {
	if ex.token == nil {
		return ""
	}
	v, _ := ex.token.Claim(name)
	s, _ := v.(string)
	return s
}

// Idempotent reports whether the method may be sent twice with the effect of
// once (RFC 9110 section 9.2.2).
func (ex *Exchange) Idempotent() bool {
	switch ex.kind {
	case methodGet, methodHead, methodPut, methodDelete, methodOptions:
		return true
	default:
		return false
	}
}

// SetRetryAfter makes the gateway's own answer to this exchange carry a
// Retry-After of d, rounded up to whole seconds. Call it before returning an error.
func (ex *Exchange) SetRetryAfter(d time.Duration) { ex.retryAfter = d }

// SetUpstream notes for the record which target answered last, after how many
// attempts, and how long it took until the response head.
func (ex *Exchange) SetUpstream(target string, attempts int, took time.Duration) {
	ex.target, ex.attempts, ex.upstreamTook = target, attempts, took
}

// Relay filters the head of an upstream's response, adds what the gateway adds
// to every response, and sends it to the client with its body. The error says
// which side failed; by then the client has been answered or is gone.
func (ex *Exchange) Relay(r *wire.Response) error {
	if err := ex.stands(); err != nil {
		return err
	}
	own := r.Fields // the backend's memory, which it may use again
	ex.filterResponse(r)
	ex.answered, ex.status = true, r.Status
	if ex.token != nil {
		r.Watch = watched{ex}
	}
	n, err := ex.lane.Relay(r)
	ex.sent, r.Fields, r.Watch = n, own, nil
	return ex.endedEarly(err)
}

// stands asks once more about a caller whose answer took long to begin.
func (ex *Exchange) stands() error {
	if ex.token == nil || ex.memo == nil || ex.upstreamTook < wire.OpenAfter {
		return nil
	}
	return ex.askAgain()
}

//go:noinline // as filterResponse
func (ex *Exchange) askAgain() error {
	s := stream{memo: ex.memo, token: ex.token, cert: ex.certificate, vouched: ex.vouched, chain: ex.certificates}
	err := ex.gw.judge(&s, ex.started)
	if err != nil {
		ex.stopped = stepRevocation
	}
	return err
}

// Upgrade is Relay for a 101: it switches both connections and copies until one
// side ends, the gateway drains, or the caller is refused from now on.
func (ex *Exchange) Upgrade(r *wire.Response) error {
	own := r.Fields
	ex.filterResponse(r)
	ex.answered, ex.status = true, http.StatusSwitchingProtocols
	if ex.token != nil {
		r.Watch = watched{ex}
	}
	n, err := ex.lane.Upgrade(r, ex.gw.draining)
	ex.sent, r.Fields, r.Watch = n, own, nil
	return ex.endedEarly(err)
}

// Responded reports whether the client has been sent an answer, in part at least.
func (ex *Exchange) Responded() bool { return ex.answered }

// begin makes the exchange ready for a request. It looks once over the fields
// and remembers where those are that steps ask for.
func (ex *Exchange) begin(g *Gateway, lane wire.Exchange) {
	ex.gw, ex.lane, ex.req = g, lane, lane.Request()
	_, ex.asked = lane.(*askedLane)
	ex.snap = g.current.Load()
	ex.started = g.config.Now()
	ex.auth, ex.auths, ex.idLine, ex.parent = -1, 0, -1, -1
	for i := range ex.req.Fields {
		switch ex.req.Fields[i].Kind {
		case wire.Authorization:
			ex.auth = i
			ex.auths++
		case wire.XRequestID:
			ex.idLine = i
		case wire.Traceparent:
			if ex.parent != -1 {
				ex.parent = -2
			} else {
				ex.parent = i
			}
		default:
		}
	}
	ex.findClient()
	ex.identify()
}

// end forgets the request, so that the pool keeps no token or connection alive.
func (ex *Exchange) end() {
	clear(ex.fields)
	clear(ex.answer)
	clear(ex.limits)
	ex.course = course{}
	m := &ex.memory
	m.fields, m.answer = m.fields[:0], m.answer[:0]
	for _, b := range [...]*[]byte{&m.pathBuf, &m.targetBuf, &m.lines, &m.answerBuf, &m.body, &m.cookies} {
		*b = kept(*b)
	}
}

// kept returns the buffer for the next exchange, unless this one has made it large.
func kept(b []byte) []byte {
	if cap(b) > 64<<10 {
		return nil
	}
	return b[:0]
}
