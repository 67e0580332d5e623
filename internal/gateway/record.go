package gateway

import (
	"strconv"
	"time"

	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// The record: one line of the access log, counters, the decision for explain
// and tail, and the span. The line holds no query, no user, no token and
// nothing else a person could not be shown; who the caller was is in the decision.

// record runs once for every exchange, when its answer is out.
func (ex *Exchange) record() {
	g := ex.gw
	took := g.config.Now().Sub(ex.started)
	reason := ""
	if ex.reason != nil {
		reason = ex.reason.Name
	}
	if ex.route != nil {
		ex.route.metrics.Observe(ex.status, reason, took, ex.sent)
	} else if reason != "" {
		g.config.Metrics.Reject(reason)
	}
	if g.config.AccessLog != nil {
		ex.body = ex.appendLine(ex.body[:0], took)
		g.config.AccessLog.Write(ex.body)
	}
	g.ring.put(ex, took)
	if g.watchers.any() {
		g.watchers.tell(ex.decision(took))
	}
	if g.config.Recorder != nil {
		ex.keepFacts()
	}
	ex.endSpan(took)
}

// timeStamp keeps the text of the current second.
type timeStamp struct {
	second int64
	text   [20]byte // 2006-01-02T15:04:05.
}

func (s *timeStamp) append(b []byte, t time.Time) []byte {
	if sec := t.Unix(); sec != s.second {
		t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05.")
		s.second = sec
	}
	b = append(b, s.text[:]...)
	fraction := [...]byte{6: 'Z'}
	micros := uint32(t.Nanosecond()) / 1000
	for i := 5; i >= 0; i-- {
		fraction[i] = '0' + byte(micros%10)
		micros /= 10
	}
	return append(b, fraction[:]...)
}

// appendLine writes the access log line: one JSON object.
func (ex *Exchange) appendLine(b []byte, took time.Duration) []byte {
	b = append(b, `{"time":"`...)
	b = ex.stamp.append(b, ex.started)
	b = append(b, `","level":"info","msg":"request","request_id":"`...)
	b = append(append(b, ex.ID()...), '"')
	switch {
	case ex.route != nil:
		b = append(b, ex.route.logged...)
	case ex.snap != nil:
		b = append(b, ex.snap.logged...)
	}
	b = appendText(append(b, `,"method":`...), ex.req.Method)
	if len(ex.host) > 0 {
		b = append(append(append(b, `,"host":"`...), ex.host...), '"') // canonical: nothing in it needs to be escaped
	}
	if ex.stopped > stepCanonicalize {
		b = append(append(append(b, `,"path":"`...), ex.path...), '"') // likewise
	}
	b = strconv.AppendInt(append(b, `,"status":`...), int64(ex.status), 10)
	if ex.reason != nil {
		b = append(append(append(b, `,"reason":"`...), ex.reason.Name...), '"')
	}
	b = strconv.AppendInt(append(b, `,"duration_us":`...), took.Microseconds(), 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), ex.sent, 10)
	b = append(ex.facts.client.AppendTo(append(b, `,"client_ip":"`...)), '"')
	if ex.token != nil && ex.token.ClientID != "" {
		b = appendText(append(b, `,"client_id":`...), ex.token.ClientID)
	}
	if ex.shadow != nil {
		b = appendText(append(b, `,"would_deny":`...), ex.shadow.Rules[0].Name)
	}
	if ex.attempts > 0 {
		b = appendText(append(b, `,"upstream":`...), ex.target)
		b = strconv.AppendInt(append(b, `,"attempts":`...), int64(ex.attempts), 10)
		b = strconv.AppendInt(append(b, `,"upstream_us":`...), ex.upstreamTook.Microseconds(), 10)
	}
	b = append(append(append(b, `,"proto":"`...), ex.req.Proto...), '"')
	if ex.snap != nil {
		b = append(b, ex.snap.loggedLast...)
	}
	return append(b, '}', '\n')
}

// What stands in a JSON string as it is: visible ASCII and the space.
const (
	textLow  = (1<<64 - 1<<0x20) &^ (1 << '"')
	textHigh = (uint64(1)<<63 - 1) &^ (1 << ('\\' - 64))
)

// appendText appends s as a JSON string. Bytes outside of ASCII are shown as the code
// point of the same number: such text comes from strangers and need not be pretty.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte { return quoted(b, s, 0) }

// quoted appends s as a JSON string. Bytes from asIs on stand in it as they are, if asIs is not 0.
func quoted[T ~string | ~[]byte](b []byte, s T, asIs byte) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if in(c, textLow, textHigh) || asIs != 0 && c >= asIs {
			continue
		}
		b = append(b, s[from:i]...)
		if from = i + 1; c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// startTrace reads or starts the trace context. It runs when the exchange is to
// be passed on, or refused: one trace per request, whatever comes of it.
func (ex *Exchange) startTrace() {
	var parent telemetry.TraceParent
	known := false
	if ex.parent >= 0 {
		parent, known = telemetry.ParseTraceParent(ex.req.Fields[ex.parent].Value)
	}
	if !known {
		ex.parent = -1 // then its tracestate is not passed on either
	}
	name := "gateway"
	if ex.route != nil {
		name = ex.route.name
	}
	ex.trace, ex.span = ex.gw.config.Tracer.Start(parent, known, name, ex.started)
}

// endSpan writes what the decision was onto the span, when one is recorded.
func (ex *Exchange) endSpan(took time.Duration) {
	if ex.span == nil {
		return
	}
	end := ex.started.Add(took)
	failed := ""
	ex.span.Set("http.request.method", string(ex.req.Method))
	ex.span.SetInt("http.response.status_code", int64(ex.status))
	ex.span.Set("gatehouse.request_id", string(ex.ID()))
	if ex.route != nil {
		ex.span.Set("http.route", ex.route.full)
		ex.span.Set("gatehouse.api", ex.route.api.name)
	}
	if ex.reason != nil {
		ex.span.Event(ex.stopped.String(), ex.reason.Name, end)
		if ex.reason.Status >= 500 {
			failed = ex.reason.Name
		}
	}
	ex.span.End(end, failed)
}

// recordRejection records a request that never became an exchange: what could
// not be read is not repeated, so there is no method, host or path.
func (g *Gateway) recordRejection(r *wire.Rejection, reason *Reason, id string) {
	now := g.config.Now()
	g.config.Metrics.Reject(reason.Name)
	if g.config.AccessLog != nil {
		var s timeStamp
		b := s.append([]byte(`{"time":"`), now)
		b = append(b, `","level":"info","msg":"request","request_id":"`+id+`","status":`...)
		b = strconv.AppendInt(b, int64(r.Status), 10)
		b = append(b, `,"reason":"`+reason.Name+`","detail":`...)
		b = appendText(b, r.Detail)
		b = append(b, `,"client_ip":"`...)
		b = append(r.Remote.Addr().Unmap().AppendTo(b), "\"}\n"...)
		g.config.AccessLog.Write(b)
	}
	d := Decision{
		ID: id, Time: now, Status: r.Status, Reason: reason.Name, Step: stepCanonicalize.String(),
		ClientIP: r.Remote.Addr().Unmap(), Detail: r.Detail,
	}
	g.ring.putRejection(d, reason)
	if g.watchers.any() {
		g.watchers.tell(d)
	}
}
