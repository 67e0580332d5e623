package wire

import "net/http"

// appendHead appends the request head, the empty line included.
func appendHead(b []byte, out *Outbound) []byte {
	b = append(b, out.Method...)
	b = append(b, ' ')
	b = append(b, out.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, out.Host...)
	b = append(b, "\r\n"...)
	for i := range out.Fields {
		f := &out.Fields[i]
		if f.Nominated || f.Kind != Other && (f.Kind.HopByHop() || f.Kind.Framing() || f.Kind == Expect) {
			continue
		}
		b = appendField(b, f.Name, f.Value)
	}
	b = append(append(b, out.Lines[0]...), out.Lines[1]...)
	if out.Upgrade != nil {
		b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
		b = append(b, out.Upgrade...)
		b = append(b, "\r\n"...)
	}
	switch {
	case out.Body == nil:
	case out.Body.length > 0:
		b = appendLength(b, out.Body.length)
	case out.Body.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case expectsBody(out.Method):
		b = appendLength(b, 0)
	}
	return append(b, "\r\n"...)
}

// expectsBody reports whether a request of the method without a body should
// say so (RFC 9110 section 8.6).
func expectsBody(method []byte) bool {
	switch string(method) {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// sendBuffered is how much of a body goes out with the head at most.
const sendBuffered = 2 * bufferSize

// appendStart appends what the body has in memory. Of a body with a length that
// is not consumed yet, so that the request can be sent again: taken says how much
// it is. A chunked one is consumed. whole says that nothing is left to send.
func appendStart(b []byte, body *Body) (_ []byte, taken int, whole bool) {
	if body == nil || body.mode == bodyNone || body.length == 0 {
		return b, 0, true
	}
	if body.length < 0 {
		b, _ = appendChunks(b, body)
		if whole = body.atEnd(); whole {
			b = append(b, lastChunk...)
		}
		return b, 0, whole
	}
	here := body.Buffered()
	here = here[:min(len(here), sendBuffered)]
	return append(b, here...), len(here), int64(len(here)) == body.length
}
