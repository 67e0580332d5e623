package gateway

import (
	"fmt"
	"net/http"

	"gatehouse/internal/fault"
)

// The reasons a request can be refused for. They are stable: each is a page of
// the documentation, a metric label and a field of the access log.
const (
	ReasonNoRoute                = "no_route"
	ReasonMethodNotAllowed       = "method_not_allowed"
	ReasonAmbiguousRequest       = "ambiguous_request"
	ReasonBodyTooLarge           = "body_too_large"
	ReasonNoToken                = "no_token"
	ReasonTokenMalformed         = "token_malformed"
	ReasonTokenExpired           = "token_expired"
	ReasonTokenNotYetValid       = "token_not_yet_valid"
	ReasonBadSignature           = "bad_signature"
	ReasonUnknownIssuer          = "unknown_issuer"
	ReasonWrongAudience          = "wrong_audience"
	ReasonUnknownKey             = "unknown_key"
	ReasonTokenTypeNotAccepted   = "token_type_not_accepted"
	ReasonProofInvalid           = "proof_invalid"
	ReasonRevoked                = "revoked"
	ReasonKeyDisabled            = "key_disabled"
	ReasonSessionEnded           = "session_ended"
	ReasonCrossSite              = "cross_site"
	ReasonSignInFailed           = "sign_in_failed"
	ReasonStepUpRequired         = "step_up_required"
	ReasonMissingScope           = "missing_scope"
	ReasonGroupRequired          = "group_required"
	ReasonRoleRequired           = "role_required"
	ReasonConditionFailed        = "condition_failed"
	ReasonPolicyForbids          = "policy_forbids"
	ReasonPolicyError            = "policy_error"
	ReasonZoneNotAllowed         = "zone_not_allowed"
	ReasonRateLimited            = "rate_limited"
	ReasonOverloaded             = "overloaded"
	ReasonUpstreamUnreachable    = "upstream_unreachable"
	ReasonUpstreamTimeout        = "upstream_timeout"
	ReasonUpstreamInvalid        = "upstream_invalid"
	ReasonIssuerUnreachable      = "issuer_unreachable"
	ReasonRevocationStateUnknown = "revocation_state_unknown"
	ReasonInternal               = "internal"
)

// Reason is what is fixed about a reason: how it is answered. Its title is the
// first line of its page (package reasons).
type Reason struct {
	Name   string
	Status int        // HTTP status of the answer
	Code   fault.Code // what kind of failure it is inside
	// Bearer is the error code of the WWW-Authenticate line (RFC 6750 section 3.1):
	// "" for a bare challenge (no credentials were sent), "-" for no challenge at all.
	Bearer string
}

const noChallenge = "-"

// reasonTable lists every reason once, in the order of the documentation.
var reasonTable = [...]Reason{
	{ReasonNoRoute, http.StatusNotFound, fault.NotFound, noChallenge},
	{ReasonMethodNotAllowed, http.StatusMethodNotAllowed, fault.Invalid, noChallenge},
	{ReasonAmbiguousRequest, http.StatusBadRequest, fault.Invalid, noChallenge},
	{ReasonBodyTooLarge, http.StatusRequestEntityTooLarge, fault.TooLarge, noChallenge},
	{ReasonNoToken, http.StatusUnauthorized, fault.Unauthenticated, ""},
	{ReasonTokenMalformed, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonTokenExpired, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonTokenNotYetValid, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonBadSignature, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonUnknownIssuer, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonWrongAudience, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonUnknownKey, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonTokenTypeNotAccepted, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonProofInvalid, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonRevoked, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonKeyDisabled, http.StatusUnauthorized, fault.Unauthenticated, "invalid_token"},
	{ReasonSessionEnded, http.StatusUnauthorized, fault.Unauthenticated, ""},
	{ReasonCrossSite, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonSignInFailed, http.StatusBadRequest, fault.Invalid, noChallenge},
	{ReasonStepUpRequired, http.StatusUnauthorized, fault.Unauthenticated, "insufficient_user_authentication"},
	{ReasonMissingScope, http.StatusForbidden, fault.Denied, "insufficient_scope"},
	{ReasonGroupRequired, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonRoleRequired, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonConditionFailed, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonPolicyForbids, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonPolicyError, http.StatusServiceUnavailable, fault.Unavailable, noChallenge},
	{ReasonZoneNotAllowed, http.StatusForbidden, fault.Denied, noChallenge},
	{ReasonRateLimited, http.StatusTooManyRequests, fault.RateLimited, noChallenge},
	{ReasonOverloaded, http.StatusServiceUnavailable, fault.Unavailable, noChallenge},
	{ReasonUpstreamUnreachable, http.StatusServiceUnavailable, fault.Unavailable, noChallenge},
	{ReasonUpstreamTimeout, http.StatusGatewayTimeout, fault.Timeout, noChallenge},
	{ReasonUpstreamInvalid, http.StatusBadGateway, fault.Unavailable, noChallenge},
	{ReasonIssuerUnreachable, http.StatusServiceUnavailable, fault.Unavailable, noChallenge},
	{ReasonRevocationStateUnknown, http.StatusServiceUnavailable, fault.Unavailable, noChallenge},
	{ReasonInternal, http.StatusInternalServerError, fault.Internal, noChallenge},
}

// Reasons returns every reason that this version can answer with, in a fixed order.
func Reasons() []Reason { return append([]Reason(nil), reasonTable[:]...) }

// reasonNamed returns the reason of that name; internal when there is none.
func reasonNamed(name string) *Reason {
	for i := range reasonTable {
		if reasonTable[i].Name == name {
			return &reasonTable[i]
		}
	}
	return &reasonTable[len(reasonTable)-1]
}

// Refuse returns the error of a refused request. The reason decides the status
// and the public text; the message is for the trace and the log, never for the
// caller; cause may be nil.
func Refuse(reason string, cause error, format string, args ...any) *fault.Error {
	return &fault.Error{
		Code: reasonNamed(reason).Code, Reason: reason,
		Message: fmt.Sprintf(format, args...), Cause: cause,
	}
}
