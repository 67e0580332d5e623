package login

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/keys"
	"gatehouse/internal/session"
)

// Federation is sign-in by external identity providers.
type Federation interface {
	// Choices returns the providers that may be chosen; of an identifier that is not
	// empty, those alone to whose domains it belongs.
	Choices(ctx context.Context, identifier string) ([]federation.Choice, error)
	// Begin returns where the browser goes; keep stores what Finish needs.
	Begin(ctx context.Context, provider string, a federation.Ask, keep func(data []byte) (state string, err error)) (address string, err error)
	Finish(ctx context.Context, data []byte, at string, q url.Values) (federation.Outcome, error)
	Confirmed(ctx context.Context, p federation.Pending) (bool, error)
	Confirm(ctx context.Context, p federation.Pending) error
	SAML
	DirectoryServer
	Leaver
}

// SAML is what only providers of SAML 2.0 need.
type SAML interface {
	// Receive takes an answer, and returns what Finish needs in place of data.
	Receive(ctx context.Context, provider string, data, response []byte) ([]byte, error)
	// Solicit reports whether an answer that nobody has asked for is a wish to sign in.
	Solicit(ctx context.Context, provider string) (bool, error)
	Metadata(ctx context.Context, provider string) ([]byte, error)
}

// providerLink is a provider on the page.
type providerLink struct{ Name, Address string }

func (v *visit) with(c federation.Choice) providerLink {
	return providerLink{c.Name, "/signin/" + v.name + "/with/" + c.ID}
}

// federated adds the providers to the sign-in page. Who is known to be one of a
// provider's is led there instead: then it reports true.
func (s *Server) federated(v *visit, p *signInPage) bool {
	if s.cfg.Federation == nil || v.req.Link != nil {
		return false
	}
	if v.req.Provider != "" && v.r.Method == http.MethodGet {
		v.redirect(v.with(federation.Choice{ID: v.req.Provider}).Address)
		return true
	}
	if to, err := s.providerOf(v, p.Name); err == nil && to != nil {
		s.lead(v, *to, p.Name)
		return true
	}
	choices, err := s.cfg.Federation.Choices(v.ctx(), "")
	if err != nil {
		// The password works without them.
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelError, "identity providers cannot be read", slog.Any("error", err))
		return false
	}
	for _, c := range choices {
		p.Providers = append(p.Providers, v.with(c))
		p.First = p.First || c.Routes && p.Name == ""
	}
	return false
}

// providerOf returns the provider of an identifier's domain, nil for none.
func (s *Server) providerOf(v *visit, identifier string) (*federation.Choice, error) {
	if s.cfg.Federation == nil || v.req.Link != nil || identifier == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	choices, err := s.cfg.Federation.Choices(v.ctx(), identifier)
	if err != nil || len(choices) == 0 {
		return nil, err
	}
	return &choices[0], nil
}

// lead shows the way to a provider. It is a page and no redirect: browsers hold redirects
// of a form against the page's policy, which names no stranger.
func (s *Server) lead(v *visit, c federation.Choice, identifier string) {
	to := v.with(c)
	to.Address += "?" + url.Values{"hint": {identifier}}.Encode()
	v.w.Header().Set("Refresh", "0;url="+to.Address)
	s.tell(v.w, v.r, s.lang(v), http.StatusOK, notice{
		heading: "provider_title", text: "provider_text", fill: []any{"provider", to.Name}, link: to.Address, label: "provider_continue",
	})
}

// visitBack is what waits while a browser is at a provider.
type visitBack struct {
	Name  string `json:"name"` // of the sign-in that it belongs to
	Data  []byte `json:"data"`
	Fresh bool   `json:"fresh,omitempty"`
}

// awayTime is how long a browser may be at a provider.
const awayTime = 10 * time.Minute

