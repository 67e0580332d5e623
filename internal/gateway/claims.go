package gateway

import (
	"encoding/json"
	"strings"

	"gatehouse/verify"
)

// maxClaim bounds the value of a header that carries a claim, in bytes.
const maxClaim = 4 << 10

// claimHeader is a request header that carries a fact about the caller.
type claimHeader struct {
	header string
	claim  string // of the token; "" for one of the fixed three
	fixed  fixedFact
}

type fixedFact uint8

const (
	factClaim fixedFact = iota
	factUser
	factClient
	factScopes
)

// value appends the header's value and reports whether the token has the fact.
func (c *claimHeader) value(b []byte, t *verify.Token) ([]byte, bool) {
	switch c.fixed {
	case factUser:
		// An app that acts for itself is its own subject (RFC 9068 section 2.2): then
		// X-User-ID equals X-Client-ID, and no upstream meets a caller without a name.
		who := t.UserID
		if who == "" {
			who = t.Subject
		}
		return appendClaim(b, who, 0), who != ""
	case factClient:
		return appendClaim(b, t.ClientID, 0), t.ClientID != ""
	case factScopes:
		return present(b, appendList(b, t.Scopes, ' '))
	case factClaim:
	}
	v, ok := t.Claim(c.claim)
	if !ok {
		return b, false
	}
	switch v := v.(type) {
	case string:
		return appendClaim(b, v, 0), v != ""
	case json.Number:
		return appendClaim(b, v.String(), 0), true
	case bool:
		if v {
			return append(b, "true"...), true
		}
		return append(b, "false"...), true
	case []any:
		list := make([]string, 0, len(v))
		for _, e := range v {
			switch e := e.(type) {
			case string:
				list = append(list, e)
			case json.Number:
				list = append(list, e.String())
			default:
				return b, false // an object in a list has no plain form
			}
		}
		return present(b, appendList(b, list, ','))
	}
	return b, false // null and objects have no plain form
}

func present(before, after []byte) ([]byte, bool) { return after, len(after) > len(before) }

// appendList appends the members with the separator between them. A member's
// own separators are encoded, so that the list has as many members as it had;
// empty ones are left out.
func appendList(b []byte, list []string, separator byte) []byte {
	from := len(b)
	for _, s := range list {
		if s == "" {
			continue
		}
		if len(b) > from {
			b = append(b, separator)
		}
		b = appendClaim(b, s, separator)
	}
	return b
}

// appendClaim appends a value in a form that no server can split or read
// another way: what is not visible ASCII, "%" and the separator are
// percent-encoded as UTF-8. A space at either end is encoded too.
func appendClaim(b []byte, s string, separator byte) []byte {
	const hexDigits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		plain := c > 0x20 && c < 0x7f && c != '%' || c == ' ' && i > 0 && i < len(s)-1
		if plain && (c != separator || separator == 0) {
			b = append(b, c)
			continue
		}
		b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

func joined(list []string, separator byte) string { return strings.Join(list, string(separator)) }
