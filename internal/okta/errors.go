package okta

import (
	"context"
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/strictjson"
)

// failure is an error as Okta answers it.
type failure struct {
	Code    string    `json:"errorCode"`
	Summary string    `json:"errorSummary"`
	Link    string    `json:"errorLink"`
	ID      string    `json:"errorId"`
	Causes  []failing `json:"errorCauses"`
}

type failing struct {
	Summary string `json:"errorSummary"`
}

// known is a code of Okta's catalogue with its status and text.
type known struct {
	status  int
	code    string
	summary string
}

// byReason are the failures that a fault's reason chooses.
func byReason(reason string) (known, bool) {
	switch reason {
	case reasonNoPath:
		return known{http.StatusNotFound, "E0000008", "The requested path was not found"}, true
	case reasonNoMethod:
		return known{http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method"}, true
	case reasonMalformed:
		return known{http.StatusBadRequest, "E0000003", "The request body was not well-formed."}, true
	case reasonExpireNothing:
		return known{http.StatusBadRequest, "E0000124", "Could not create user. To create a user and expire their password immediately, a password must be specified"}, true
	case reasonExpireStaged:
		return known{http.StatusBadRequest, "E0000125", "Could not create user. To create a user and expire their password immediately, \"activate\" must be true"}, true
	case reasonSearch:
		return known{http.StatusBadRequest, "E0000031", "Invalid search criteria."}, true
	case directory.ReasonStatus:
		return known{http.StatusForbidden, "E0000038", "This operation is not allowed in the user's current status."}, true
	case directory.ReasonPassword, directory.ReasonBreached, directory.ReasonKinds, directory.ReasonPersonal, directory.ReasonHistory, directory.ReasonTooSoon:
		return known{http.StatusBadRequest, "E0000080", "The password does not meet the complexity requirements of the current password policy."}, true
	case directory.ReasonWrongCode:
		return known{http.StatusForbidden, "E0000068", "Invalid Passcode/Answer"}, true
	case directory.ReasonUsedCode:
		return known{http.StatusForbidden, "E0000082", "Each code can only be used once. Please wait for a new code and try again."}, true
	case directory.ReasonFactor:
		return known{http.StatusForbidden, "E0000079", "This operation is not allowed in the current authentication state."}, true
	case directory.ReasonWrongAnswer:
		return known{http.StatusForbidden, "E0000087", "The recovery question answer did not match our records."}, true
	case directory.ReasonRecovery:
		return known{http.StatusForbidden, "E0000034", "Forgot password not allowed on specified user."}, true
	case directory.ReasonWrongPassword:
		return known{http.StatusForbidden, "E0000014", "Update of credentials failed"}, true
	case access.ReasonAssigned:
		return known{http.StatusConflict, "E0000090", "The role specified is already assigned to the user."}, true
	case access.ReasonActive, access.ReasonSystem, directory.ReasonNotAllowed, directory.ReasonBuiltIn, directory.ReasonRuleActive:
		return known{http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action"}, true
	}
	return known{}, false
}

// byCode are the failures that a fault's code chooses.
func byCode(c fault.Code) known {
	switch c {
	case fault.Invalid, fault.Conflict:
		return known{http.StatusBadRequest, "E0000001", "Api validation failed"}
	case fault.Unauthenticated:
		return known{http.StatusUnauthorized, "E0000011", "Invalid token provided"}
	case fault.Denied:
		return known{http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action"}
	case fault.NotFound:
		return known{http.StatusNotFound, "E0000007", "Not found"}
	case fault.Stale:
		return known{http.StatusConflict, "E0000195", "Api validation failed due to conflict"}
	case fault.TooLarge:
		return known{http.StatusRequestEntityTooLarge, "E0000003", "The request body was not well-formed."}
	case fault.RateLimited:
		return known{http.StatusTooManyRequests, "E0000047", "API call exceeded rate limit due to too many requests."}
	case fault.Unsupported:
		return known{http.StatusNotImplemented, "E0000060", "Unsupported operation."}
	case fault.Unavailable, fault.Timeout:
		return known{http.StatusServiceUnavailable, "E0000010", "Service is in read only mode"}
	case fault.Full:
		// Okta has no code for it: the nearest is of a service that reads and does not write. The
		// status is HTTP's own, which clients that do not know it take for a 500 (RFC 9110 section
		// 15), and not for one to try again at once, as they do with a 503.
		return known{http.StatusInsufficientStorage, "E0000010", "Service is in read only mode"}
	case fault.Internal:
	}
	return known{http.StatusInternalServerError, "E0000009", "Internal Server Error"}
}

// fail answers with the failure that err is. What has no code is internal
// outside, and whole in the log.
func (a *api) fail(ctx context.Context, w http.ResponseWriter, c *call, err error) {
	f := fault.Of(err)
	if f == nil {
		f = fault.New(fault.Internal, "")
	}
	k, ok := byReason(f.Reason)
	if !ok {
		k = byCode(f.Code)
	}
	out := failure{Code: k.code, Summary: k.summary, Link: k.code, ID: keys.ID("oae"), Causes: []failing{}}
	switch k.code {
	case "E0000001", "E0000195":
		out.Summary, out.Causes = validation(k.summary, f)
	case "E0000007":
		out.Summary = "Not found: " + c.missing(f)
	case "E0000003", "E0000006", "E0000014", "E0000017", "E0000031", "E0000034", "E0000038", "E0000068", "E0000080":
		if f.Message != "" && f.Code != fault.Internal {
			out.Causes = append(out.Causes, failing{f.Message})
		}
	}
	if k.status >= http.StatusInternalServerError {
		a.Logger.ErrorContext(ctx, "an Okta-compatible call failed", "method", c.Method, "path", c.URL.Path, "error_id", out.ID, "error", err)
	}
	raw, err := strictjson.Encode(out)
	if k.status == http.StatusBadRequest && strings.HasPrefix(c.URL.Path, ClientsPath) {
		raw, err = strictjson.Encode(registrationError(f))
	}
	if err != nil {
		raw = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(k.status)
	_, _ = w.Write(raw)
}

// validation returns the summary and the causes of an input that is wrong.
func validation(summary string, f *fault.Error) (string, []failing) {
	if len(f.Fields) == 0 {
		return summary + ": " + f.Message, []failing{{f.Message}}
	}
	causes := make([]failing, len(f.Fields))
	for i, field := range f.Fields {
		name := field.Path[strings.LastIndexByte(field.Path, '.')+1:]
		causes[i] = failing{name + ": " + field.Message}
	}
	first := f.Fields[0].Path
	return summary + ": " + first[strings.LastIndexByte(first, '.')+1:], causes
}

// typeNames are what Okta calls the objects of a collection.
var typeNames = map[string]string{
	"authorizationServers": "AuthorizationServer", "scopes": "OAuth2Scope", "claims": "OAuth2Claim", "policies": "Policy",
	"rules": "PolicyRule", "users": "User", "groups": "UserGroup", "apps": "AppInstance", "zones": "NetworkZone",
	"trustedOrigins": "TrustedOrigin", "inlineHooks": "InlineHook", "hook-keys": "HookKey", "public": "HookKey", "idps": "IdentityProvider", "api-tokens": "ApiToken", "keys": "JsonWebKey", "tokens": "OAuth2RefreshToken",
	"secrets": "OAuth2ClientSecret", "grants": "OAuth2ScopeConsentGrant", "factors": "UserFactor", "user": "UserType", "roles": "Role", "sessions": "Session", "clients": "OAuth2Client", "principal-rate-limits": "PrincipalRateLimitEntity",
}

// missing says what is not there: the last object that the path names.
func (c *call) missing(f *fault.Error) string {
	segments := strings.Split(c.URL.Path, "/")
	for i := len(segments) - 1; i > 0; i-- {
		if name, ok := typeNames[segments[i-1]]; ok && typeNames[segments[i]] == "" && segments[i] != "" {
			return "Resource not found: " + segments[i] + " (" + name + ")"
		}
	}
	return f.Message
}