// serveProvider leads the browser to a provider.
func (s *Server) serveProvider(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, name: r.PathValue("name")}
	err := s.resume(v) //nolint:contextcheck // a visit carries its request
	if err == nil && (s.cfg.Federation == nil || v.req.Link != nil) {
		err = fault.New(fault.NotFound, "there are no identity providers here")
	}
	if err != nil {
		s.lost(w, r, err)
		return
	}
	if s.networkFull(r, s.cfg.Now()) > 0 {
		s.astray(v, http.StatusTooManyRequests, "busy_title", "busy_network")
		return
	}
	// Who is signed in and is asked again proves it anew: that the provider remembers them
	// from some time ago would lead here once more.
	fresh := v.req.prompts("login") || v.known() != ""
	ask := federation.Ask{LoginHint: r.URL.Query().Get("hint"), Fresh: fresh, MaxAge: v.req.MaxAge}
	if len(ask.LoginHint) > 100 {
		ask.LoginHint = ""
	}
	to, err := s.cfg.Federation.Begin(r.Context(), r.PathValue("provider"), ask, func(data []byte) (string, error) { //nolint:contextcheck // a visit carries its request
		raw, err := json.Marshal(visitBack{Name: v.name, Data: data, Fresh: ask.Fresh})
		if err != nil {
			return "", err
		}
		if err := s.cfg.Waiting.Admit(r.Context(), session.From{Network: address(r)}); err != nil {
			return "", err
		}
		return s.cfg.Waiting.Add(r.Context(), session.PurposeProvider, keys.Hash(s.browser(w, r)), raw, awayTime)
	})
	var crowd *session.TooMany
	if errors.As(err, &crowd) {
		s.crowded(v, crowd)
		return
	}
	if err != nil {
		s.notLed(v, err) //nolint:contextcheck // a visit carries its request
		return
	}
	v.redirect(to)
}

// serveCallback takes what a provider sends back: for the browser that was sent there,
// and once.
func (s *Server) serveCallback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := s.back(r, q.Get("state"))
	v := &visit{w: w, r: r, name: back.Name}
	if err == nil {
		err = s.resume(v) //nolint:contextcheck // a visit carries its request
	}
	if err != nil {
		s.lost(w, r, err)
		return
	}
	out, err := s.cfg.Federation.Finish(r.Context(), back.Data, r.PathValue("provider"), q)
	switch {
	case err != nil:
		s.notLed(v, err) //nolint:contextcheck // a visit carries its request
	case v.req.Subject != "" && out.User.ID != v.req.Subject:
		s.end(v, refuse("login_required", "Another user than the one of the id_token_hint has signed in.")) //nolint:contextcheck // a visit carries its request
	case out.Confirm != nil:
		s.confirmFirst(v, out) //nolint:contextcheck // a visit carries its request
	default:
		if err := s.welcome(v, out, back.Fresh); err != nil { //nolint:contextcheck // a visit carries its request
			s.end(v, err) //nolint:contextcheck // a visit carries its request
			return
		}
		if v.problem != "" {
			s.keepOut(w, r)
			return
		}
		v.redirect("/signin/" + v.name)
	}
}

// back finds what waits for a state, if this browser was sent with it, and takes it.
func (s *Server) back(r *http.Request, state string) (b visitBack, err error) {
	browser := s.cfg.Kit.Cookie(r, browserCookie)
	wait, err := s.cfg.Waiting.Find(r.Context(), session.PurposeProvider, state)
	if err != nil {
		return b, err
	}
	if s.cfg.Federation == nil || browser == "" || !keys.Equal(wait.Browser, keys.Hash(browser)) {
		return b, fault.New(fault.NotFound, "another browser began this")
	}
	first, err := s.cfg.Waiting.Take(r.Context(), &wait)
	if err == nil && !first {
		err = fault.New(fault.NotFound, "the answer has come already")
	}
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(wait.Data, &b)
}

// welcome begins the session of who has come back.
func (s *Server) welcome(v *visit, out federation.Outcome, fresh bool) error {
	proof := session.Proof{AMR: out.AMR, ACR: LevelAny, Factor: out.Second, AuthTime: out.AuthTime}
	if out.Second {
		proof.ACR = LevelTwoFactors
	}
	if fresh {
		proof.AuthTime = time.Time{} // it was asked for, and Finish has seen to it
	}
	user := out.User
	if err := s.admit(v, &user, proof); err != nil || v.problem != "" {
		return err
	}
	s.recordSignIn(v, user.Value.Profile.Login, &user, "")
	return s.cfg.Federation.Remember(v.ctx(), v.session.ID, v.session.Expires, out)
}

