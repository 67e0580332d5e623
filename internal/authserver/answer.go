package authserver

import (
	"encoding/json"
	"net/http"
	"strings"

	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
)

// The headers of every answer: none of them is ever to be shown as a page, kept
// by a sniffing browser, or framed.
var (
	nosniff        = []string{"nosniff"}
	noReferrer     = []string{"no-referrer"}
	emptyPolicy    = []string{"default-src 'none'; frame-ancestors 'none'"}
	strictSecurity = []string{"max-age=31536000"}
)

func secure(h http.Header, url string) {
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = emptyPolicy
	if strings.HasPrefix(url, "https://") {
		h["Strict-Transport-Security"] = strictSecurity
	}
}

// oktaError is how Okta answers what is not a matter of the protocol.
type oktaError struct {
	Code    string   `json:"errorCode"`
	Summary string   `json:"errorSummary"`
	Link    string   `json:"errorLink"`
	ID      string   `json:"errorId"`
	Causes  []string `json:"errorCauses"`
}

func writeOktaError(w http.ResponseWriter, status int, code, summary string) {
	body, err := json.Marshal(oktaError{Code: code, Summary: summary, Link: code, ID: keys.ID("oae"), Causes: []string{}})
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	grant.WriteJSON(w, status, body)
}

func notFound(w http.ResponseWriter, what, kind string) {
	if len(what) > 100 {
		what = what[:100]
	}
	what = strings.ToValidUTF8(what, "?")
	writeOktaError(w, http.StatusNotFound, "E0000007", "Not found: Resource not found: "+what+" ("+kind+")")
}

func methodNotAllowed(w http.ResponseWriter, methods []string) {
	allowed := strings.Replace(strings.Join(methods, ", "), http.MethodGet, "GET, HEAD", 1)
	w.Header()["Allow"] = []string{allowed}
	writeOktaError(w, http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
}
