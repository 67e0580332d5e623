package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/tenant"
)

// DevicePath is where people type the codes that their devices show.
const DevicePath = "/activate"

// Devices decides about what devices ask for (RFC 8628).
type Devices interface {
	// Find returns what a user code stands for, within the bounds of guessing.
	Find(ctx context.Context, t *grant.Target, userCode, by string) (grant.DeviceRequest, error)
	Approve(ctx context.Context, t *grant.Target, userCode string, a grant.Authorization) error
	Deny(ctx context.Context, t *grant.Target, userCode string) error
}

// devicePage is what the page shows: a field for the code, or what it stands for.
type devicePage struct {
	Token   string
	Name    string // the person's login
	Code    string
	Problem string
	App     string // empty: the code is asked for
	Owner   string
	Server  string
	Scopes  []consentScope
	Lasts   bool
}

// showDevice asks for the code. One that came with the address is only filled in:
// a link that somebody sent must not be enough (RFC 8628 section 5.4).
func (s *Server) showDevice(w http.ResponseWriter, r *http.Request, m *member) {
	code := r.URL.Query().Get("user_code")
	if len(code) > 16 {
		code = ""
	}
	s.writeDevice(w, r, http.StatusOK, devicePage{Token: m.token, Name: m.user.Value.Profile.Login, Code: code})
}

func (s *Server) writeDevice(w http.ResponseWriter, r *http.Request, status int, p devicePage) {
	head := s.titled(r, s.language(r), "device_title")
	head.Here = DevicePath
	s.pages.device.Write(r.Context(), w, status, head, p)
}

// answerDevice shows what a code stands for, or does what the person decides.
func (s *Server) answerDevice(w http.ResponseWriter, r *http.Request, m *member) {
	p := devicePage{Token: m.token, Name: m.user.Value.Profile.Login, Code: shorten(field(r, "code"))}
	req, t, err := s.findDevice(r, m, p.Code)
	if err == nil && field(r, "do") != "deny" {
		var asked bool
		if asked, err = s.proveForDevice(w, r, m, req, t); asked {
			return
		}
	}
	if err == nil {
		switch field(r, "do") {
		case "approve":
			err = s.approveDevice(r, m, req, t)
		case "deny":
			err = s.cfg.Devices.Deny(r.Context(), t, req.UserCode)
		default:
			s.confirmDevice(w, r, p, req, t)
			return
		}
	}
	switch {
	case err == nil && field(r, "do") == "deny":
		s.tell(w, r, s.language(r), http.StatusOK, notice{heading: "device_denied", text: "device_denied_text", link: "/account", label: "go_account"})
	case err == nil:
		s.tell(w, r, s.language(r), http.StatusOK, notice{heading: "device_done", text: "device_done_text", link: "/account", label: "go_account"})
	default:
		s.refuseDevice(w, r, p, err)
	}
}

// refuseDevice shows the page again with what went wrong.
func (s *Server) refuseDevice(w http.ResponseWriter, r *http.Request, p devicePage, err error) {
	status, problem := http.StatusUnprocessableEntity, ""
	switch reason := grant.ReasonOf(err); {
	case fault.Is(err, fault.NotFound):
		problem = "device_wrong"
	case fault.Is(err, fault.RateLimited):
		status, problem = http.StatusTooManyRequests, "device_busy"
	case reason == "user_not_assigned":
		status, problem = http.StatusForbidden, "device_unassigned"
	case reason == "no_matching_policy", fault.Is(err, fault.Denied):
		status, problem = http.StatusForbidden, "device_rules"
	default:
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "device page failed", slog.Any("error", err))
		s.lost(w, r, err)
		return
	}
	p.Problem = s.say(s.language(r), problem)
	s.writeDevice(w, r, status, p)
}

// findDevice returns what a code stands for and the server that it is about.
func (s *Server) findDevice(r *http.Request, m *member, code string) (grant.DeviceRequest, *grant.Target, error) {
	site, _ := s.cfg.Site(r)
	req, err := s.cfg.Devices.Find(r.Context(), &grant.Target{Tenant: site.Tenant, URL: site.URL}, code, m.user.ID)
	if err != nil {
		return req, nil, err
	}
	t, err := s.target(r, req.Server)
	var refusal *Refusal
	if errors.As(err, &refusal) { // the server is not active any more
		err = fault.New(fault.NotFound, "the code is of no use")
	}
	return req, t, err
}

