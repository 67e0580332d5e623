package wire

import (
	"bytes"
	"net/http"
)

// Why a request line or its host is refused.
var (
	errRequestLine = bad("the request line is not a method, a target and a version")
	errMethod      = bad("the method is not a token of capitals")
	errTarget      = bad("the target holds a byte outside visible ASCII, a fragment, or a broken percent escape")
	errTargetForm  = bad("the target is neither a path nor an http or https address")
	errHostMissing = bad("no Host line")
	errHostTwice   = bad("more than one Host line")
	errHost        = bad("Host is not a host with an optional port")
	errHostsDiffer = bad("the address on the request line and the Host line disagree")
	errTargetSize  = &refusal{http.StatusRequestURITooLong, ReasonAmbiguous, "the request target is too long"}
	errVersion     = &refusal{http.StatusHTTPVersionNotSupported, ReasonAmbiguous, "a version other than HTTP/1.0 and HTTP/1.1"}
	errConnect     = &refusal{http.StatusMethodNotAllowed, ReasonMethod, "CONNECT: this is no forward proxy"}
	errTrace       = &refusal{http.StatusMethodNotAllowed, ReasonMethod, "TRACE would show what was added on the way"}
	errNotHere     = &refusal{http.StatusNotImplemented, ReasonAmbiguous, "Upgrade, Expect, trailers and HTTP/2 are not served on this listener"}
)

// preface is the beginning of HTTP/2 with prior knowledge (RFC 9113 section 3.4),
// as far as it looks like a head.
const preface = "PRI * HTTP/2.0\r\n\r\n"

const maxMethod = 32

// parseRequest reads a request head, the empty line at its end included, into
// req. Everything in req points into b.
func parseRequest(b []byte, lim *Limits, req *Request, f *framing) *refusal {
	line, rest, err := cutLine(b)
	if err != nil {
		return err
	}
	if err := parseRequestLine(line, lim, req); err != nil {
		return err
	}
	req.Fields, err = parseFields(rest[:len(rest)-2], req.Fields[:0], lim.Fields, true, f)
	if err != nil {
		return err
	}
	old := req.Proto == "HTTP/1.0"
	if old && f.chunked {
		return errCodingOld
	}
	switch {
	case f.hostLines > 1:
		return errHostTwice
	case f.hostLines == 0 && !old:
		return errHostMissing
	case f.hostLines == 1 && !validHost(f.host):
		return errHost
	}
	req.Host = f.host
	req.Close = f.close || old && !f.keepAlive
	if req.Target[0] != '/' {
		return absolute(req)
	}
	return nil
}

func parseRequestLine(line []byte, lim *Limits, req *Request) *refusal {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 {
		return errRequestLine
	}
	req.Method = line[:i]
	if err := checkMethod(req.Method); err != nil {
		return err
	}
	line = line[i+1:]
	i = bytes.IndexByte(line, ' ')
	if i <= 0 {
		return errRequestLine
	}
	req.Target = line[:i]
	if i > lim.TargetBytes {
		return errTargetSize
	}
	switch version := line[i+1:]; string(version) {
	case "HTTP/1.1":
		req.Proto = "HTTP/1.1"
	case "HTTP/1.0":
		req.Proto = "HTTP/1.0"
	default:
		if len(version) == 8 && string(version[:5]) == "HTTP/" && version[6] == '.' && version[5]-'0' <= 9 && version[7]-'0' <= 9 {
			return errVersion
		}
		return errRequestLine
	}
	return checkTarget(req.Target)
}

// checkMethod takes capitals, digits, "-" and "_", beginning with a capital.
// Methods are case-sensitive, and whoever sends "get" counts on somebody's leniency.
func checkMethod(m []byte) *refusal {
	if len(m) > maxMethod || m[0]-'A' >= 26 {
		return errMethod
	}
	for _, c := range m {
		if !in(c, methodLow, methodHigh) {
			return errMethod
		}
	}
	switch string(m) {
	case http.MethodConnect:
		return errConnect
	case http.MethodTrace:
		return errTrace
	}
	return nil
}

// checkTarget wants visible ASCII without "#", and whole percent escapes in the
// path. The query is anybody's format: it is passed on as it is.
func checkTarget(t []byte) *refusal {
	query := false
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			return errTarget
		case c == '?':
			query = true
		case c == '%' && !query:
			if i+2 >= len(t) || !isHex(t[i+1]) || !isHex(t[i+2]) {
				return errTarget
			}
		}
	}
	return nil
}

func isHex(c byte) bool { _, ok := hexValue(c); return ok }

// absolute turns an absolute-form target that agrees with Host into origin form,
// and lets "*" pass with OPTIONS. Anything else that is no path is refused.
func absolute(req *Request) *refusal {
	t := req.Target
	if len(t) == 1 && t[0] == '*' {
		if string(req.Method) == http.MethodOptions {
			return nil
		}
		return errTargetForm
	}
	switch {
	case hasPrefixFold(t, "http://"):
		t = t[len("http://"):]
	case hasPrefixFold(t, "https://"):
		t = t[len("https://"):]
	default:
		return errTargetForm
	}
	end := bytes.IndexAny(t, "/?")
	if end < 0 {
		end = len(t)
	}
	authority, path := t[:end], t[end:]
	if !validHost(authority) {
		return errHost
	}
	if req.Host == nil { // HTTP/1.0
		req.Host = authority
	} else if !equalFoldBytes(req.Host, authority) {
		return errHostsDiffer
	}
	switch {
	case len(path) == 0 && string(req.Method) == http.MethodOptions:
		req.Target = []byte("*") // RFC 9112 section 3.2.4
	case len(path) == 0:
		req.Target = []byte("/")
	case path[0] == '?':
		req.Target = append([]byte("/"), path...)
	default:
		req.Target = path
	}
	return nil
}

// elsewhere reports whether the request is for the standard lane.
func elsewhere(req *Request, f *framing) bool {
	if f.expect || f.trailers {
		return true
	}
	// An Upgrade that Connection does not name, and one on HTTP/1.0, is to be
	// ignored (RFC 9110 section 7.8); it is dropped like every hop-by-hop field.
	return f.upgrade && f.upgradeTo != nil && req.Proto == "HTTP/1.1"
}
