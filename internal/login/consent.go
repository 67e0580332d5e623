package login

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
)

// needsAssignment ends a request for an app that the person may not use.
func (s *Server) needsAssignment(v *visit) (bool, error) {
	if v.app == nil || v.app.OIDC.ImplicitAssignment {
		return false, nil
	}
	assigned, err := s.cfg.Persons.Assigned(v.ctx(), v.user.ID, v.app.ID)
	if err != nil {
		return false, err
	}
	if !assigned {
		return false, refuse("access_denied", "User is not assigned to the client application.")
	}
	return false, nil
}

func (v *visit) question() access.ConsentQuestion {
	return access.ConsentQuestion{User: v.user.ID, App: v.app, Server: v.target.Server, Scopes: v.req.Scopes}
}

// needsConsent reports whether something is asked for that the person has not
// agreed to, or the app wants the person to see it again (prompt=consent).
func (s *Server) needsConsent(v *visit) (bool, error) {
	if v.app == nil || v.agreed {
		return false, nil
	}
	if v.req.prompts("consent") && len(v.asked()) > 0 {
		return true, nil
	}
	if len(v.details()) > 0 {
		return true, nil // each time: they are about one thing, such as one payment
	}
	if v.couldBeAnybody() && len(v.asked()) > 0 {
		return true, nil // each time: what was agreed to was for the program that asked then
	}
	missing, err := s.cfg.Consents.Withheld(v.ctx(), v.question())
	return len(missing) > 0, err
}

// couldBeAnybody reports whether any app of the person's device can ask in the name of
// this one and get the answer: it has nothing to prove itself by, and the answer goes to a
// scheme that every app may claim (RFC 8252 section 8.6). A claimed https address is the
// app's own; a program that may open a port of the machine is not kept from the browser
// and its session either, so asking again would protect nothing.
func (v *visit) couldBeAnybody() bool {
	u, err := url.Parse(v.req.RedirectURI)
	return v.app.Public() && (err != nil || u.Scheme != "https" && u.Scheme != "http")
}

// details says in words what the authorization details allow that a person is asked
// about.
func (v *visit) details() []string {
	if v.app.OIDC.ConsentMethod != access.ConsentAsk {
		return nil
	}
	return grant.DescribeDetails(v.target, v.req.Details)
}

// seen stands for the sentences that a page has shown.
func seen(details []string) string {
	if len(details) == 0 {
		return ""
	}
	return keys.Hash(strings.Join(details, "\x00"))
}