// proveForDevice leads a person to prove what the sign-on policy of a device's app
// demands, and reports whether it does. Proofs of the last minutes count: the code is
// typed again after them. fault.Denied when the policy does not let the person in.
func (s *Server) proveForDevice(w http.ResponseWriter, r *http.Request, m *member, req grant.DeviceRequest, t *grant.Target) (bool, error) {
	app, ok := t.View.App(req.Client)
	if !ok {
		return false, nil // the page says so
	}
	v := &visit{w: w, r: r, judged: app, session: m.session, user: m.user, req: Request{
		Page: DevicePath + "?user_code=" + url.QueryEscape(req.UserCode), For: app.ID, Created: s.cfg.Now().Add(-changeTime), Unused: m.session.Unused,
	}}
	d, err := s.appRuled(v) //nolint:contextcheck // a visit carries its request
	if err != nil {
		return false, err
	}
	if !d.Allowed() {
		s.recordDenial(r.Context(), r, m.user, v.rule)
		return false, fault.New(fault.Denied, "the sign-on policy of the app does not let the person in")
	}
	wants, err := s.appWantsAgain(v) //nolint:contextcheck // a visit carries its request
	if err == nil && !wants {
		wants, err = s.appDemands(v) //nolint:contextcheck // a visit carries its request
	}
	if _, ours := refusalOf(err); err != nil && !ours {
		return false, fault.Because(err, fault.Denied, "the person cannot show what the sign-on policy of the app demands")
	}
	if err == nil && wants {
		s.ask(v) //nolint:contextcheck // a visit carries its request
	}
	return wants, err
}

// confirmDevice shows who asks for what.
func (s *Server) confirmDevice(w http.ResponseWriter, r *http.Request, p devicePage, req grant.DeviceRequest, t *grant.Target) {
	app, ok := t.View.App(req.Client)
	if !ok {
		s.refuseDevice(w, r, p, fault.New(fault.NotFound, "the app is gone"))
		return
	}
	p.Code, p.App, p.Owner, p.Server = req.UserCode, app.Label, app.Owner, t.Server.Name
	for _, name := range req.Scopes {
		scope, ok := t.Server.Scope(name)
		switch {
		case name == "openid": // says nothing to a person
		case name == "offline_access":
			p.Lasts = true
		case ok:
			p.Scopes = append(p.Scopes, consentScope{Name: name, Sentence: s.sentence(s.language(r), scope)})
		}
	}
	s.writeDevice(w, r, http.StatusOK, p)
}

// approveDevice grants all that the page has shown, and keeps that the person has
// agreed to it, also for an app that is trusted elsewhere: they were asked, and find it
// in their account. The device is not part of the browser's session: signing out of
// that leaves it alone.
func (s *Server) approveDevice(r *http.Request, m *member, req grant.DeviceRequest, t *grant.Target) error {
	app, ok := t.View.App(req.Client)
	if !ok {
		return fault.New(fault.NotFound, "the app is gone")
	}
	err := s.cfg.Devices.Approve(r.Context(), t, req.UserCode, grant.Authorization{
		Client: app.ID, User: m.user.ID, Scopes: req.Scopes,
		AuthTime: m.session.AuthTime, AMR: m.session.AMR, ACR: m.session.ACR, Address: address(r).String(), Risk: m.session.Risk,
	})
	if err != nil {
		return err
	}
	var asked []string
	for _, name := range req.Scopes {
		if scope, ok := t.Server.Scope(name); ok && !scope.System {
			asked = append(asked, name)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	q := access.ConsentQuestion{User: m.user.ID, App: app, Server: t.Server, Scopes: asked}
	return s.cfg.Consents.Consent(tenant.With(r.Context(), t.Tenant), self(m.user), q, access.ConsentByPerson)
}
