package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/session"
	"gatehouse/internal/web"
)

// Codes makes what an authorization gives.
type Codes interface {
	// Issue returns a code that stands for a; its faults have the reasons of the protocol.
	Issue(ctx context.Context, t *grant.Target, a grant.Authorization) (code string, err error)
	// Direct makes tokens; its faults are as those of Issue.
	Direct(ctx context.Context, t *grant.Target, a grant.Authorization, w grant.Wanted) (grant.Direct, error)
}

// finish answers the request: everything that was to be asked has been. Of a
// request that waited this happens once.
func (s *Server) finish(v *visit) {
	if v.wait != nil {
		first, err := s.cfg.Waiting.Take(v.ctx(), v.wait)
		if err == nil && !first {
			err = fault.New(fault.NotFound, "the request has been answered already")
		}
		if err != nil {
			s.lost(v.w, v.r, err)
			return
		}
		v.wait = nil
	}
	if err := s.remember(v); err != nil {
		// The next sign-in seems new, and this one works.
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelError, "a place cannot be remembered", slog.Any("error", err))
	}
	if v.req.Page != "" {
		http.Redirect(v.w, v.r, v.req.Page, http.StatusSeeOther)
		return
	}
	answer, err := s.grant(v)
	if err != nil {
		s.end(v, err)
		return
	}
	s.respond(v, answer)
}

// grant makes what the app has asked for.
func (s *Server) grant(v *visit) (answer, error) {
	if err := s.adopt(v); err != nil {
		return nil, err
	}
	a := grant.Authorization{
		Client: v.app.ID, Server: v.target.Server.ID, User: v.user.ID, Session: v.session.ID, Scopes: v.req.Scopes,
		RedirectURI: v.req.RedirectURI, CodeChallenge: v.req.Challenge, Nonce: v.req.Nonce, Resources: v.req.Resources, Details: v.req.Details,
		AuthTime: v.session.AuthTime, AMR: v.session.AMR, ACR: v.req.answers(v.session, s.cfg.Now()), JKT: v.req.JKT, Address: address(v.r).String(), Risk: v.session.Risk,
		Device: s.cfg.Certificates.Device(v.r, v.target.Tenant),
	}
	a.Device.Passkey = v.session.Passkey
	out, err := s.given(v, a)
	if err != nil {
		return nil, err
	}
	// The sign-out of the session is told to the app from now on. One that was signed
	// out of since the code was made has not ended that.
	err = s.cfg.Sessions.Join(v.ctx(), v.session.ID, session.Login{App: v.app.ID, Server: v.target.Server.ID})
	if fault.Is(err, fault.NotFound) {
		return nil, &Refusal{Code: "login_required", Text: "The person has signed out meanwhile."}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// given returns a code, or the tokens that the app has asked for in its place.
func (s *Server) given(v *visit, a grant.Authorization) (answer, error) {
	if v.req.direct() {
		return s.direct(v, a)
	}
	code, err := s.cfg.Codes.Issue(v.ctx(), v.target, a)
	if err != nil {
		return nil, protocolError(err)
	}
	return answer{{"code", code}}, nil
}

// protocolError turns what an access rule or the directory says into what the app
// is told.
func protocolError(err error) error {
	code, text := grant.ProtocolError(err)
	switch code {
	case "server_error", "temporarily_unavailable":
		return err
	case "invalid_grant", "invalid_client":
		code = "access_denied"
	}
	return &Refusal{Code: code, Text: text}
}

// Fail answers an authorization request whose app and address are right, and that
// is wrong otherwise.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, t *grant.Target, q Request, err error) {
	s.end(&visit{w: w, r: r, req: q, target: t}, err)
}

// end answers a request with an error: to the app if it is for one, else on a page.
func (s *Server) end(v *visit, err error) {
	refusal, ours := refusalOf(err)
	if ours {
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelError, "sign-in failed", slog.String("page", v.r.Pattern), slog.Any("error", err))
		if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) {
			refusal = &Refusal{Code: "temporarily_unavailable", Text: "The authorization server is currently unable to handle the request due to a temporary overloading or maintenance of the server."}
		}
	}
	if v.wait != nil {
		// What has ended is not begun again from the same address.
		if first, takeErr := s.cfg.Waiting.Take(v.ctx(), v.wait); takeErr == nil && !first {
			s.lost(v.w, v.r, errors.New("the request has been answered already"))
			return
		}
		v.wait = nil
	}
	if v.req.RedirectURI == "" {
		s.Stop(v.w, v.r, http.StatusBadRequest, refusal)
		return
	}
	s.respond(v, answer{{"error", refusal.Code}, {"error_description", refusal.Text}})
}

