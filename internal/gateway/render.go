package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"gatehouse/docs/reasons"
	"gatehouse/internal/fault"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// renderer turns a refusal into an answer. It is the only place that does.
type renderer struct {
	byName map[string]*rendered
}

// rendered is what does not change about the answers for one reason.
type rendered struct {
	*Reason
	title    string
	head     string // of the body, up to the status
	tail     string // from there up to the request id
	decision []byte // value of Gatehouse-Decision
}

func newRenderer(identityURL string) *renderer {
	titles := reasons.Titles()
	r := &renderer{byName: make(map[string]*rendered, len(reasonTable))}
	for i := range reasonTable {
		e := &rendered{Reason: &reasonTable[i], title: titles[reasonTable[i].Name]}
		verdict := "deny"
		if e.Status == http.StatusUnauthorized {
			verdict = "challenge"
		}
		e.decision = []byte(verdict + "; reason=" + e.Name)
		e.head = `{"type":` + strconv.Quote(identityURL+"/docs/reasons/"+e.Name) + `,"title":` + strconv.Quote(e.title) + `,"status":`
		e.tail = `,"reason":"` + e.Name + `","request_id":"`
		r.byName[e.Name] = e
	}
	return r
}

// body appends the problem document (RFC 9457).
// login is where a person can sign in, "" when that would not help.
func (e *rendered) body(b []byte, status int, id []byte, login string) []byte {
	b = strconv.AppendInt(append(b, e.head...), int64(status), 10)
	b = append(append(append(b, e.tail...), id...), '"')
	if login != "" {
		b = appendText(append(b, `,"login":`...), login)
	}
	return append(b, "}\n"...)
}

// Names and values of the gateway's own answers as bytes. They are never written to.
var (
	nameDecision     = []byte(headerDecision)
	nameContentType  = []byte("Content-Type")
	nameCacheControl = []byte("Cache-Control")
	nameChallenge    = []byte("WWW-Authenticate")
	nameRetryAfter   = []byte("Retry-After")
	nameAllow        = []byte("Allow")
	nameNonce        = []byte(headerNonce)
	nameLocation     = []byte("Location")
	valueProblem     = []byte("application/problem+json")
	valueJSON        = []byte("application/json")
	valueNoStore     = []byte("no-store")
)

// refuse sends the gateway's own answer for ex.reason.
func (ex *Exchange) refuse() {
	e := ex.gw.render.byName[ex.reason.Name]
	ex.endRevoked()
	if ex.toLogin(e) {
		return
	}
	out := append(ex.answer[:0],
		wire.Field{Name: nameContentType, Value: valueProblem, Kind: wire.ContentType},
		wire.Field{Name: nameCacheControl, Value: valueNoStore, Kind: wire.CacheControl},
		wire.Field{Name: nameDecision, Value: e.decision},
		wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	switch {
	case e.Bearer != noChallenge:
		out = append(out, wire.Field{Name: nameChallenge, Value: ex.challenge(e, ex.speaksDPoP()), Kind: wire.WWWAuthenticate})
		if e.Name == ReasonNoToken && ex.route != nil && ex.route.proof == spec.ProofAny {
			out = append(out, wire.Field{Name: nameChallenge, Value: ex.challenge(e, true), Kind: wire.WWWAuthenticate})
		}
	case e.Status == http.StatusMethodNotAllowed && ex.snap != nil:
		out = append(out, wire.Field{Name: nameAllow, Value: []byte(ex.snap.router.allowed(ex.host, ex.path))})
	}
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		b := ratelimit.AppendRetryAfter(nil, ratelimit.Result{RetryAfter: ex.retryAfter})
		out = append(out, wire.Field{Name: nameRetryAfter, Value: b})
	}
	out = ex.appendNonce(ex.appendLimitFields(out))
	ex.body = e.body(ex.body[:0], e.Status, ex.ID(), ex.loginURL(false))
	ex.answer, ex.answered, ex.status = out, true, e.Status
	err := ex.lane.Respond(e.Status, out, ex.body)
	ex.sent = int64(len(ex.body))
	if err != nil {
		ex.sent = 0
		ex.gw.config.Logger.Debug("the client did not take its answer", slog.Any("error", err))
	}
}

