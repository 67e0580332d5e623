package wire

import (
	"fmt"
	"net/http"
	"strconv"
)

const (
	// copySize is the buffer for bodies that do not go by splice.
	copySize = 64 << 10
)

// Relay implements Exchange. Body bytes that have arrived go out with the head
// in one write; the rest follows as it comes, large bodies inside the kernel where both sides are
// plain TCP. When the upstream breaks off, the client's connection is reset, so
// that what it has cannot look whole. An error that is an *Error is the upstream's.
func (s *session) Relay(r *Response) (int64, error) {
	if s.answered {
		return 0, ErrAnswered
	}
	s.answered, s.broken = true, true // until it is whole: a panic in the middle must not leave it half
	s.decideClose(!r.sending() && s.req.Body.settle())
	none := bodyless(s.req.Method, r.Status)
	toClose := !none && r.Body.Length() < 0 && s.req.Proto == "HTTP/1.0"
	s.close = s.close || toClose
	s.out = s.relayHead(r, none)
	var n int64
	var err error
	switch {
	case none || r.Body.Length() == 0:
		err = s.write(s.out)
	case r.Body.Length() > 0:
		n, err = s.relayFixed(r)
	case toClose:
		n, err = s.relayToClose(r)
	default:
		n, err = s.relayChunks(r)
	}
	s.broken = err != nil
	return n, err
}

// relayHead appends the head of the answer to the session's output.
func (s *session) relayHead(r *Response, none bool) []byte {
	b := s.statusLine(s.out[:0], r.Status, r.Reason)
	dated := false
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind != Other {
			if f.HopByHop() || f.Kind.Framing() {
				continue
			}
			dated = dated || f.Kind == Date
		} else if f.Nominated {
			continue
		}
		b = appendField(b, f.Name, f.Value)
	}
	if !dated {
		b = append(b, s.srv.dateLine()...) // RFC 9110 section 6.6.1
	}
	switch {
	case !none && r.Body.Length() >= 0:
		b = appendLength(b, r.Body.Length())
	case none && r.declared >= 0 && r.Status >= 200 && r.Status != http.StatusNoContent:
		b = appendLength(b, r.declared) // of the body that GET would get: HEAD, 304
	case !none && s.req.Proto == "HTTP/1.1":
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	b = s.connectionLine(b)
	return append(b, "\r\n"...)
}

// relayFixed relays a body of known length behind the head in s.out.
func (s *session) relayFixed(r *Response) (int64, error) {
	body := &r.Body
	room := int64(len(body.src.room()))
	here := body.Buffered()
	if rest := body.left - int64(len(here)); rest > 0 && rest <= room {
		// Short, and not all there yet: waiting for the next segment saves the client a packet.
		if err := body.src.fillBody(); err != nil {
			return 0, upstreamFailed(truncated(err))
		}
		here = body.Buffered()
	}
	if err := s.write(s.join(body.src, here)); err != nil {
		return 0, err
	}
	body.consume(len(here))
	sent := int64(len(here))
	if body.atEnd() {
		return sent, nil
	}
	s.vigil.begin(&s.conn.sock, r)
	defer s.endVigil()
	if canMove(&s.conn.sock, body) {
		n, fromUpstream, err := move(&s.conn.sock, body, s.srv.cfg.Timeouts.Write, &s.srv.pipes)
		sent += n
		if fromUpstream {
			err = upstreamFailed(err)
		}
		if err != nil {
			return sent, err
		}
	}
	if body.atEnd() {
		return sent, nil
	}
	n, err := s.relayPlain(r)
	return sent + n, err
}

// join returns the head in s.out with here, what is next in the stream, behind it: where
// there is room, before here in the stream's memory, where the upstream's head was.
func (s *session) join(from *stream, here []byte) []byte {
	if len(s.out) > from.r {
		s.out = append(s.out, here...)
		return s.out
	}
	start := from.r - copy(from.buf[from.r-len(s.out):], s.out)
	return from.buf[start : from.r+len(here)]
}

// endVigil ends the vigil over the answer. One that has told the socket to write no
// more ends the connection.
func (s *session) endVigil() {
	if !s.vigil.end() {
		s.close = true
	}
}

// relayToClose relays a body that ends with the client's connection, behind the head in s.out.
func (s *session) relayToClose(r *Response) (int64, error) {
	here := r.Body.Buffered()
	s.out = append(s.out, here...)
	r.Body.consume(len(here))
	if err := s.write(s.out); err != nil {
		return 0, err
	}
	s.vigil.begin(&s.conn.sock, r)
	defer s.endVigil()
	n, err := s.relayPlain(r)
	return int64(len(here)) + n, err
}

// relayPlain writes the body as it is until it ends.
func (s *session) relayPlain(r *Response) (int64, error) {
	bp := s.srv.copies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer s.srv.copies.Put(bp)
	buf := *bp
	sent := int64(0)
	for !r.Body.atEnd() {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if err := s.write(buf[:n]); err != nil {
				return sent, err
			}
			sent += int64(n)
		}
		if err != nil && !r.Body.atEnd() {
			return sent, upstreamFailed(err)
		}
	}
	return sent, nil
}

// relayChunks frames the body anew, in chunks as large as what has arrived. The
// head is in s.out.
func (s *session) relayChunks(r *Response) (int64, error) {
	b, sent := appendChunks(s.out, &r.Body)
	done := r.Body.atEnd()
	if done {
		b = append(b, lastChunk...)
	}
	s.out = b
	if err := s.write(b); err != nil || done {
		return sent, err
	}
	bp := s.srv.copies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer s.srv.copies.Put(bp)
	s.vigil.begin(&s.conn.sock, r)
	defer s.endVigil()
	for {
		chunk, n, err := readChunk(&r.Body, *bp)
		if err != nil {
			return sent, upstreamFailed(err)
		}
		if err := s.write(chunk); err != nil {
			return sent, err
		}
		sent += int64(n)
		if r.Body.ended {
			return sent, nil
		}
	}
}

const lastChunk = "0\r\n\r\n"

// Room for the longest size line of a chunk here, and for what ends it.
const (
	chunkFront = 8 // "ffff" and CR LF, with some to spare
	chunkBack  = 2 + len(lastChunk)
)

// appendChunks appends what the body has in memory as chunks; it returns the content bytes.
func appendChunks(b []byte, body *Body) ([]byte, int64) {
	var sent int64
	for {
		here := body.Buffered()
		if len(here) == 0 {
			return b, sent
		}
		b = strconv.AppendInt(b, int64(len(here)), 16)
		b = append(b, "\r\n"...)
		b = append(b, here...)
		b = append(b, "\r\n"...)
		sent += int64(len(here))
		body.consume(len(here))
	}
}

// readChunk reads content into buf and frames it in place, the last chunk
// included when the end is known to have come.
func readChunk(body *Body, buf []byte) (chunk []byte, n int, err error) {
	n, err = body.Read(buf[chunkFront : len(buf)-chunkBack])
	if err != nil && !body.atEnd() {
		return nil, 0, err
	}
	end := chunkFront + n
	start := end
	if n > 0 {
		var size [chunkFront]byte
		line := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
		start = chunkFront - len(line)
		copy(buf[start:], line)
		end += copy(buf[end:], "\r\n")
	}
	if body.atEnd() {
		end += copy(buf[end:], lastChunk)
	}
	return buf[start:end], n, nil
}

func upstreamFailed(err error) error {
	return &Error{Phase: PhaseRead, Sent: true, Timeout: err == ErrBodyTimeout, Err: fmt.Errorf("relay the body: %w", err)} //nolint:errorlint // set by this package
}
