package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/wire"
)

// The standard lane: net/http, for what the strict lane hands over. It is made as
// strict as the other lane: what net/http lets pass and the strict lane does not is
// refused here, before the steps.

// Bounds of the standard lane; the strict lane has the same.
const (
	maxFields     = 100
	maxHeadBytes  = 32 << 10
	writeSilence  = 30 * time.Second
	relayBuffer   = 32 << 10
	upgradeLinger = 5 * time.Second // how long one direction of a tunnel outlives the other
)

// standardHandler is the standard lane as an http.Handler.
type standardHandler struct {
	g    *Gateway
	pace wire.Pace // of a body
}

// ServeHTTP implements http.Handler.
func (s standardHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := s.g
	lane := &standardLane{g: g, w: w, r: r, rc: http.NewResponseController(w), pace: s.pace}
	// An upstream may begin its answer while the body is still on its way; net/http
	// would otherwise swallow the rest of the body to answer.
	_ = lane.rc.EnableFullDuplex() // only HTTP/2 has no such switch
	if why := lane.adapt(); why != "" {
		lane.reject(why)
		return
	}
	g.ServeExchange(lane)
	if lane.broken {
		// What the client has got so far must not look whole.
		panic(http.ErrAbortHandler)
	}
}

// standardLane is one request of net/http as a wire.Exchange.
type standardLane struct {
	g        *Gateway
	w        http.ResponseWriter
	r        *http.Request
	rc       *http.ResponseController
	pace     wire.Pace
	request  wire.Request
	answered bool
	broken   bool
}

// Request implements wire.Exchange.
func (l *standardLane) Request() *wire.Request { return &l.request }

// Context is the request's: it ends when the client is gone.
func (l *standardLane) Context() context.Context { return l.r.Context() }

// adapt fills the request from net/http's, or says what the strict lane would have refused.
func (l *standardLane) adapt() (why string) {
	r := l.r
	l.request = wire.Request{
		Method: []byte(r.Method), Host: []byte(r.Host), TLS: r.TLS, Proto: r.Proto,
		Close: true,
	}
	if t, ok := r.Context().Value(tlsKey{}).(*tls.ConnectionState); ok {
		l.request.TLS = t
	}
	if l.request.Remote, why = address(r.RemoteAddr); why != "" {
		return why
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		l.request.Local, _ = netip.ParseAddrPort(a.String()) // a port of 0 is shown then
	}
	target, why := originForm(r)
	if why != "" {
		return why
	}
	l.request.Target = []byte(target)
	if why := l.fields(); why != "" {
		return why
	}
	l.request.Body = wire.NewBody(&standardBody{rc: l.rc, body: r.Body, pace: l.pace}, r.ContentLength)
	if r.Body == nil || r.Body == http.NoBody {
		l.request.Body = wire.Body{}
	}
	l.request.Upgrade = l.upgrade()
	return ""
}

func address(s string) (netip.AddrPort, string) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, "the peer has no address"
	}
	return ap, ""
}

// originForm returns the request target as path and query. An absolute form
// (RFC 9112 section 3.2.2) is accepted when it names the host of the Host line,
// which net/http has put aside by then.
func originForm(r *http.Request) (string, string) {
	t := r.RequestURI
	if strings.HasPrefix(t, "/") || t == "*" {
		return t, ""
	}
	scheme, rest, ok := strings.Cut(t, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", whyAbsolute
	}
	at := strings.IndexAny(rest, "/?")
	if at < 0 || rest[at] == '?' || rest[:at] != r.Host {
		return "", whyAbsolute
	}
	return rest[at:], ""
}

// fields copies the header lines and refuses what the strict lane refuses:
// names that servers fold, values with controls, a second Content-Length, a Host
// line that disagrees with the authority, more or larger lines than allowed.
func (l *standardLane) fields() (why string) {
	count, size := 0, len(l.r.RequestURI)+len(l.r.Host)
	for name, values := range l.r.Header {
		b := []byte(name)
		kind := wire.Classify(b)
		if !wire.ValidFieldName(b) || strings.IndexByte(name, '_') >= 0 {
			return "a header name holds a byte that servers fold into another, or that is not allowed"
		}
		switch {
		case kind == wire.Host && (len(values) != 1 || !strings.EqualFold(values[0], l.r.Host)):
			return "the Host line and the authority disagree"
		case kind == wire.ContentLength && (len(values) != 1 || !decimal(values[0])):
			return "the Content-Length is not one plain number"
		}
		if kind == wire.Host {
			continue
		}
		for _, v := range values {
			if !wire.ValidFieldValue([]byte(v)) {
				return "a header value holds a control byte or begins or ends with a space"
			}
			count, size = count+1, size+len(name)+len(v)+4
			if count > maxFields || size > maxHeadBytes {
				return "the request head is too large"
			}
			l.request.Fields = append(l.request.Fields, wire.Field{
				Name: b, Value: []byte(v), Kind: kind, Nominated: l.nominated(name),
			})
		}
	}
	return ""
}

func decimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 18
}

// nominated reports whether a Connection line names the field.
func (l *standardLane) nominated(name string) bool {
	for _, line := range l.r.Header["Connection"] {
		for member := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(member), name) {
				return true
			}
		}
	}
	return false
}

