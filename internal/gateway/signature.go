package gateway

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"gatehouse/internal/wire"
)

// Signed requests by RFC 9421: what the two header fields say, and the text that is
// signed. Of structured fields (RFC 8941) only what a signature needs is read; the rest
// is refused, never skipped.

// Bounds of a signature.
const (
	maxComponents = 32
	maxSigned     = 4 << 10 // bytes of Signature-Input
	maxSigText    = 512     // of a string in it
	maxSignature  = 1 << 10 // bytes
)

// signatureInput is the one member of Signature-Input: what is covered, and the
// parameters.
type signatureInput struct {
	label      string
	components []string
	params     []byte // components and parameters as they go into the signed text
	created    int64
	expires    int64 // 0 = not said
	keyID      string
	nonce      string
	algorithm  string // "" = not said
}

// sfReader reads structured fields. After a failure everything fails.
type sfReader struct {
	text []byte
	at   int
	bad  bool
}

func (r *sfReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *sfReader) take(c byte) bool {
	if r.peek() != c || r.at >= len(r.text) {
		r.bad = true
		return false
	}
	r.at++
	return true
}

func (r *sfReader) spaces() {
	for r.peek() == ' ' {
		r.at++
	}
}

// key reads a name of RFC 8941 section 3.1.2.
func (r *sfReader) key() string {
	start := r.at
	for r.at < len(r.text) {
		c := r.text[r.at]
		lower := c >= 'a' && c <= 'z' || c == '*'
		if !lower && (r.at == start || (c < '0' || c > '9') && c != '_' && c != '-' && c != '.') {
			break
		}
		r.at++
	}
	if r.at == start || r.at-start > 64 {
		r.bad = true
	}
	return string(r.text[start:r.at])
}

// str reads a string of RFC 8941 section 3.3.3.
func (r *sfReader) str() string {
	if !r.take('"') {
		return ""
	}
	var out []byte
	for r.at < len(r.text) && len(out) <= maxSigText {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return string(out)
		case c == '\\':
			if c = r.peek(); c != '"' && c != '\\' {
				r.bad = true
				return ""
			}
			r.at++
		case c < ' ' || c > '~':
			r.bad = true
			return ""
		}
		out = append(out, c)
	}
	r.bad = true
	return ""
}

// integer reads a whole number of at most 15 digits (RFC 8941 section 3.3.1).
func (r *sfReader) integer() int64 {
	start := r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
	n, err := strconv.ParseInt(string(r.text[start:r.at]), 10, 64)
	if err != nil || r.at-start > 15 || r.peek() == '.' {
		r.bad = true
	}
	return n
}

// binary reads ":base64:" (RFC 8941 section 3.3.5).
func (r *sfReader) binary() []byte {
	if !r.take(':') {
		return nil
	}
	end := bytes.IndexByte(r.text[r.at:], ':')
	if end < 0 || end > 2*maxSignature {
		r.bad = true
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(r.text[r.at : r.at+end]))
	if err != nil {
		r.bad = true
	}
	r.at += end + 1
	return b
}

// end reports whether all was read, and well.
func (r *sfReader) end() bool { return !r.bad && r.at == len(r.text) }

// parseSignatureInput reads the value of Signature-Input: one signature. Several
// would leave open whose request it is.
func parseSignatureInput(value []byte) (in signatureInput, ok bool) {
	if len(value) > maxSigned {
		return in, false
	}
	r := &sfReader{text: value}
	in.label = r.key()
	r.take('=')
	r.take('(')
	in.params = append(in.params, '(')
	for r.spaces(); !r.bad && r.peek() != ')'; {
		name := r.str()
		if r.bad || !validComponent(name) || len(in.components) == maxComponents {
			return in, false
		}
		for _, other := range in.components {
			if other == name {
				return in, false // RFC 9421 section 2
			}
		}
		if len(in.components) > 0 {
			in.params = append(in.params, ' ')
		}
		in.components = append(in.components, name)
		in.params = appendQuoted(in.params, name)
		if c := r.peek(); c != ' ' && c != ')' {
			return in, false // parameters of a component are not supported
		}
		r.spaces()
	}
	r.take(')')
	in.params = append(in.params, ')')
	in.readParams(r)
	return in, r.end()
}

