package verify

import "errors"

// Reason says why a token was not accepted. The values are stable: they are
// metric labels, log fields and names of documentation pages.
type Reason string

// The reasons.
const (
	ReasonNoToken           Reason = "no_token"                // the request carries none (middleware only)
	ReasonAmbiguous         Reason = "ambiguous_request"       // the request carries more than one (middleware only)
	ReasonMalformed         Reason = "token_malformed"         // not a compact JWS, or header or claims that no issuer may write
	ReasonExpired           Reason = "token_expired"           // exp has passed
	ReasonNotYetValid       Reason = "token_not_yet_valid"     // nbf or iat lies in the future
	ReasonBadSignature      Reason = "bad_signature"           // the signature is not by the key that the header names
	ReasonUnknownIssuer     Reason = "unknown_issuer"          // iss is no configured issuer
	ReasonWrongAudience     Reason = "wrong_audience"          // aud names none of the accepted audiences
	ReasonUnknownKey        Reason = "unknown_key"             // the issuer publishes no such key, or not for this algorithm
	ReasonTokenType         Reason = "token_type_not_accepted" // genuine perhaps, but an ID, refresh or logout token, or the like
	ReasonIssuerUnreachable Reason = "issuer_unreachable"      // no keys of the issuer could be had, or the ones there are too old
	ReasonMissingScope      Reason = "missing_scope"           // the token lacks a needed scope (middleware only)
)

// Error is the one error that this package returns for a token. It never holds
// any part of the token but the names of claims.
type Error struct {
	Reason Reason
	Issuer string // the configured issuer, once it is known
	Detail string // for logs: what was wrong, lower-case, no token bytes
	Cause  error  // for logs; may be nil
}

// Error returns the reason and the detail.
func (e *Error) Error() string {
	s := "verify: " + string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ReasonOf returns the reason of the first Error in err's chain, or "" when
// there is none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// fail returns an Error without an issuer.
func fail(r Reason, detail string) *Error { return &Error{Reason: r, Detail: detail} }
