package gateway

import (
	"bytes"
	"net/netip"
	"unicode/utf8"
)

// One canonical form. Host, path and query are made canonical once; the router,
// policy and the upstream all see that form and no other. What RFC 3986 lets
// mean the same is made the same (an unreserved byte is never encoded, hex is
// upper-case, a host is lower-case); what servers are known to read in different
// ways is refused: dot segments, empty segments, backslashes, ";" parameters,
// encoded slashes, encodings of encodings, control bytes, what is not UTF-8.

// maxTarget bounds path and query together, in bytes. The strict lane has the
// same limit; it is here for the standard lane.
const maxTarget = 8 << 10

// Sets of ASCII bytes as two words of bits: bytes below 64, and the others.
// Shifts by 64 and more give 0, so a test needs no branch.
const (
	digits   = uint64(1<<10-1) << '0'
	capitals = uint64(1<<26-1) << ('A' - 64)
	smalls   = uint64(1<<26-1) << ('a' - 64)

	// unreserved (RFC 3986 section 2.3): encoding it changes nothing
	unreservedLow  = digits | 1<<'-' | 1<<'.'
	unreservedHigh = capitals | smalls | 1<<('_'-64) | 1<<('~'-64)

	// may stand in a path as it is: pchar without ";", "/" and "%"
	pathLow = unreservedLow | 1<<'!' | 1<<'$' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' |
		1<<',' | 1<<'=' | 1<<':' | 1<<'/' | 1<<'%'
	pathHigh = unreservedHigh | 1<<('@'-64)

	// may stand in a query as it is: every visible byte but "#" and ";"
	queryLow  = (1<<64 - 1<<0x21) &^ (1<<'#' | 1<<';')
	queryHigh = uint64(1)<<63 - 1

	hostLow  = digits | 1<<'-' | 1<<'.'
	hostHigh = smalls | 1<<('_'-64)

	methodLow  = digits | 1<<'-'
	methodHigh = capitals | 1<<('_'-64)
)

func in(c byte, low, high uint64) bool {
	return (uint64(1)<<c)&low|(uint64(1)<<(c-64))&high != 0
}

// What is wrong with a target. The texts go to the trace, never to the caller.
const (
	whyEmpty        = "the path is empty"
	whyAbsolute     = "the path does not begin with /"
	whyByte         = "the path holds a byte that must be percent-encoded or is not allowed"
	whyPercent      = "the path holds a percent sign that begins no valid encoding"
	whyControl      = "the path holds an encoded control byte"
	whyBackslash    = "the path holds a backslash"
	whySemicolon    = "the path holds a semicolon"
	whyDouble       = "the path holds an encoding of an encoding"
	whyUTF8         = "the encoded bytes of the path are not valid UTF-8"
	whySegment      = "the path holds an empty segment"
	whyDots         = "the path holds a dot segment"
	whyQuery        = "the query holds a byte that must be percent-encoded or is not allowed"
	whyQueryPercent = "the query holds a percent sign that begins no valid encoding"
	whyLong         = "the target is longer than 8 KiB"
	whyHost         = "the host is not a host name or address with an optional port"
	whyMethod       = "the method is not an upper-case word"
	whyEncodedSlash = "the path holds an encoded slash, which this API does not accept"
	whyNoHost       = "the request names no host"
	whyHostLength   = "the host is longer than 253 bytes"
)

// canonicalize is the step that gives the exchange its canonical request.
type canonicalize struct{}

// Do implements step.
func (canonicalize) Do(ex *Exchange) error {
	if why := ex.canonical(); why != "" {
		return Refuse(ReasonAmbiguousRequest, nil, "%s", why)
	}
	return nil
}

func (canonicalize) explain(*facts) (needed, had string) { return "a request with one meaning", "" }

