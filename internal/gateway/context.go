package gateway

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendContext appends the claims of X-Gatehouse-Context for one API. Names are those of
// RFC 9068 where it has one, so that any verifier of access tokens can read them.
// What is longer than maxClaim is left out, and so is what the token does not say.
func (ex *Exchange) appendContext(b []byte, a *api) []byte {
	t, now := ex.token, ex.started
	var id [32]byte
	w := claimsWriter{append(b, '{')}
	w.text("iss", ex.gw.config.IdentityURL)
	w.text("aud", a.name)
	w.number("iat", now.Unix())
	w.number("exp", now.Add(contextLife).Unix())
	w.text("jti", string(newID(id[:0])))
	w.text("tenant", ex.snap.tenant)
	w.text("sub", short(t.Subject))
	w.text("uid", short(t.UserID))
	w.text("client_id", short(t.ClientID))
	w.text("scope", short(joined(t.Scopes, ' ')))
	w.texts("groups", shortList(t.Groups))
	w.text("acr", short(t.ACR))
	w.texts("amr", shortList(t.AMR))
	w.number("auth_time", t.AuthTime)
	w.text("token_iss", t.Issuer)
	w.text("token_jti", short(t.ID))
	w.number("token_exp", t.Expires) // an API key may have none
	return append(w.b, '}')
}

// claimsWriter writes the members of a JSON object. What is empty or zero is left out.
// Names must need no escapes.
type claimsWriter struct{ b []byte }

func (w *claimsWriter) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *claimsWriter) text(name, value string) {
	if value != "" {
		w.name(name)
		w.b = appendJSON(w.b, value)
	}
}

func (w *claimsWriter) number(name string, value int64) {
	if value != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, value, 10)
	}
}

func (w *claimsWriter) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	w.name(name)
	for i, v := range values {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		w.b = appendJSON(append(w.b, separator), v)
	}
	w.b = append(w.b, ']')
}

// appendJSON appends s as a JSON string (RFC 8259 section 7), with what is not UTF-8 in it
// replaced by U+FFFD.
func appendJSON(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return quoted(b, s, utf8.RuneSelf)
}

// short returns s, or nothing when it is longer than maxClaim.
func short(s string) string {
	if len(s) > maxClaim {
		return ""
	}
	return s
}

func shortList(list []string) []string {
	n := len(list) - 1 // commas
	for _, s := range list {
		n += len(s)
	}
	if n > maxClaim {
		return nil
	}
	return list
}
