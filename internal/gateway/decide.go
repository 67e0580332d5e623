package gateway

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Answer is what the gateway says about a request that another proxy passes on.
type Answer struct {
	Status int         // 200 = allowed
	Header http.Header // allowed: what the proxy copies to the request; else the refusal's own
	Body   []byte      // of a refusal: the problem document
	// Remove names the client's headers that the gateway would not have passed on,
	// such as Authorization, as far as the asking proxy does not set them itself.
	Remove []string
}

// Decide runs a request through the steps as if it had come over a connection,
// but for the backend: it is counted, recorded and logged, and not sent. r stands
// for the client's request: method, RequestURI, Host, Header, RemoteAddr and TLS
// are read, and it has no body. Whoever makes r vouches for all of them.
//
// An allowed request's answer names every header that the gateway would set about
// the caller. One that it has no value for is empty, so that a proxy which copies
// them overwrites what the client sent.
func (g *Gateway) Decide(r *http.Request) Answer {
	lane := &askedLane{from: standardLane{g: g, r: r}}
	if why := lane.from.adapt(); why != "" {
		fields, body := g.RejectAnswer(&wire.Rejection{
			Remote: lane.from.request.Remote, Status: http.StatusBadRequest, Reason: wire.ReasonAmbiguous, Detail: why,
		})
		lane.keep(http.StatusBadRequest, fields, body)
		return lane.answer
	}
	g.ServeExchange(lane)
	if lane.answer.Status == 0 {
		lane.answer.Status = http.StatusInternalServerError // nothing unanswered is allowed
	}
	lane.answer.Remove = lane.removed
	return lane.answer
}

// askedLane is a lane on which nothing is sent on: it keeps the gateway's answer.
type askedLane struct {
	from    standardLane // only what makes the request
	answer  Answer
	removed []string
}

// Request implements wire.Exchange.
func (l *askedLane) Request() *wire.Request { return l.from.Request() }

// Context is the asking proxy's request's.
func (l *askedLane) Context() context.Context { return l.from.Context() }

// Respond implements wire.Exchange.
func (l *askedLane) Respond(status int, fields []wire.Field, body []byte) error {
	if l.answer.Status != 0 {
		return wire.ErrAnswered
	}
	l.keep(status, fields, body)
	return nil
}

func (l *askedLane) keep(status int, fields []wire.Field, body []byte) {
	l.answer = Answer{Status: status, Header: http.Header{}, Body: append([]byte(nil), body...)}
	addFields(l.answer.Header, fields)
}

// Relay implements wire.Exchange. There is no upstream.
func (l *askedLane) Relay(*wire.Response) (int64, error) { return 0, wire.ErrAnswered }

// Upgrade implements wire.Exchange.
func (l *askedLane) Upgrade(*wire.Response, <-chan struct{}) (int64, error) {
	return 0, wire.ErrNoUpgrade
}

// allow answers an exchange that only asked: with the lines about the caller that
// transform has made for the upstream, and nothing else of what it made.
func (ex *Exchange) allow() error {
	out := append(ex.answer[:0],
		wire.Field{Name: nameCacheControl, Value: valueNoStore, Kind: wire.CacheControl},
		wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	names := []string{headerUser, headerClient, headerScopes, headerOmitted, verify.ContextHeader}
	for i := range ex.route.api.claims {
		if c := &ex.route.api.claims[i]; c.fixed == factClaim {
			names = append(names, c.header)
		}
	}
	values := map[string]string{}
	for line := range strings.SplitSeq(string(bytes.Join(ex.Out.Lines[:], nil)), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			values[strings.ToLower(name)] = value
		}
	}
	for _, name := range names {
		out = append(out, wire.Field{Name: []byte(name), Value: []byte(values[strings.ToLower(name)])})
	}
	if ex.snap.sessions {
		// The cookie of a session is a credential, which no upstream gets.
		out = append(out, wire.Field{Name: []byte("Cookie"), Value: ex.passedCookies()})
	}
	out = ex.appendLimitFields(out)
	if l, ok := ex.lane.(*askedLane); ok {
		l.removed = ex.removed()
	}
	ex.answer, ex.answered, ex.status = out, true, http.StatusOK
	return ex.lane.Respond(http.StatusOK, out, nil)
}

// passedCookies returns the client's cookies without those of the gateway, as transform
// has left them.
func (ex *Exchange) passedCookies() []byte {
	var lines [][]byte
	for i := range ex.fields {
		if ex.fields[i].Kind == wire.Cookie {
			lines = append(lines, ex.fields[i].Value)
		}
	}
	return bytes.Join(lines, []byte("; "))
}

// removed returns the names of request headers that transform has not passed on.
// What a proxy says of the connection and the trace is its own.
func (ex *Exchange) removed() []string {
	var out []string
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		switch {
		case f.Kind == wire.Authorization, f.Kind == wire.APIKey, f.Kind == wire.DPoP, f.Kind == wire.Other:
		case f.Kind.ClientClaim() && !bytes.HasPrefix(bytes.ToLower(f.Name), []byte("x-forwarded-")) && f.Kind != wire.Forwarded:
		default:
			continue
		}
		passed := slices.ContainsFunc(ex.fields, func(o wire.Field) bool { return bytes.Equal(o.Name, f.Name) })
		if name := string(f.Name); !passed && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
