package relying

import (
	"encoding/json"
	"errors"
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
		"style.css":           {http.MethodGet, p.style},        // what the pages look like
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
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	pg, ok := p.pages[strings.TrimPrefix(r.URL.Path, p.path)]
	switch {
	case !ok:
		return p.fail(w, r, http.StatusNotFound, "missing_title", "", nil)
	case r.Method != pg.method && (r.Method != http.MethodHead || pg.method != http.MethodGet):
		h.Set("Allow", pg.method)
		return p.fail(w, r, http.StatusMethodNotAllowed, "method_title", "", nil)
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
		return p.fail(w, r, http.StatusForbidden, "foreign_title", "", fault.New(fault.Denied, "another site asks"))
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
		return p.fail(w, r, http.StatusForbidden, "foreign_title", "foreign_text", fault.New(fault.Denied, "another site, or nobody says which, wants to sign out"))
	}
	s := p.sessionOf(r)
	setCookie(w, p.cookie, "", -1)
	to := p.path + "signed-out"
	if s != nil {
		t := s.tokens.Load()
		if err := p.cfg.Sessions.end(s); err != nil {
			return p.fail(w, r, http.StatusServiceUnavailable, "unsure_title", "unsure_text", err)
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
	return write(w, http.StatusOK, "text/html; charset=utf-8", p.html(r, "out_title", "", LoginURL(p.path, "", "", "")))
}

// frontChannel ends sessions when the issuer loads this page in a frame (OpenID
// Connect Front-Channel Logout 1.0). A frame of another site has no cookie of ours, so
// iss and sid must say which session it is.
func (p *Party) frontChannel(w http.ResponseWriter, r *http.Request) error {
	u, err := url.Parse(p.cfg.Issuer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors "+u.Scheme+"://"+u.Host)
	q := r.URL.Query()
	if q.Get("iss") != p.cfg.Issuer || q.Get("sid") == "" {
		return p.fail(w, r, http.StatusBadRequest, "unnamed_title", "unnamed_text", fault.New(fault.Invalid, "iss is another issuer, or sid is missing"))
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
		return p.fail(w, r, http.StatusServiceUnavailable, "full_title", "full_text", err)
	case !fault.Is(err, fault.Denied):
		p.count("unreachable")
		return p.fail(w, r, http.StatusServiceUnavailable, "down_title", "down_text", err)
	case errors.As(err, &said) && said.code == "access_denied":
		p.count("denied")
		return p.fail(w, r, http.StatusForbidden, "denied_title", "denied_text", err)
	}
	p.count("failed")
	return p.fail(w, r, http.StatusBadRequest, "failed_title", "refused_text", err)
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
	_, err := w.Write(body) //nolint:gosec // pages are written by html/template, the rest is JSON and a file of ours
	return err
}