// canonical sets method, host, path and query, or says what is ambiguous.
func (ex *Exchange) canonical() (why string) {
	req := ex.req
	if !validMethod(req.Method) {
		return whyMethod
	}
	ex.kind, ex.method = methodOf(req.Method), req.Method
	if ex.host, why = canonicalHost(ex.hostBuf[:0], req.Host); why != "" {
		return why
	}
	if len(req.Target) > maxTarget {
		return whyLong
	}
	var raw []byte
	raw, ex.query, ex.hasQuery = splitTarget(req.Target)
	if ex.path, ex.slash, why = canonicalPath(ex.pathBuf, raw); why != "" {
		return why
	}
	ex.rewritten = len(ex.path) != len(raw) || &ex.path[0] != &raw[0]
	if ex.rewritten {
		ex.pathBuf = ex.path
	}
	return checkQuery(ex.query)
}

// splitTarget splits an origin-form target at the first "?". hasQuery tells
// "/a?" from "/a".
func splitTarget(target []byte) (path, query []byte, hasQuery bool) {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i+1:], true
	}
	return target, nil, false
}

// canonicalPath returns the canonical form of a path. The result is p itself when
// it is canonical already, else it is appended to buf[:0]. slash reports whether
// it holds %2F. why is "" or says what is ambiguous; nothing else counts then.
func canonicalPath(buf, p []byte) (path []byte, slash bool, why string) {
	if len(p) == 0 {
		return nil, false, whyEmpty
	}
	if p[0] != '/' {
		return nil, false, whyAbsolute
	}
	plain := true
	for _, c := range p {
		if !in(c, pathLow, pathHigh) {
			return nil, false, whyOfByte(c)
		}
		if c == '%' {
			plain = false
		}
	}
	if plain {
		return p, false, checkSegments(p, false)
	}
	path, slash, why = decodeUnreserved(buf[:0], p)
	if why != "" {
		return nil, false, why
	}
	return path, slash, checkSegments(path, slash)
}

func whyOfByte(c byte) string {
	switch c {
	case '\\':
		return whyBackslash
	case ';':
		return whySemicolon
	}
	return whyByte
}

// decodeUnreserved decodes what need not be encoded, upper-cases the rest of the
// encodings, and refuses those that some server would read as structure.
func decodeUnreserved(dst, p []byte) (path []byte, slash bool, why string) {
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			dst = append(dst, p[i])
			continue
		}
		c, ok := unhex(p[i:])
		if !ok {
			return nil, false, whyPercent
		}
		switch {
		case c < 0x20 || c == 0x7f:
			return nil, false, whyControl
		case c == '\\':
			return nil, false, whyBackslash
		case c == ';':
			return nil, false, whySemicolon
		case c >= 0x80:
			n := runeEncoded(p[i:])
			if n == 0 {
				return nil, false, whyUTF8
			}
			for range n {
				dst = appendUpper(dst, p[i:i+3])
				i += 3
			}
			i--
			continue
		case in(c, unreservedLow, unreservedHigh):
			dst = append(dst, c)
		default:
			slash = slash || c == '/'
			dst = appendUpper(dst, p[i:i+3])
		}
		i += 2
	}
	// Looked for in the result, so that "%25%32%65" is seen to be "%252e".
	for i := range dst {
		if dst[i] == '%' && i+4 < len(dst) && dst[i+1] == '2' && dst[i+2] == '5' && isHex(dst[i+3]) && isHex(dst[i+4]) {
			return nil, false, whyDouble
		}
	}
	return dst, slash, ""
}

// runeEncoded returns how many encodings at the start of p make up one character
// outside ASCII that is no control character, 0 when they do not.
func runeEncoded(p []byte) int {
	var b [utf8.UTFMax]byte
	n := 0
	for n < len(b) {
		c, ok := unhex(p[3*n:])
		if !ok || c < 0x80 {
			break
		}
		b[n] = c
		n++
		if utf8.FullRune(b[:n]) {
			break
		}
	}
	r, size := utf8.DecodeRune(b[:n])
	if r == utf8.RuneError || size != n || r < 0xa0 {
		return 0
	}
	return n
}