func (in *signatureInput) readParams(r *sfReader) {
	seen := map[string]bool{}
	for !r.bad && r.peek() == ';' {
		r.at++
		r.spaces()
		name := r.key()
		r.take('=')
		if seen[name] {
			r.bad = true
			return
		}
		seen[name] = true
		in.params = append(append(append(in.params, ';'), name...), '=')
		switch name {
		case "created", "expires":
			n := r.integer()
			in.params = strconv.AppendInt(in.params, n, 10)
			if name == "created" {
				in.created = n
			} else {
				in.expires = n
			}
		case "keyid", "nonce", "alg", "tag":
			s := r.str()
			in.params = appendQuoted(in.params, s)
			switch name {
			case "keyid":
				in.keyID = s
			case "nonce":
				in.nonce = s
			case "alg":
				in.algorithm = s
			}
		default:
			r.bad = true
		}
	}
}

// validComponent reports whether the name is a derived component that is known, or a
// header field in lower case (RFC 9421 section 2).
func validComponent(name string) bool {
	switch name {
	case "@method", "@authority", "@scheme", "@target-uri", "@request-target", "@path", "@query":
		return true
	}
	return name != "" && name[0] != '@' && name == strings.ToLower(name) && wire.ValidFieldName([]byte(name))
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// parseSignature returns the signature of the label.
func parseSignature(value []byte, label string) ([]byte, bool) {
	r := &sfReader{text: value}
	if r.key() != label {
		return nil, false
	}
	r.take('=')
	sig := r.binary()
	return sig, r.end() && len(sig) > 0 && len(sig) <= maxSignature
}

// parseDigests reads Content-Digest (RFC 9530 section 2): digests by algorithm.
func parseDigests(value []byte) (map[string][]byte, bool) {
	r, out := &sfReader{text: value}, map[string][]byte{}
	for !r.bad {
		name := r.key()
		r.take('=')
		if out[name] != nil {
			return nil, false
		}
		out[name] = r.binary()
		if r.at == len(r.text) {
			break
		}
		r.spaces()
		r.take(',')
		r.spaces()
	}
	return out, r.end()
}

// signedText writes what is signed (RFC 9421 section 2.5), from the canonical
// request. ok is false when something that is covered is not there.
func (ex *Exchange) signedText(in *signatureInput, place *publicPlace) (text []byte, ok bool) {
	origin, path, ok := place.called(ex)
	if !ok {
		return nil, false
	}
	for _, name := range in.components {
		text = append(appendQuoted(text, name), ':', ' ')
		if text, ok = ex.appendComponent(text, name, origin, path); !ok {
			return nil, false
		}
		text = append(text, '\n')
	}
	return append(append(text, "\"@signature-params\": "...), in.params...), true
}

// appendComponent writes the value of one component, of a request that the caller has
// sent to origin and path.
func (ex *Exchange) appendComponent(b []byte, name, origin, path string) ([]byte, bool) {
	scheme, authority, _ := strings.Cut(origin, "://")
	switch name {
	case "@method":
		return append(b, ex.req.Method...), true
	case "@authority":
		return append(b, authority...), true
	case "@scheme":
		return append(b, scheme...), true
	case "@target-uri":
		return ex.appendQuery(append(append(b, origin...), path...), ""), true
	case "@request-target":
		return ex.appendQuery(append(b, path...), ""), true
	case "@path":
		return append(b, path...), true
	case "@query":
		return ex.appendQuery(b, "?"), true
	}
	found := false
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		if !wire.EqualFold(f.Name, name) {
			continue
		}
		if found {
			b = append(b, ", "...)
		}
		b, found = append(b, bytes.Trim(f.Value, " \t")...), true
	}
	return b, found
}

// appendQuery writes "?" and the query, or what stands for none.
func (ex *Exchange) appendQuery(b []byte, none string) []byte {
	if !ex.hasQuery {
		return append(b, none...)
	}
	return append(append(b, '?'), ex.query...)
}
