package h2

import (
	"strings"

	"golang.org/x/net/http2"

	"gatehouse/internal/wire"
)

// fieldOverhead is what a field counts beside its bytes (RFC 9113 section 10.5.1).
const fieldOverhead = 32

// adapt makes the request of a head that HTTP/2 allows. What only HTTP/2 forbids
// gets the code of a reset (RFC 9113 section 8.1.1); what the strict lane would
// refuse, a rejection.
func (s *stream) adapt(f *http2.MetaHeadersFrame) (*wire.Rejection, http2.ErrCode) {
	c := s.conn
	m := s.mem
	size := 0
	for i := range f.Fields {
		size += len(f.Fields[i].Name) + len(f.Fields[i].Value)
	}
	if cap(m.bytes) < size {
		m.bytes = make([]byte, 0, max(size, 2<<10))
	}
	m.bytes, m.fields = m.bytes[:0], m.fields[:0]
	s.req = wire.Request{Remote: c.remote, Local: c.local, TLS: c.tls, Proto: "HTTP/2.0"}
	if f.Truncated {
		return s.rejection(431, "the head is too large"), http2.ErrCodeNo
	}
	var scheme []byte
	for _, p := range f.PseudoFields() {
		v := m.keep(p.Value)
		switch p.Name {
		case ":method":
			s.req.Method = v
		case ":scheme":
			scheme = v
		case ":authority":
			s.req.Host = v
		case ":path":
			s.req.Target = v
		default:
			return nil, http2.ErrCodeProtocol // ":protocol", ":status"
		}
	}
	connect := string(s.req.Method) == "CONNECT"
	if len(s.req.Method) == 0 || !connect && (len(scheme) == 0 || len(s.req.Target) == 0) || connect && len(s.req.Target) > 0 {
		return nil, http2.ErrCodeProtocol
	}
	why, code := s.fields(f)
	if code != http2.ErrCodeNo {
		return nil, code
	}
	if s.ended && s.declared > 0 {
		return nil, http2.ErrCodeProtocol
	}
	s.req.Fields = m.fields
	if why == nil {
		why = s.req.Check(&c.srv.cfg.Limits)
	}
	if why != nil {
		why.Remote = c.remote
		return why, http2.ErrCodeNo
	}
	if !s.ended {
		s.req.Body = wire.NewBody(body{s}, s.declared)
	}
	return nil, http2.ErrCodeNo
}

func (s *stream) rejection(status int, detail string) *wire.Rejection {
	return &wire.Rejection{Remote: s.conn.remote, Status: status, Reason: wire.ReasonAmbiguous, Detail: detail}
}

// fields takes the header fields over.
func (s *stream) fields(f *http2.MetaHeadersFrame) (*wire.Rejection, http2.ErrCode) {
	m := s.mem
	var cookies []string
	var why *wire.Rejection
	hosts := 0
	refuse := func(detail string) {
		if why == nil {
			why = s.rejection(400, detail)
		}
	}
	for _, h := range f.RegularFields() {
		switch h.Name {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			return nil, http2.ErrCodeProtocol // RFC 9113 section 8.2.2
		case "te":
			if h.Value != "trailers" {
				return nil, http2.ErrCodeProtocol
			}
		case "cookie":
			cookies = append(cookies, h.Value) // RFC 9113 section 8.2.3: it may come in crumbs
			continue
		case "host":
			switch hosts++; {
			case hosts > 1:
				refuse("more than one Host line")
			case len(s.req.Host) == 0:
				s.req.Host = m.keep(h.Value)
			case !strings.EqualFold(h.Value, string(s.req.Host)):
				refuse("the Host line and the authority disagree")
			}
			continue
		case "content-length":
			n, ok := length(h.Value)
			if !ok || s.declared >= 0 {
				refuse("the Content-Length is not one plain number")
			}
			s.declared = n
		case "expect":
			s.wants100 = strings.EqualFold(h.Value, "100-continue")
		}
		if strings.IndexByte(h.Name, '_') >= 0 {
			refuse("a header name holds a byte that servers fold into another, or that is not allowed")
		}
		s.add(h.Name, h.Value)
	}
	if len(cookies) > 0 {
		s.add("cookie", strings.Join(cookies, "; "))
	}
	if len(m.fields) > s.conn.srv.cfg.Limits.Fields {
		why = s.rejection(431, "the head has too many fields")
	}
	for i := range m.fields {
		if !wire.ValidFieldValue(m.fields[i].Value) {
			refuse("a header value holds a control byte or begins or ends with a space")
		}
	}
	return why, http2.ErrCodeNo
}

func (s *stream) add(name, value string) {
	m := s.mem
	n := m.keep(name)
	m.fields = append(m.fields, wire.Field{Name: n, Value: m.keep(value), Kind: wire.Classify(n)})
}

// keep returns a copy of the text, which lasts as long as the stream.
func (m *memory) keep(text string) []byte {
	at := len(m.bytes)
	m.bytes = append(m.bytes, text...)
	return m.bytes[at:len(m.bytes):len(m.bytes)]
}

// length reads a Content-Length: digits only, at most 18 of them.
func length(text string) (int64, bool) {
	if text == "" || len(text) > 18 {
		return -1, false
	}
	var n int64
	for i := range len(text) {
		if text[i]-'0' > 9 {
			return -1, false
		}
		n = n*10 + int64(text[i]-'0')
	}
	return n, true
}
