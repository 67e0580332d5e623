package config

import (
	"maps"
	"slices"
)

// reasonFeature maps each reason that a request can be denied for to the feature
// that gives it; "" for those that are always there.
var reasonFeature = map[string]string{
	"no_route": "", "method_not_allowed": "", "ambiguous_request": "", "body_too_large": "",
	"no_token": "", "token_malformed": "", "token_expired": "", "token_not_yet_valid": "",
	"bad_signature": "", "unknown_issuer": "", "wrong_audience": "", "unknown_key": "",
	"token_type_not_accepted": "", "revoked": "", "missing_scope": "", "group_required": "", "role_required": "",
	"rate_limited": "", "overloaded": "", "upstream_unreachable": "", "upstream_timeout": "",
	"upstream_invalid": "", "issuer_unreachable": "", "revocation_state_unknown": "", "internal": "",
	"schema_invalid": "openapi", "unsupported_media_type": "openapi",
	"key_disabled": "", "session_ended": "", "cross_site": "", "sign_in_failed": "", "proof_invalid": "",
	"condition_failed": "", "step_up_required": "", "zone_not_allowed": "",
	"policy_forbids": "", "policy_error": "",
	"not_subscribed": "plans", "plan_suspended": "plans", "quota_exceeded": "plans",
}

// Reasons returns the reason codes that a test may name, sorted.
func Reasons() []string { return slices.Sorted(maps.Keys(reasonFeature)) }
