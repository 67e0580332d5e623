package login

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/federation"
	"gatehouse/internal/keys"
)

// Request is what a person is to sign in for. It is checked before it comes here:
// whoever makes one has validated the app, the address of the answer and the
// scopes. It is kept as JSON while the person is being asked.
type Request struct {
	// Page is a page of ours to go to; then nothing below Levels is set.
	Page string `json:"page,omitempty"`
	// Enroll is a factor to set up before the page: app, passkey or mail; empty: none.
	Enroll string `json:"enroll,omitempty"`

	Prompt    []string `json:"prompt,omitempty"` // none, login, consent
	MaxAge    *int64   `json:"max_age,omitempty"`
	LoginHint string   `json:"login_hint,omitempty"`
	Levels    []string `json:"acr_values,omitempty"` // any of these
	Locales   []string `json:"ui_locales,omitempty"` // languages that the app would have the pages in

	Server       string          `json:"server,omitempty"` // id
	Client       string          `json:"client,omitempty"` // id of the app
	RedirectURI  string          `json:"redirect_uri,omitempty"`
	ResponseType []string        `json:"response_type,omitempty"`
	ResponseMode string          `json:"response_mode,omitempty"`
	State        string          `json:"state,omitempty"`
	HasState     bool            `json:"has_state,omitempty"`
	Nonce        string          `json:"nonce,omitempty"`
	Challenge    string          `json:"code_challenge,omitempty"`
	Scopes       []string        `json:"scopes,omitempty"`
	Resources    []string        `json:"resources,omitempty"`
	Details      json.RawMessage `json:"authorization_details,omitempty"`
	JKT          string          `json:"dpop_jkt,omitempty"`
	// Subject is the id of the user whom an id_token_hint names; empty: nobody.
	Subject string `json:"subject,omitempty"`
	// Provider is the id of the identity provider at which the person is to sign in;
	// empty: as they like.
	Provider string `json:"idp,omitempty"`

	// For is the app whose sign-on policy holds for a page of ours; empty: none.
	For string `json:"for,omitempty"`

	// Link is an account at an identity provider that the person is about to connect.
	Link *federation.Pending `json:"link,omitempty"`

	Created time.Time `json:"created"`
	// Unused is how long the browser's session had lain unused when the request came.
	Unused time.Duration `json:"unused,omitempty"`
}

// The factors that a page of ours has people set up.
const (
	enrollApp     = "app"
	enrollPasskey = "passkey"
)

func (q *Request) prompts(what string) bool { return slices.Contains(q.Prompt, what) }

// Refusal is an error of the protocol: what the app is told.
type Refusal struct {
	Code string // RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6
	Text string
}

// Error says both.
func (r *Refusal) Error() string { return r.Code + ": " + r.Text }

func refuse(code, text string) error { return &Refusal{Code: code, Text: text} }

// refusalOf returns the refusal in err's chain, or server_error for what is not
// the app's or the person's doing.
func refusalOf(err error) (r *Refusal, ours bool) {
	if errors.As(err, &r) {
		return r, false
	}
	return &Refusal{
		Code: "server_error", Text: "The authorization server encountered an unexpected condition that prevented it from fulfilling the request.",
	}, true
}

// The cookies.
const (
	browserCookie = "gatehouse_browser" // names the browser; a request that waits is bound to it
	sessionCookie = "gatehouse_session" // the secret of the session
)

// browser returns the browser's own secret, a fresh one when it has none.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	if b := s.cfg.Kit.Cookie(r, browserCookie); len(b) >= 32 {
		return b
	}
	b := keys.Secret(256)
	s.cfg.Kit.SetCookie(w, browserCookie, b)
	return b
}

// formToken is what a form of ours carries: it can be made only by who knows the
// browser's secret, and is good for one purpose.
func formToken(purpose, secret string) string {
	return keys.Hash("form\x00" + purpose + "\x00" + secret)
}

// field returns a field of a form; the guard of the kit bounds all forms.
func field(r *http.Request, name string) string {
	return r.PostFormValue(name)
}