// checkSegments refuses empty segments but a last one, and dot segments; an
// encoded slash separates segments here because some servers decode it first.
// A segment that ends in ".." is refused whole, so that no prefix which an API
// strips can leave ".." behind ("/api../admin").
func checkSegments(p []byte, slash bool) string {
	start := 1
	for i := 1; i <= len(p); i++ {
		width := 1
		switch {
		case i == len(p) || p[i] == '/':
		case slash && p[i] == '%' && p[i+1] == '2' && p[i+2] == 'F':
			width = 3
		default:
			continue
		}
		seg := p[start:i]
		if len(seg) == 0 && (i < len(p) || start > 1 && p[start-1] != '/') {
			return whySegment
		}
		if n := len(seg); n > 0 && seg[n-1] == '.' && (n == 1 || seg[n-2] == '.') {
			return whyDots
		}
		start = i + width
		i += width - 1
	}
	return ""
}

// checkQuery returns "" when the query has one reading. It is never rewritten:
// the upstream gets the very bytes that were checked.
func checkQuery(q []byte) string {
	for i, c := range q {
		if !in(c, queryLow, queryHigh) {
			return whyQuery
		}
		if c == '%' {
			if _, ok := unhex(q[i:]); !ok {
				return whyQueryPercent
			}
		}
	}
	return ""
}

// canonicalHost returns the host lower-case, without port and trailing dot. The
// result is part of h when that is possible, else it is appended to buf[:0].
func canonicalHost(buf, h []byte) (host []byte, why string) {
	if len(h) == 0 {
		return nil, whyNoHost
	}
	if len(h) > 253+len(".:65535") {
		return nil, whyHostLength
	}
	if h[0] == '[' {
		return canonicalAddress(buf, h)
	}
	if i := bytes.IndexByte(h, ':'); i >= 0 {
		if !validPort(h[i+1:]) {
			return nil, whyHost
		}
		h = h[:i]
	}
	if n := len(h); n > 1 && h[n-1] == '.' {
		h = h[:n-1]
	}
	if len(h) == 0 || h[0] == '.' {
		return nil, whyHost
	}
	upper := false
	for i, c := range h {
		if c == '.' && i > 0 && h[i-1] == '.' {
			return nil, whyHost
		}
		if c >= 'A' && c <= 'Z' {
			upper = true
			continue
		}
		if !in(c, hostLow, hostHigh) {
			return nil, whyHost
		}
	}
	if h[len(h)-1] == '.' {
		return nil, whyHost
	}
	if !upper {
		return h, ""
	}
	buf = append(buf[:0], h...)
	for i, c := range buf {
		if c >= 'A' && c <= 'Z' {
			buf[i] = c | 0x20
		}
	}
	return buf, ""
}

// canonicalAddress is canonicalHost for an IPv6 address in brackets.
func canonicalAddress(buf, h []byte) ([]byte, string) {
	end := bytes.IndexByte(h, ']')
	if end < 0 {
		return nil, whyHost
	}
	if rest := h[end+1:]; len(rest) > 0 && (rest[0] != ':' || !validPort(rest[1:])) {
		return nil, whyHost
	}
	addr, err := netip.ParseAddr(string(h[1:end]))
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return nil, whyHost
	}
	buf = append(buf[:0], '[')
	return append(addr.AppendTo(buf), ']'), ""
}

func validPort(p []byte) bool {
	n := 0
	for _, c := range p {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return len(p) > 0 && n > 0 && n <= 65535
}

// validMethod reports whether the method is an upper-case word. Methods are
// case-sensitive; a lower-case one is a trick, or a mistake.
func validMethod(m []byte) bool {
	for _, c := range m {
		if !in(c, methodLow, methodHigh) {
			return false
		}
	}
	return len(m) > 0 && len(m) <= 32
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// unhex decodes the percent-encoding at the start of p.
func unhex(p []byte) (byte, bool) {
	if len(p) < 3 || p[0] != '%' || !isHex(p[1]) || !isHex(p[2]) {
		return 0, false
	}
	return hexValue(p[1])<<4 | hexValue(p[2]), true
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func appendUpper(dst, enc []byte) []byte {
	for _, c := range enc {
		if c >= 'a' && c <= 'f' {
			c &^= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