// asked returns the requested scopes that a person is asked about.
func (v *visit) asked() (out []*access.Scope) {
	for _, name := range v.req.Scopes {
		if scope, ok := v.target.Server.Scope(name); ok && access.NeedsConsent(&v.app.App, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// consentPage is what the page shows.
type consentPage struct {
	Token    string
	App      string
	Owner    string // empty: not known
	Site     string // the app's verified domain, for the person to recognize it; may be empty
	Policy   string // address of the app's privacy policy; may be empty
	Terms    string // address of the app's terms; may be empty
	Server   string // whose API it is
	Returns  string // host that the person is led to
	Stranger string // host of an app that nobody here has registered; empty: somebody has
	Name     string // the person's login
	Scopes   []consentScope
	Details  []string // what is asked for this time, in words
	Seen     string   // stands for them
	Lasts    bool     // it goes on while the person is away
	Always   bool     // the page comes with every sign-in to the app
	Withdraw string
	Problem  string
}

type consentScope struct {
	Name     string
	Sentence string
	Optional bool
	New      bool // not agreed to before
}

func (s *Server) showConsent(v *visit) {
	missing, err := s.cfg.Consents.Withheld(v.ctx(), v.question())
	if err != nil {
		s.end(v, err)
		return
	}
	p := consentPage{
		Token: v.token, App: v.app.Label, Owner: v.app.Owner, Site: siteOf(v.app.OIDC.ClientURI, v.req.RedirectURI), Policy: v.app.OIDC.PolicyURI, Terms: v.app.OIDC.TermsURI,
		Server: v.target.Server.Name, Returns: hostOf(v.req.RedirectURI), Name: v.user.Value.Profile.Login, Withdraw: "/account", Problem: s.problem(v),
		Lasts: slices.Contains(v.req.Scopes, "offline_access"), Always: v.couldBeAnybody(),
	}
	if v.app.Document != "" {
		p.Stranger = hostOf(v.app.ID)
	}
	p.Details = v.details()
	p.Seen = seen(p.Details)
	asked := v.asked()
	p.Scopes = s.consentScopes(s.lang(v), asked, missing)
	s.pages.consent.Write(v.ctx(), v.w, v.pageStatus(), s.head(v, "consent_title", "app", v.app.Label), p)
}

// siteOf returns the domain of an app's own address where it is verified: where the answer
// goes there. Whoever registers an app may name any address; where its answers go is theirs.
func siteOf(own, redirect string) string {
	site := hostOf(own)
	if strings.TrimPrefix(site, "www.") != strings.TrimPrefix(hostOf(redirect), "www.") {
		return ""
	}
	return site
}

// adopt keeps an app that is known by its document before anything is kept of it, and
// when its document has changed.
func (s *Server) adopt(v *visit) error {
	if v.app.Document == "" {
		return nil
	}
	known, ok := v.target.View.App(v.app.ID)
	if ok && known.Document == v.app.Document {
		return nil
	}
	if err := s.cfg.Documents.Adopt(v.ctx(), self(v.user), v.app.ID); err != nil {
		return err
	}
	var err error
	if v.target, err = s.target(v.r, v.req.Server); err != nil {
		return err
	}
	if known, ok = v.target.View.App(v.app.ID); !ok || known.Status != access.Active {
		return refuse("unauthorized_client", "The client is not active.")
	}
	v.app = known
	return nil
}

func (s *Server) consentScopes(lang string, asked []*access.Scope, missing []string) (out []consentScope) {
	for _, scope := range asked {
		out = append(out, consentScope{
			Name: scope.Name, Sentence: s.sentence(lang, scope), Optional: scope.Optional, New: slices.Contains(missing, scope.Name) && len(missing) < len(asked),
		})
	}
	return out
}

// sentence is what a scope says of itself to a person: its own words, but those that come
// with every server are ours.
func (s *Server) sentence(lang string, scope *access.Scope) string {
	switch key := scopeText(scope); {
	case key != "":
		return s.say(lang, key)
	case scope.Description != "":
		return scope.Description
	case scope.DisplayName != "":
		return scope.DisplayName
	}
	return scope.Name
}

// scopeText returns the key of the sentence of a scope that comes with every server; empty
// for others.
func scopeText(scope *access.Scope) string {
	if !scope.System {
		return ""
	}
	return map[string]string{
		"openid": "scope_openid", "profile": "scope_profile", "email": "scope_email", "address": "scope_address",
		"phone": "scope_phone", "offline_access": "scope_offline", "device_sso": "scope_device_sso",
	}[scope.Name]
}

// takeConsent keeps what the person agrees to. What the page did not show cannot
// be agreed to, and what was not optional cannot be left out.
func (s *Server) takeConsent(v *visit) error {
	var agreed, left []string
	if field(v.r, "details") != seen(v.details()) {
		v.problem, v.fill = "consent_changed", []any{"app", v.app.Label}
		return nil
	}
	for _, scope := range v.asked() {
		shown := slices.Contains(v.r.Form["shown"], scope.Name)
		switch {
		case !shown:
			// The app's or the scope's settings have changed while the page was open.
			v.problem, v.fill = "consent_changed", []any{"app", v.app.Label}
			return nil
		case scope.Optional && !slices.Contains(v.r.Form["allow"], scope.Name):
			left = append(left, scope.Name)
		default:
			agreed = append(agreed, scope.Name)
		}
	}
	if err := s.adopt(v); err != nil {
		return err
	}
	q := v.question()
	q.Scopes = agreed
	if err := s.cfg.Consents.Consent(v.ctx(), self(v.user), q, access.ConsentByPerson); err != nil {
		if fault.Is(err, fault.NotFound) {
			return refuse("invalid_scope", "One or more scopes are not configured for the authorization server resource.")
		}
		return err
	}
	v.req.Scopes = slices.DeleteFunc(v.req.Scopes, func(n string) bool { return slices.Contains(left, n) })
	v.agreed = true
	return nil
}