// upgrade returns the protocol that the client wants to switch to: WebSocket,
// the only one that is tunnelled. Others are ignored, as RFC 9110 section 7.8
// allows: to pass "h2c" on would let requests through that no step has seen.
func (l *standardLane) upgrade() []byte {
	const websocket = "websocket"
	if l.r.Method != http.MethodGet || l.r.ContentLength != 0 || !l.nominated("Upgrade") {
		return nil
	}
	if v := l.r.Header["Upgrade"]; len(v) == 1 && strings.EqualFold(v[0], websocket) {
		return []byte(websocket)
	}
	return nil
}

// reject answers a request that is not an exchange.
func (l *standardLane) reject(why string) {
	fields, body := l.g.RejectAnswer(&wire.Rejection{
		Remote: l.request.Remote, Status: http.StatusBadRequest, Reason: wire.ReasonAmbiguous, Detail: why,
	})
	_ = l.Respond(http.StatusBadRequest, fields, body) // the client is gone; the refusal is recorded
}

// Respond implements wire.Exchange.
func (l *standardLane) Respond(status int, fields []wire.Field, body []byte) error {
	if l.answered {
		return wire.ErrAnswered
	}
	l.answered = true
	h := l.w.Header()
	addFields(h, fields)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Connection", "close")                                  // one exchange for each connection that is handed over
	_ = l.rc.SetWriteDeadline(l.g.config.Now().Add(writeSilence)) // without it the server's own limits hold
	l.w.WriteHeader(status)
	if l.r.Method == http.MethodHead {
		return nil
	}
	_, err := l.w.Write(body)
	return err
}

func addFields(h http.Header, fields []wire.Field) {
	for i := range fields {
		f := &fields[i]
		if f.HopByHop() || f.Kind.Framing() {
			continue
		}
		name := http.CanonicalHeaderKey(string(f.Name))
		h[name] = append(h[name], string(f.Value))
	}
}

// Relay implements wire.Exchange. What has no declared length, such as an event
// stream, is flushed as it comes.
func (l *standardLane) Relay(r *wire.Response) (int64, error) {
	if l.answered {
		return 0, wire.ErrAnswered
	}
	l.answered, l.broken = true, true // until it is whole: a panic in the middle must not leave it half
	h := l.w.Header()
	addFields(h, r.Fields)
	h.Set("Connection", "close") // one exchange for each connection that is handed over
	length := r.Body.Length()
	none := l.r.Method == http.MethodHead || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified
	switch {
	case r.Status == http.StatusNoContent:
		length = -1 // RFC 9110 section 8.6
	case none:
		length = r.Declared()
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	l.w.WriteHeader(r.Status)
	if none {
		l.broken = false
		return 0, nil
	}
	n, err := l.pass(r, length < 0 || eventStream(h))
	l.broken = err != nil
	return n, err
}

// pass copies the body of an answer, and watches over it.
func (l *standardLane) pass(r *wire.Response, flush bool) (int64, error) {
	// A client that has gone must not hold the upstream's connection: an event
	// stream may be silent for hours.
	interrupted := make(chan struct{})
	stop := context.AfterFunc(l.r.Context(), func() {
		r.Body.Interrupt()
		close(interrupted)
	})
	watch := l.watchOver(r)
	defer func() {
		watch.end()
		if !stop() {
			<-interrupted // the backend uses the response's memory again
		}
	}()
	return l.copy(&r.Body, flush)
}

func eventStream(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "text/event-stream"
}

func (l *standardLane) copy(from *wire.Body, flush bool) (int64, error) {
	buf, ok := l.g.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, relayBuffer)
		buf = &b
	}
	defer l.g.buffers.Put(buf)
	var sent int64
	if flush {
		if err := l.rc.Flush(); err != nil {
			return 0, err
		}
	}
	for {
		n, err := from.Read(*buf)
		if n > 0 {
			_ = l.rc.SetWriteDeadline(l.g.config.Now().Add(writeSilence)) // as above
			w, werr := l.w.Write((*buf)[:n])
			sent += int64(w)
			if werr == nil && flush {
				werr = l.rc.Flush()
			}
			if werr != nil {
				return sent, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, &wire.Error{Phase: wire.PhaseRead, Sent: true, Err: fmt.Errorf("relay the body: %w", err)}
		}
	}
}

// standardBody reads a request body of net/http within the strict lane's time limits.
type standardBody struct {
	rc   *http.ResponseController
	body io.ReadCloser
	pace wire.Pace
}

// Read implements io.Reader.
func (b *standardBody) Read(p []byte) (int, error) {
	began := time.Now() //nolint:forbidigo // the connection's clock
	_ = b.rc.SetReadDeadline(began.Add(b.pace.Patience()))
	n, err := b.body.Read(p)
	b.pace.Took(time.Since(began), n) //nolint:forbidigo // as above
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case isTimeout(err):
		return n, fmt.Errorf("%w: %w", wire.ErrBodyTimeout, err)
	}
	return n, fmt.Errorf("%w: %w", wire.ErrBodyTruncated, err)
}

// Interrupt makes a Read that waits return: the body is no longer wanted.
func (b *standardBody) Interrupt() {
	_ = b.rc.SetReadDeadline(time.Unix(1, 0)) // it may be over already
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