// challenge is the value of WWW-Authenticate (RFC 6750 section 3): what went
// wrong, which scope or which sign-in (RFC 9470) would do, and where to read what the API accepts (RFC 9728).
func (ex *Exchange) challenge(e *rendered, dpop bool) []byte {
	b, code := append([]byte(nil), "Bearer "...), e.Bearer
	if dpop {
		b = append(append(append(b[:0], `DPoP algs="`...), proofAlgorithms()...), `", `...) // RFC 9449 section 7.1
		if e.Name == ReasonProofInvalid && ex.proofError != "" {
			code = ex.proofError
		}
	}
	if code != "" {
		b = append(append(append(b, "error=\""...), code...), "\", "...)
	}
	// Who has no token yet is told what to ask for as well (RFC 6750 section 3, RFC 9728 section 5.1).
	if (e.Name == ReasonMissingScope || e.Name == ReasonNoToken) && ex.route != nil && len(ex.route.scope) > 0 {
		b = append(append(append(b, "scope=\""...), ex.route.scope...), "\", "...)
	}
	if e.Name == ReasonStepUpRequired && ex.route != nil {
		b = append(b, ex.route.signIn...)
	}
	b = append(b, "resource_metadata=\""...)
	b = ex.appendOrigin(b)
	b = append(b, metadataPath...)
	if ex.route != nil {
		b = append(b, ex.route.api.spec.BasePath...)
	}
	return append(b, '"')
}

// appendOrigin appends scheme and authority as the client used them.
func (ex *Exchange) appendOrigin(b []byte) []byte {
	proto, host, _ := ex.outside()
	return append(append(append(b, proto...), "://"...), host...)
}

// finish answers what has not been answered and records the exchange.
func (ex *Exchange) finish(err error) {
	if err != nil {
		ex.settle(err)
		if !ex.answered {
			ex.refuse()
		}
	}
	ex.record()
}

// settle finds the reason of an error and keeps the cause for trace and log.
func (ex *Exchange) settle(err error) {
	ex.cause = err
	name := ""
	if f := fault.Of(err); f != nil {
		name = f.Reason
	}
	if body := bodyReason(err); body != "" {
		name = body
	}
	ex.reason = reasonNamed(name)
	if ex.reason.Name == ReasonInternal && !errors.Is(err, context.Canceled) && !ex.answered {
		ex.gw.config.Logger.Error("an exchange failed", slog.Any("error", err), slog.String("request_id", string(ex.ID())))
	}
	if ex.retryAfter <= 0 {
		ex.retryAfter = time.Second
	}
}

// RejectAnswer renders the answer to a request that the strict lane has refused
// before it became an exchange. Use it as wire.ServerConfig.Reject.
func (g *Gateway) RejectAnswer(r *wire.Rejection) ([]wire.Field, []byte) {
	e := g.render.byName[reasonNamed(r.Reason).Name]
	id := newID(nil)
	fields := []wire.Field{
		{Name: nameContentType, Value: valueProblem},
		{Name: nameCacheControl, Value: valueNoStore},
		{Name: nameDecision, Value: e.decision},
		{Name: nameRequestID, Value: id},
	}
	if r.Status == http.StatusMethodNotAllowed {
		fields = append(fields, wire.Field{Name: nameAllow, Value: []byte("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")})
	}
	g.recordRejection(r, e.Reason, string(id))
	return fields, e.body(nil, r.Status, id, "")
}

// Rejected records what the strict lane has cut off without an answer. Use it as
// wire.ServerConfig.OnReject: what is answered is recorded by RejectAnswer.
func (g *Gateway) Rejected(r *wire.Rejection) {
	if r.Status == 0 {
		g.recordRejection(r, reasonNamed(r.Reason), string(newID(nil)))
	}
}