// confirmFirst asks who has come back to sign in to the account that theirs is to be
// connected with.
func (s *Server) confirmFirst(v *visit, out federation.Outcome) {
	if first, err := s.cfg.Waiting.Take(v.ctx(), v.wait); err != nil || !first {
		s.lost(v.w, v.r, fault.New(fault.NotFound, "the request has been answered already"))
		return
	}
	v.wait = nil
	v.req.Link, v.req.Subject, v.req.LoginHint = out.Confirm, out.User.ID, out.User.Value.Profile.Login
	v.req.Created = s.cfg.Now()
	v.req.Prompt = []string{"login"}
	s.ask(v)
}

// notLed shows why a sign-in at a provider came to nothing.
func (s *Server) notLed(v *visit, err error) {
	var refused *federation.Refused
	switch {
	case errors.As(err, &refused):
		s.recordSignIn(v, "", nil, refused.Reason)
		s.astray(v, http.StatusForbidden, "refused_title", refusedText(refused.Reason))
	case fault.Is(err, fault.NotFound):
		s.lost(v.w, v.r, err)
	case fault.Is(err, fault.Denied), fault.Is(err, fault.Invalid):
		s.recordSignIn(v, "", nil, "INVALID_PROVIDER_RESPONSE")
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelWarn, "the answer of an identity provider is not taken", slog.Any("error", err))
		s.astray(v, http.StatusForbidden, "provider_wrong", "provider_wrong_text")
	default:
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelError, "an identity provider cannot be used", slog.Any("error", err))
		s.astray(v, http.StatusBadGateway, "provider_down", "wait_moment")
	}
}

func (s *Server) astray(v *visit, status int, heading, text string) {
	n := notice{heading: heading, text: text, link: "/signin/" + v.name, label: "back_sign_in"}
	if v.name == "" {
		n.link = "/account"
	}
	s.tell(v.w, v.r, s.lang(v), status, n)
}

// refusedText returns the key of what a person is told who is not let in from a provider.
func refusedText(reason string) string {
	switch reason {
	case "UNVERIFIED_ADDRESS":
		return "refused_unverified"
	case "NOT_ELIGIBLE", "ANOTHER_AUTHORITY", "TOO_MANY_GROUPS":
		return "refused_not_eligible"
	case "AMBIGUOUS":
		return "refused_ambiguous"
	case "LINKING_DISABLED", "NOT_IN_GROUP", "CANNOT_CONFIRM":
		return "refused_link"
	case "NO_ACCOUNT":
		return "refused_no_account"
	}
	return "refused_inactive" // what is left are statuses of the account
}

// needsLink reports whether an account waits to be connected with that of the person, who
// has just signed in to it: providers are not offered on the way there.
func (s *Server) needsLink(v *visit) (bool, error) {
	if v.req.Link == nil || s.cfg.Federation == nil {
		return false, nil
	}
	if v.user.ID != v.req.Link.Link.User || v.session.AuthTime.Before(v.req.Created) {
		return false, refuse("access_denied", "The account was not confirmed.")
	}
	done, err := s.cfg.Federation.Confirmed(v.ctx(), *v.req.Link)
	return !done, err
}

// linkPage is what the page shows.
type linkPage struct{ Token, Provider, There, Here string }

func (s *Server) showLink(v *visit) {
	s.pages.link.Write(v.ctx(), v.w, v.pageStatus(), s.head(v, "link_title"),
		linkPage{Token: v.token, Provider: v.req.Link.Provider.Name, There: v.req.Link.Link.Name, Here: v.user.Value.Profile.Login})
}

func (s *Server) takeLink(v *visit) error {
	err := s.cfg.Federation.Confirm(v.ctx(), *v.req.Link)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return refuse("access_denied", "The account cannot be connected any more.")
	}
	return err
}

// knowsProvider refuses a request for a provider that nobody can sign in at.
func (s *Server) knowsProvider(v *visit) error {
	if v.req.Provider == "" {
		return nil
	}
	if s.cfg.Federation != nil {
		choices, err := s.cfg.Federation.Choices(v.ctx(), "")
		if err != nil || slices.ContainsFunc(choices, func(c federation.Choice) bool { return c.ID == v.req.Provider }) {
			return err
		}
	}
	return refuse("invalid_request", "The 'idp' parameter is not the id of an active identity provider.")
}
