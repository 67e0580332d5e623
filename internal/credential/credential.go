// Package credential is how a call presents its token at a management API: one header,
// its scheme, and what the answer says when an access token is not valid. The three
// management APIs share it, so that a token which is bound to its sender (RFC 9449, RFC
// 8705) is taken, and refused, alike at each. It must not know whose a token is.
package credential

import (
	"net/http"
	"strings"

	"gatehouse/internal/fault"
)

// Scheme is how a token is presented (RFC 9110 section 11.1).
type Scheme string

// The schemes: an API token comes as Okta's SSWS, an access token as Bearer (RFC 6750), or
// as DPoP where it is bound to a key (RFC 9449 section 7.1).
const (
	SSWS   Scheme = "SSWS"
	Bearer Scheme = "Bearer"
	DPoP   Scheme = "DPoP"
)

// ReasonProof is the reason of a fault about a DPoP proof, and its error code in a challenge.
const ReasonProof = "invalid_dpop_proof"

// maxToken is longer than any token of ours, in bytes.
const maxToken = 16 << 10

// Credential is what a call presents.
type Credential struct {
	Scheme Scheme
	Token  string
}

// Of returns what a call presents. It is fault.Unauthenticated unless that is one token in
// one header, in a scheme that is known here.
func Of(h http.Header) (Credential, error) {
	all := h.Values("Authorization")
	if len(all) != 1 || len(all[0]) > maxToken {
		return Credential{}, fault.New(fault.Unauthenticated, "the call needs one header Authorization: SSWS and an API token, or Bearer or DPoP and an access token of the org server")
	}
	name, token, _ := strings.Cut(all[0], " ")
	token = strings.TrimSpace(token)
	for _, s := range []Scheme{SSWS, Bearer, DPoP} {
		if !strings.EqualFold(name, string(s)) {
			continue
		}
		if token == "" {
			return Credential{}, fault.New(fault.Unauthenticated, "the token is missing")
		}
		return Credential{s, token}, nil
	}
	return Credential{}, fault.New(fault.Unauthenticated, "the scheme must be SSWS, Bearer or DPoP")
}

// AccessToken reports whether the token is one by its form: a JWS has three parts, tokens
// of other kinds have one or two.
func (c Credential) AccessToken() bool { return strings.Count(c.Token, ".") == 2 }

// Challenge returns the challenge for an access token that is refused with err (RFC 6750
// section 3, RFC 9449 section 7.1); about is what it says besides, such as a realm. Clients
// read it as a list with ", " between.
func (c Credential) Challenge(about string, err error) string {
	code, text := "invalid_token", "The access token is invalid."
	if f := fault.Of(err); f != nil && f.Reason == ReasonProof {
		code, text = f.Reason, strings.ReplaceAll(f.Message, `"`, "'")
	}
	return string(c.Scheme) + " " + about + `, error="` + code + `", error_description="` + text + `"`
}
