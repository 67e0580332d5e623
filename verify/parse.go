package verify

import (
	"bytes"
	"encoding/base64"
	"slices"
)

// maxHeaderText bounds kid, typ, cty and alg: longer ones name nothing that exists.
const maxHeaderText = 1024

// JWS is a parsed compact JWS (RFC 7515 section 7.1). Nothing about it has been
// verified but its form.
type JWS struct {
	Algorithm Algorithm
	KeyID     string         // "" when missing
	Type      string         // typ as it stands, "" when missing
	Header    map[string]any // all of it; nothing in it chooses a key but KeyID
	Payload   []byte
	Signature []byte

	signed []byte
	text   string // of the payload
}

// Parse reads a compact JWS of at most limit bytes (0 means
// DefaultMaxTokenBytes) by a strict grammar: three parts of canonical base64url
// without padding, a header of strict JSON in which no name occurs twice, no
// critical extension (RFC 7515 section 4.1.11), no unencoded payload (RFC 7797),
// no nested token. The error is an *Error with ReasonMalformed.
func Parse(raw []byte, limit int) (*JWS, error) {
	if limit <= 0 {
		limit = DefaultMaxTokenBytes
	}
	if len(raw) > limit {
		return nil, fail(ReasonMalformed, "longer than the limit")
	}
	return parse(bytes.Clone(raw))
}

// parse is Parse of a text that nobody changes for as long as the result is used.
func parse(raw []byte) (*JWS, error) {
	if n := bytes.Count(raw, dot); n != 2 {
		if n == 4 {
			return nil, fail(ReasonMalformed, "encrypted (JWE), which is not accepted")
		}
		return nil, fail(ReasonMalformed, "not of three parts")
	}
	i, j := bytes.IndexByte(raw, '.'), bytes.LastIndexByte(raw, '.')
	memory := make([]byte, base64.RawURLEncoding.DecodedLen(len(raw)))
	header, ok1 := decodePart(memory, raw[:i])
	payload, ok2 := decodePart(memory[len(header):], raw[i+1:j])
	signature, ok3 := decodePart(memory[len(header)+len(payload):], raw[j+1:])
	if !ok1 || !ok2 || !ok3 {
		return nil, fail(ReasonMalformed, "not canonical base64url without padding")
	}
	text := string(memory[:len(header)+len(payload)])
	fields, err := decodeObject(text[:len(header)])
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "header", Cause: err}
	}
	t := &JWS{Header: fields, Payload: payload, Signature: signature, signed: raw[:j], text: text[len(header):]}
	if e := t.readHeader(); e != nil {
		return nil, e
	}
	return t, nil
}

func (j *JWS) readHeader() *Error {
	for _, name := range [...]string{"crit", "b64", "enc", "zip", "p2c"} {
		if _, has := j.Header[name]; has {
			return fail(ReasonMalformed, "header has "+name+", which is not accepted")
		}
	}
	alg, _, e := j.headerText("alg")
	if e != nil {
		return e
	}
	if alg == "" {
		return fail(ReasonMalformed, "header has no alg")
	}
	kid, hasKid, e := j.headerText("kid")
	if e != nil {
		return e
	}
	if hasKid && kid == "" {
		return fail(ReasonMalformed, "header has an empty kid")
	}
	typ, _, e := j.headerText("typ")
	if e != nil {
		return e
	}
	cty, _, e := j.headerText("cty")
	if e != nil {
		return e
	}
	if cty != "" && normalType(cty) != "json" {
		return fail(ReasonMalformed, "header has a cty: nested tokens are not accepted")
	}
	j.Algorithm, j.KeyID, j.Type = Algorithm(alg), kid, typ
	return nil
}

func (j *JWS) headerText(name string) (text string, has bool, e *Error) {
	v, has := j.Header[name]
	if !has {
		return "", false, nil
	}
	text, ok := v.(string)
	if !ok {
		return "", true, fail(ReasonMalformed, "header: "+name+" is not a string")
	}
	if len(text) > maxHeaderText {
		return "", true, fail(ReasonMalformed, "header: "+name+" is too long")
	}
	return text, true, nil
}

// Verify reports whether the signature is by the key, which must allow the
// algorithm of the header.
func (j *JWS) Verify(k *Key) bool {
	return k.Allows(j.Algorithm) && j.Algorithm.check(k, j.signed, j.Signature)
}

var dot = []byte(".")

// decodePart decodes one part into memory, or where there is not enough of it
// into new. The standard decoder skips line breaks, so those are looked for; and it
// ignores bits behind the last byte, so the end is encoded again and compared.
func decodePart(memory, part []byte) ([]byte, bool) {
	if len(part) == 0 || bytes.IndexByte(part, '\r') >= 0 || bytes.IndexByte(part, '\n') >= 0 {
		return nil, false
	}
	enc := base64.RawURLEncoding
	room := enc.DecodedLen(len(part))
	out := slices.Grow(memory[:0], room)[:room]
	n, err := enc.Decode(out, part)
	if err != nil {
		return nil, false
	}
	var again [4]byte
	end := again[:enc.EncodedLen(n%3)]
	enc.Encode(end, out[n-n%3:n])
	return out[:n:n], bytes.HasSuffix(part, end)
}
