package relying

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// page is one page: the only method it has, and what answers it. An error says, for
// the record, what went wrong; the answer is written all the same.
type page struct {
	method string
	serve  func(http.ResponseWriter, *http.Request) error
}

// table lists the pages below Path.
func (p *Party) table() map[string]page {
	return map[string]page{
		"login":               {http.MethodGet, p.login},        // a browser comes to sign in
		"callback":            {http.MethodGet, p.callback},     // it comes back from the issuer
		"session":             {http.MethodGet, p.session},      // a script asks who is signed in
		"logout":              {http.MethodPost, p.logout},      // a page of the same origin signs out
		"signed-out":          {http.MethodGet, p.signedOut},    // the issuer sends the browser here after that
		"frontchannel-logout": {http.MethodGet, p.frontChannel}, // a frame of the issuer's signs out
		"backchannel-logout":  {http.MethodPost, p.backChannel}, // the issuer itself signs out
	}
}

// maxForm bounds the body of a request to a page.
const maxForm = 64 << 10

// ServePage answers a request whose path begins with Path. Scheme and Host of r.URL
// are how the browser addressed the gateway. The error is for the record: the answer
// has been written.
func (p *Party) ServePage(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	pg, ok := p.pages[strings.TrimPrefix(r.URL.Path, p.path)]
	switch {
	case !ok:
		return p.fail(w, r, http.StatusNotFound, "There is no such page", "", nil)
	case r.Method != pg.method && (r.Method != http.MethodHead || pg.method != http.MethodGet):
		h.Set("Allow", pg.method)
		return p.fail(w, r, http.StatusMethodNotAllowed, "This address takes "+pg.method, "", nil)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return pg.serve(w, r)
}

func (p *Party) sessionOf(r *http.Request) *Session {
	c := r.CookiesNamed(p.cookie)
	if len(c) != 1 {
		return nil
	}
	return p.Find([]byte(c[0].Value), p.cfg.Now())
}

// session tells a script of the same origin who is signed in, and until when at most.
func (p *Party) session(w http.ResponseWriter, r *http.Request) error {
	if !ownPage(r) && r.Header.Get("Sec-Fetch-Site") != "" {
		return p.fail(w, r, http.StatusForbidden, "Not for other sites", "", fault.New(fault.Denied, "another site asks"))
	}
	s := p.sessionOf(r)
	if s == nil {
		return writeJSON(w, http.StatusOK, map[string]any{"signed_in": false, "login": LoginURL(p.path, "", "", "")})
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"signed_in": true, "user": s.subject, "signed_in_at": s.created,
		"ends_at": s.created + int64(p.cfg.Lifetime.Seconds()), "idle_seconds": int64(p.cfg.Idle.Seconds()), "logout": p.path + "logout",
	})
}

// logout ends the browser's session here, and then sends the browser to the issuer to
// end the one there (OpenID Connect RP-Initiated Logout 1.0): by a redirect for a form,
// by telling a script where to go.
func (p *Party) logout(w http.ResponseWriter, r *http.Request) error {
	if !ownPage(r) {
		return p.fail(w, r, http.StatusForbidden, "Not for other sites", "Signing out is done on the page itself.", fault.New(fault.Denied, "another site, or nobody says which, wants to sign out"))
	}
	s := p.sessionOf(r)
	setCookie(w, p.cookie, "", -1)
	to := p.path + "signed-out"
	if s != nil {
		t := s.tokens.Load()
		if err := p.cfg.Sessions.end(s); err != nil {
			return p.fail(w, r, http.StatusServiceUnavailable, "Signed out, but not for sure", "You are signed out now. It could not be written down, so after a restart of the server the sign-in may come back: sign out again later.", err)
		}
		p.count("signed_out")
		p.forget(r.Context(), t.refresh)
		to = p.endSessionURL(r, t.id)
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" || strings.Contains(r.Header.Get("Accept"), "text/html") {
		return redirect(w, to)
	}
	return writeJSON(w, http.StatusOK, map[string]string{"location": to})
}

// endSessionURL returns where the issuer ends its own session, or our page when it
// offers no such thing or cannot be asked now.
func (p *Party) endSessionURL(r *http.Request, idToken string) string {
	here, _ := origin(r)
	m, err := p.provider.get(r.Context(), p)
	if err != nil || m.EndSession == "" {
		return p.path + "signed-out"
	}
	return withQuery(m.EndSession, url.Values{
		"id_token_hint": {idToken}, "client_id": {p.cfg.ClientID}, "post_logout_redirect_uri": {here + p.path + "signed-out"},
	})
}

