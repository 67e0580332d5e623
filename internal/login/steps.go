package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// visit is one request of a browser on the way of a Request.
type visit struct {
	w    http.ResponseWriter
	r    *http.Request
	req  Request
	wait *session.Waiting // nil while nobody has been asked anything
	name string           // of wait

	target  *grant.Target                  // nil for a page of ours
	app     *access.AppView                // nil for a page of ours
	judged  *access.AppView                // whose sign-on policy holds; nil: that of app
	session *session.Session               // nil: nobody is signed in
	user    *ledger.Object[directory.User] // of the session
	token   string                         // of the forms
	problem string                         // key of what the page says went wrong
	fill    []any                          // of it
	status  int                            // of the page; 0 means 200
	agreed  bool                           // the person has just agreed
	begun   bool                           // a second factor is being set up
	secret  string                         // of it, to be shown this once
	failed  int                            // wrong passwords right before the right one
	rule    *ruling                        // what the sign-on policies say of the user, once they were asked
	may     *access.EnrollDecision         // what the enrollment policies say, likewise
	have    *own                           // second factors of the user, once they were read
	again   bool                           // the page is to be shown again, with more on it
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// step is one thing that a person may be asked.
type step struct {
	name string
	why  string
	// silent is what the app is told when the step is needed and nobody may be asked.
	silent string
	// needed says whether the step is to be done still; an error ends the request.
	needed func(*Server, *visit) (bool, error)
	// show answers with the step's page.
	show func(*Server, *visit)
	// take does what the person answered. What it finds wrong is the visit's problem;
	// then the page is shown again. An error ends the request.
	take func(*Server, *visit) error
}

// steps are gone through from the first for every request of the browser: the first
// that is needed is shown. When none is, the request is finished.
func steps() []step {
	return []step{
		{"signin", "everything after it is about this person", "login_required", (*Server).needsSignIn, (*Server).showSignIn, (*Server).takeSignIn},
		{"rules", "whom the sign-on policies keep out is asked nothing more", "access_denied", (*Server).needsAllowed, (*Server).showDenied, (*Server).takeDenied},
		{"factor", "who has a second factor replaces an expired password with it: others may know the old one", "interaction_required", (*Server).needsFactorFirst, (*Server).showFactor, (*Server).takeFactor},
		{"password", "an expired password opens nothing but its own replacement", "interaction_required", (*Server).needsPassword, (*Server).showPassword, (*Server).takePassword},
		{"link", "an account is connected by who has just proved that it is theirs", "interaction_required", (*Server).needsLink, (*Server).showLink, (*Server).takeLink},
		{"enroll", "who has no second factor sets one up when one is demanded", "interaction_required", (*Server).needsEnrollment, (*Server).showEnrollment, (*Server).takeEnrollment},
		{"factor", "what the app demands of the sign-in, before it learns anything", "interaction_required", (*Server).needsFactor, (*Server).showFactor, (*Server).takeFactor},
		{"assignment", "who may not use the app is not asked for consent to it", "access_denied", (*Server).needsAssignment, nil, nil},
		{"consent", "last: the person sees what the app gets, and it gets it at once", "consent_required", (*Server).needsConsent, (*Server).showConsent, (*Server).takeConsent},
	}
}

// requestTime is how long a person may take.
const requestTime = 30 * time.Minute

// Begin answers an authorization request: at once when the person need not be
// asked anything, else by leading the browser to the pages. The request is right
// in itself, and its app and server are the target's.
func (s *Server) Begin(w http.ResponseWriter, r *http.Request, t *grant.Target, app *access.AppView, q Request) {
	q.Created = s.cfg.Now()
	r = r.WithContext(tenant.With(r.Context(), t.Tenant))
	s.begin(&visit{w: w, r: r, req: q, target: t, app: app}) //nolint:contextcheck // a visit carries its request
}

func (s *Server) begin(v *visit) {
	if err := s.recognize(v); err != nil {
		s.end(v, err)
		return
	}
	if v.session != nil {
		v.req.Unused = v.session.Unused
	}
	// Cookies are not sent with a form of another site: the browser is asked again by
	// the address that it is led to.
	next, err := s.next(v)
	if err == nil {
		err = s.knowsProvider(v)
	}
	silent := v.req.prompts("none")
	switch {
	case err != nil && (silent || v.r.Method != http.MethodPost):
		s.end(v, err)
	case next == nil && (silent || v.r.Method != http.MethodPost):
		s.finish(v)
	case silent:
		s.end(v, refuse(next.silent, silentText[next.silent]))
	default:
		s.ask(v)
	}
}

// silentText is what an app is told that asked for no questions.
var silentText = map[string]string{
	"login_required":       "The client specified not to prompt, but the user is not logged in.",
	"consent_required":     "The client specified not to prompt, but the user has not consented to all of the requested scopes.",
	"access_denied":        "The sign-on policy does not allow access.",
	"interaction_required": "The client specified not to prompt, but the user must interact with the authorization server.",
}

// ask keeps the request and leads the browser to its page.
func (s *Server) ask(v *visit) {
	data, err := json.Marshal(v.req)
	if err == nil {
		err = s.cfg.Waiting.Admit(v.ctx(), session.From{Network: address(v.r)})
	}
	if err == nil {
		v.name, err = s.cfg.Waiting.Add(v.ctx(), session.PurposeSignIn, keys.Hash(s.browser(v.w, v.r)), data, requestTime)
	}
	var crowd *session.TooMany
	if errors.As(err, &crowd) {
		s.crowded(v, crowd)
		return
	}
	if err != nil {
		s.end(v, err)
		return
	}
	http.Redirect(v.w, v.r, "/signin/"+v.name, http.StatusSeeOther)
}

// crowded asks a person to come back later. The app is not led to: it could only try
// again at once.
func (s *Server) crowded(v *visit, crowd *session.TooMany) {
	status, heading := http.StatusTooManyRequests, "crowded_network"
	if crowd.All {
		status, heading = http.StatusServiceUnavailable, "crowded_all"
	}
	v.w.Header().Set("Retry-After", strconv.FormatInt(max(ratelimit.Seconds(crowd.After), 1), 10))
	s.tell(v.w, v.r, s.lang(v), status, notice{heading: heading, text: "crowded_text"})
}

// next returns the first step that is needed, nil when all are done.
func (s *Server) next(v *visit) (*step, error) {
	all := steps()
	for i := range all {
		needed, err := all[i].needed(s, v)
		if err != nil {
			return nil, err
		}
		if needed {
			return &all[i], nil
		}
	}
	return nil, nil
}

// serveSignIn is the dispatcher.
func (s *Server) serveSignIn(w http.ResponseWriter, r *http.Request) {
	s.carry(&visit{w: w, r: r, name: r.PathValue("name")}) //nolint:contextcheck // a visit carries its request
}

// carry does what the person answered, and shows what is next.
func (s *Server) carry(v *visit) {
	if err := s.resume(v); err != nil {
		s.lost(v.w, v.r, err)
		return
	}
	if v.r.Method != http.MethodPost {
		s.dispatch(v)
		return
	}
	if !keys.Equal(v.token, field(v.r, "token")) {
		s.lost(v.w, v.r, fault.New(fault.Denied, "this page was not sent by this browser's own form"))
		return
	}
	switch field(v.r, "step") {
	case "cancel":
		s.end(v, refuse("access_denied", "The resource owner or authorization server denied the request."))
		return
	case "switch":
		if err := s.signOut(v); err != nil {
			s.end(v, err)
			return
		}
		http.Redirect(v.w, v.r, "/signin/"+v.name, http.StatusSeeOther)
		return
	}
	next, err := s.next(v)
	if err != nil {
		s.end(v, err)
		return
	}
	if next != nil && next.name == field(v.r, "step") {
		if err := next.take(s, v); err != nil {
			s.end(v, err)
			return
		}
		if v.problem != "" || v.secret != "" || v.again {
			next.show(s, v)
			return
		}
		if v.agreed {
			// What was left out is known to this request alone.
			s.dispatch(v)
			return
		}
	}
	// Whatever was done shows in what the next request finds.
	http.Redirect(v.w, v.r, "/signin/"+v.name, http.StatusSeeOther)
}

func (s *Server) dispatch(v *visit) {
	next, err := s.next(v)
	switch {
	case err != nil:
		s.end(v, err)
	case next == nil:
		s.finish(v)
	default:
		next.show(s, v)
	}
}

// resume reads what the address stands for. A request that another browser began
// is as good as none: its answer would sign the person in to somebody else's app
// session, or the other way round.
func (s *Server) resume(v *visit) error {
	browser := s.cfg.Kit.Cookie(v.r, browserCookie)
	w, err := s.cfg.Waiting.Find(v.ctx(), session.PurposeSignIn, v.name)
	if err != nil {
		return err
	}
	if browser == "" || !keys.Equal(w.Browser, keys.Hash(browser)) {
		return fault.New(fault.NotFound, "another browser began this")
	}
	if err := json.Unmarshal(w.Data, &v.req); err != nil {
		return err
	}
	v.wait, v.token = &w, formToken(v.name, browser)
	if v.req.Page == "" {
		if v.target, err = s.target(v.r, v.req.Server); err != nil {
			return err
		}
		app, ok, err := grant.FindApp(v.ctx(), s.cfg.Documents, v.target, v.req.Client)
		if err != nil {
			return err
		}
		if !ok || app.Status != access.Active {
			return fault.New(fault.NotFound, "the app is gone")
		}
		v.app = app
	}
	if v.req.For != "" {
		site, _ := s.cfg.Site(v.r)
		view, err := s.cfg.Views.Get(v.ctx(), site.Tenant)
		if err != nil {
			return err
		}
		v.judged, _ = view.App(v.req.For)
	}
	return s.recognize(v)
}

// recognize finds out who is signed in. Who may not act any more is not.
func (s *Server) recognize(v *visit) error {
	sess, user, err := s.current(v.r)
	v.session, v.user = sess, user
	return err
}

// current returns the session of a browser and its user; nil when there is none.
func (s *Server) current(r *http.Request) (*session.Session, *ledger.Object[directory.User], error) {
	found, err := s.cfg.Sessions.Find(r.Context(), s.cfg.Kit.Cookie(r, sessionCookie))
	if fault.Is(err, fault.NotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	u, err := s.cfg.People.User(r.Context(), found.User)
	if fault.Is(err, fault.NotFound) || err == nil && !u.Value.MayAct() {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &found, &u, nil
}

// signOut ends the browser's session.
func (s *Server) signOut(v *visit) error {
	s.cfg.Kit.DropCookie(v.w, sessionCookie)
	if v.session == nil {
		return nil
	}
	_, err := s.cfg.Sessions.End(v.ctx(), session.Selection{ID: v.session.ID})
	return err
}
