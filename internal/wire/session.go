package wire

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// session is one request of a connection after another: buffers, parsed head,
// and the Exchange that the handler gets. Sessions are pooled; a connection that
// waits for its next request has none.
type session struct {
	srv     *Server
	conn    *serverConn
	in      stream
	out     []byte
	req     Request
	framing framing
	vigil   vigil // over an answer that takes long
	kept    any   // the handler's

	answered bool // an answer has begun
	close    bool // the answer said that the connection ends
	broken   bool // the answer could not be finished: the client must not take it for whole
}

func newSession(srv *Server) *session {
	return &session{
		srv: srv, in: stream{buf: make([]byte, bufferSize)}, out: make([]byte, 0, 4<<10),
		req: Request{Fields: make([]Field, 0, 24)},
	}
}

func (s *session) attach(c *serverConn) {
	s.conn = c
	s.in.sock = &c.sock
	s.in.base, s.in.r, s.in.w = 0, 0, 0
}

// detach forgets the connection, and what has grown beyond the ordinary.
func (s *session) detach() {
	s.conn, s.in.sock = nil, nil
	s.req = Request{Fields: s.req.Fields[:0]}
	if len(s.in.buf) != bufferSize {
		s.in.buf = make([]byte, bufferSize)
	}
	if cap(s.out) > 4*bufferSize {
		s.out = make([]byte, 0, 4<<10)
	}
}

// begin parses the head into the request.
func (s *session) begin(head []byte) error {
	c := s.conn
	s.req = Request{Fields: s.req.Fields[:0], Remote: c.remote, Local: c.local, TLS: c.tls}
	s.answered, s.close, s.broken = false, false, false
	if err := parseRequest(head, &s.srv.cfg.Limits, &s.req, &s.framing); err != nil {
		return err
	}
	return nil
}

// openBody makes the body of what the head said. A request has one interpretation whatever its
// method: no length and no chunks means no body.
func (s *session) openBody() {
	t := &s.srv.cfg.Timeouts
	s.in.startBody(t.Body, t.BodyRate)
	switch {
	case s.framing.chunked:
		s.req.Body = chunkedBody(&s.in)
	case s.framing.length > 0:
		s.req.Body = fixedBody(&s.in, s.framing.length)
	default:
		s.req.Body = Body{}
	}
}

// Request returns the request; it is valid until the handler returns.
func (s *session) Request() *Request { return &s.req }

// Kept implements Keeper.
func (s *session) Kept() *any { return &s.kept }

// Upgrade always fails here.
func (s *session) Upgrade(*Response, <-chan struct{}) (int64, error) { return 0, ErrNoUpgrade }

// Respond implements Exchange. The whole answer is one write.
func (s *session) Respond(status int, fields []Field, body []byte) error {
	if s.answered {
		return ErrAnswered
	}
	for i := range fields {
		if !ValidFieldName(fields[i].Name) || !noControls(fields[i].Value) {
			return errAnswerField
		}
	}
	s.answered = true
	s.decideClose(s.req.Body.settle())
	none := bodyless(s.req.Method, status)
	b := s.statusLine(s.out[:0], status, nil)
	for i := range fields {
		if f := &fields[i]; !f.HopByHop() && !f.Kind.Framing() && f.Kind != Date {
			b = appendField(b, f.Name, f.Value)
		}
	}
	b = append(b, s.srv.dateLine()...)
	if status >= 200 && status != http.StatusNoContent && (status != http.StatusNotModified || len(body) > 0) {
		b = appendLength(b, int64(len(body)))
	}
	b = s.connectionLine(b)
	b = append(b, "\r\n"...)
	if !none {
		b = append(b, body...)
	}
	s.out = b
	return s.write(b)
}

var errAnswerField = errors.New("a field of the answer has an invalid name or a control byte in its value; encode it first")

// refused answers a request that could not be parsed.
func (s *session) refused(status int, fields []Field, body []byte) {
	s.req = Request{Fields: s.req.Fields[:0], Close: true, Proto: "HTTP/1.1"}
	s.answered = false
	if s.Respond(status, fields, body) != nil && !s.answered {
		_ = s.Respond(status, nil, nil) // the renderer's fields are no fields
	}
}

// decideClose settles whether the connection goes on after this answer. settled says that
// nothing of the request is left unread.
func (s *session) decideClose(settled bool) {
	s.close = s.req.Close || !settled || s.srv.closing.Load()
}

// finish ends an exchange after its handler has returned, and reports whether
// the connection goes on.
func (s *session) finish() bool {
	switch {
	case !s.answered:
		_ = s.Respond(http.StatusInternalServerError, nil, nil)
	case s.broken:
		s.conn.sock.reset()
		return false
	}
	if s.close || s.broken || !s.req.Body.settle() {
		if !s.broken && (!s.req.Body.settle() || len(s.in.pending()) > 0) {
			s.linger()
		}
		return false
	}
	s.in.base = 0
	return true
}

// write sends an answer, or the beginning of it.
func (s *session) write(b []byte) error {
	_, err := s.conn.sock.write(b, s.srv.cfg.Timeouts.Write)
	if err != nil {
		s.broken = true
	}
	return err
}

const (
	lingerTime  = time.Second
	lingerBytes = 512 << 10
)

// linger lets the client read an answer that came before its request was whole:
// closing with unread bytes would reset the connection and take the answer back.
func (s *session) linger() {
	sock := &s.conn.sock
	if c, ok := sock.nc.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	sock.resume()
	until := s.srv.cfg.Now().Add(lingerTime)
	for total := 0; total < lingerBytes; {
		n, err := sock.read(s.in.buf, until)
		if err != nil {
			return
		}
		total += n
	}
}

func (s *session) statusLine(b []byte, status int, reason []byte) []byte {
	if status == http.StatusOK && (len(reason) == 0 || string(reason) == "OK") {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if len(reason) > 0 {
		b = append(b, reason...)
	} else {
		b = append(b, http.StatusText(status)...)
	}
	return append(b, "\r\n"...)
}

func (s *session) connectionLine(b []byte) []byte {
	switch {
	case s.close:
		return append(b, "Connection: close\r\n"...)
	case s.req.Proto == "HTTP/1.0":
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

func appendField(b, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// dateLine is a Date line, good for one second.
type dateLine struct {
	second int64
	line   []byte
}

func (s *Server) dateLine() []byte {
	now := s.cfg.Now()
	if d := s.date.Load(); d != nil && d.second == now.Unix() {
		return d.line
	}
	line := append([]byte("Date: "), now.UTC().AppendFormat(nil, http.TimeFormat)...)
	d := &dateLine{second: now.Unix(), line: append(line, "\r\n"...)}
	s.date.Store(d)
	return d.line
}