func (p *Party) signedOut(w http.ResponseWriter, r *http.Request) error {
	return write(w, http.StatusOK, "text/html; charset=utf-8", p.html(view{Title: "You are signed out", Login: LoginURL(p.path, "", "", "")}))
}

// frontChannel ends sessions when the issuer loads this page in a frame (OpenID
// Connect Front-Channel Logout 1.0). A frame of another site has no cookie of ours, so
// iss and sid must say which session it is.
func (p *Party) frontChannel(w http.ResponseWriter, r *http.Request) error {
	u, err := url.Parse(p.cfg.Issuer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors "+u.Scheme+"://"+u.Host)
	q := r.URL.Query()
	if q.Get("iss") != p.cfg.Issuer || q.Get("sid") == "" {
		return p.fail(w, r, http.StatusBadRequest, "Not signed out", "The sign-in service does not say which session it means.", fault.New(fault.Invalid, "iss is another issuer, or sid is missing"))
	}
	if _, err := p.cfg.Sessions.EndAll(Ending{Issuer: p.cfg.Issuer, Client: p.cfg.ClientID, Session: q.Get("sid")}); err != nil {
		return p.failed(w, r, fault.Because(err, fault.Unavailable, "the end of a session could not be written down"))
	}
	p.count("signed_out")
	return p.signedOut(w, r)
}

// backChannel ends sessions when the issuer says so in a logout token.
func (p *Party) backChannel(w http.ResponseWriter, r *http.Request) error {
	err := r.ParseForm() //nolint:gosec // ServePage has bounded the body
	var t *verify.Token
	if raw := r.PostForm["logout_token"]; err == nil && len(raw) == 1 {
		t, err = p.loggedOut(r.Context(), raw[0])
	} else if err == nil {
		err = fault.New(fault.Invalid, "there is no logout_token, or there are two")
	}
	if err != nil {
		p.count("logout_refused")
		_ = writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "the logout token is not accepted"})
		return fault.Because(err, fault.Denied, "the logout token is not accepted")
	}
	e := Ending{Issuer: p.cfg.Issuer, Client: p.cfg.ClientID, Session: t.Session}
	if t.Session == "" {
		e.Subject = t.Subject
	}
	if _, err := p.cfg.Sessions.EndAll(e); err != nil {
		_ = writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable"})
		return err
	}
	p.count("signed_out")
	return write(w, http.StatusOK, "", nil)
}

// failed answers with a page about an error of redeem and the like.
func (p *Party) failed(w http.ResponseWriter, r *http.Request, err error) error {
	var said refused
	switch {
	case fault.Is(err, fault.Full):
		p.count("full")
		return p.fail(w, r, http.StatusServiceUnavailable, "Too many people are signed in", "Try again later.", err)
	case !fault.Is(err, fault.Denied):
		p.count("unreachable")
		return p.fail(w, r, http.StatusServiceUnavailable, "The sign-in service does not answer", "Try again in a moment.", err)
	case errors.As(err, &said) && said.code == "access_denied":
		p.count("denied")
		return p.fail(w, r, http.StatusForbidden, "You were not let in", "The sign-in service says that you may not, or you have changed your mind.", err)
	}
	p.count("failed")
	return p.fail(w, r, http.StatusBadRequest, "Sign-in did not work", "What the sign-in service sent is not accepted. Whoever runs this site can see why.", err)
}

// fail answers with a page for a person. It returns the cause for the record.
func (p *Party) fail(w http.ResponseWriter, _ *http.Request, status int, title, say string, cause error) error {
	v := view{Title: title, Say: say}
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		v.Login = LoginURL(p.path, "", "", "")
	}
	if err := write(w, status, "text/html; charset=utf-8", p.html(v)); err != nil {
		return err
	}
	if cause == nil {
		cause = fault.New(fault.NotFound, "there is no such page")
	}
	return cause
}

// view is what a page shows.
type view struct{ Title, Say, Login string }

const pageText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>{{.Title}}</title></head>
<body><main><h1>{{.Title}}</h1>{{with .Say}}<p>{{.}}</p>{{end}}{{with .Login}}<p><a href="{{.}}">Sign in</a></p>{{end}}</main></body></html>
`

// html writes the page.
func (p *Party) html(v view) []byte {
	var b strings.Builder
	if err := p.paper.Execute(&b, v); err != nil {
		return []byte(template.HTMLEscapeString(v.Title))
	}
	return []byte(b.String())
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(w, status, "application/json", append(b, '\n'))
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