// Stop answers with a page, and leads nowhere: the request names no address that is
// known to be the app's.
func (s *Server) Stop(w http.ResponseWriter, r *http.Request, status int, refusal *Refusal) {
	lang := s.languageFor(r, Locales(r.URL.Query().Get("ui_locales")), time.Time{})
	s.tell(w, r, lang, status, notice{heading: "stopped_title", text: "stopped_text", detail: refusal.Code + ": " + refusal.Text, link: "/account", label: "go_account"})
}

// noPage answers for a page that there is not, or not at this site.
func (s *Server) noPage(w http.ResponseWriter, r *http.Request) {
	s.tell(w, r, s.language(r), http.StatusNotFound, notice{heading: "missing_title", text: "missing_text", link: "/account", label: "go_account"})
}

// lost answers for an address that stands for nothing, for this browser.
func (s *Server) lost(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusNotFound
	n := notice{heading: "lost_title", text: "lost_text", link: "/account", label: "go_account"}
	if f := fault.Of(err); f == nil || f.Code != fault.NotFound && f.Code != fault.Denied {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "sign-in failed", slog.String("page", r.Pattern), slog.Any("error", err))
		status, n.heading, n.text = http.StatusServiceUnavailable, "down_title", "wait_moment"
		w.Header().Set("Retry-After", "5")
	} else if f.Code == fault.Denied {
		status = http.StatusForbidden
	}
	s.tell(w, r, s.language(r), status, n)
}

// hostOf returns the host of an address, or its scheme where it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || address == "":
		return ""
	case u.Host != "":
		return u.Host
	}
	return u.Scheme
}

// answer is the parameters of an authorization response, in order.
type answer [][2]string

// The ways to give an authorization response.
const (
	ModeQuery    = "query"
	ModeFragment = "fragment"
	ModeForm     = "form_post"         // OAuth 2.0 Form Post Response Mode
	ModeMessage  = "okta_post_message" // a message to the window that opened or framed this one
)

// ResponseModes returns them, for the metadata.
func ResponseModes() []string { return []string{ModeQuery, ModeFragment, ModeForm, ModeMessage} }

// responsePage is what the pages of the modes with a page show.
type responsePage struct {
	Target string // the address, or the origin for a message
	Params []responseParam
}

type responseParam struct{ Name, Value string }

// respond gives the app its answer at the registered address. It names the issuer
// in every one, so that a client that talks to several is not misled (RFC 9207).
func (s *Server) respond(v *visit, a answer) {
	if v.req.HasState {
		a = append(a, [2]string{"state", v.req.State})
	}
	a = append(a, [2]string{"iss", v.target.Issuer()})
	switch v.req.ResponseMode {
	case ModeForm, ModeMessage:
		s.respondByPage(v, a)
	case ModeFragment:
		v.redirect(v.req.RedirectURI + "#" + encode(a))
	default:
		separator := "?"
		if strings.Contains(v.req.RedirectURI, "?") {
			separator = "&"
		}
		v.redirect(v.req.RedirectURI + separator + encode(a))
	}
}

// redirect leads the browser to the app. The status makes it a GET, so that a
// password that was just sent goes no further (RFC 9700 section 4.12).
func (v *visit) redirect(to string) {
	h := v.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

func encode(a answer) string {
	var b strings.Builder
	for i, p := range a {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p[0]) + "=" + strings.ReplaceAll(url.QueryEscape(p[1]), "+", "%20"))
	}
	return b.String()
}

func (s *Server) respondByPage(v *visit, a answer) {
	p := responsePage{Target: v.req.RedirectURI}
	for _, x := range a {
		p.Params = append(p.Params, responseParam{x[0], x[1]})
	}
	lang := s.lang(v)
	title := s.say(lang, "returning_title")
	if v.req.ResponseMode == ModeForm {
		s.pages.formPost.Write(v.ctx(), v.w, http.StatusOK, web.Head{Lang: lang, Title: title, Target: v.req.RedirectURI, Script: "submit.js"}, p)
		return
	}
	p.Target = originOf(v.req.RedirectURI)
	s.pages.postMessage.Write(v.ctx(), v.w, http.StatusOK, web.Head{Lang: lang, Title: title, Framer: p.Target, Script: "message.js"}, p)
}

// originOf returns scheme and host of an address.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
