package admin

import (
	"encoding/json"
	"net/http"

	"gatehouse/client"
	"gatehouse/internal/fault"
)

// statusOf maps codes to statuses: the only place of this edge that does.
func statusOf(c fault.Code) int {
	switch c {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Stale:
		return http.StatusPreconditionFailed
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unsupported:
		return http.StatusNotImplemented
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Timeout:
		return http.StatusGatewayTimeout
	case fault.Full:
		return http.StatusInsufficientStorage
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// fail answers with the problem that err is. What has no code is internal
// outside, and whole in the log.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := fault.Of(err)
	p := client.Error{Status: http.StatusInternalServerError, Title: "internal", Detail: "something failed inside; the log of the server says what"}
	if f != nil {
		p = client.Error{Status: statusOf(f.Code), Title: f.Code.String(), Detail: f.Message, Reason: f.Reason}
		for _, field := range f.Fields {
			p.Problems = append(p.Problems, client.Problem{Source: field.Path, Message: field.Message})
		}
	}
	if p.Status >= http.StatusInternalServerError {
		a.Log.ErrorContext(r.Context(), "management call failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "SSWS "+realm)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p client.Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
