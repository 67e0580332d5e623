// Package login is what a person meets: signing in, proving a level, agreeing to
// what an app asks for, and looking after it all on the account pages. It is a
// state machine over a persisted request: each step returns to one dispatcher,
// never to another step, and whatever a step has done is found again in the
// session, the directory or the ledger. It must not know SQL, the gateway, or how
// a token is made.
package login

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/federation"
	"gatehouse/internal/grant"
	"gatehouse/internal/ledger"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
	"gatehouse/internal/web"
)

// People is what this room needs of the directory.
type People interface {
	User(ctx context.Context, id string) (ledger.Object[directory.User], error)
	// Identify returns the user whom somebody means who signs in, or fault.NotFound.
	Identify(ctx context.Context, identifier string) (ledger.Object[directory.User], error)
	// Authenticate reports whether it is the user's password; nil is nobody, and takes
	// the same time.
	Authenticate(ctx context.Context, u *ledger.Object[directory.User], password string) (bool, error)
	ChangePassword(ctx context.Context, actor ledger.Actor, userID, old, next string, early bool) (ledger.Object[directory.User], error)
	GroupsOf(ctx context.Context, userID string) ([]directory.MemberOf, error)
	CreateUser(ctx context.Context, actor ledger.Actor, n directory.NewUser) (ledger.Object[directory.User], error)
	ChangeUser(ctx context.Context, actor ledger.Actor, userID string, c directory.UserChange) (ledger.Object[directory.User], error)
}

// Lifecycle moves users in theirs.
type Lifecycle interface {
	SetStatus(ctx context.Context, actor ledger.Actor, userID string, to directory.Status) error
}

// Attempts counts attempts to sign in, durably.
type Attempts interface {
	// TakeAttempt counts an attempt before it is judged, and returns how many there
	// were without a break of since.
	TakeAttempt(ctx context.Context, name string, at time.Time, since time.Duration) (int, error)
	// EndAttempts notes a success: the count begins anew.
	EndAttempts(ctx context.Context, name string, at time.Time) error
	// Attempts returns how many there were without a break of since, and counts none.
	Attempts(ctx context.Context, name string, at time.Time, since time.Duration) (int, error)
	// ReturnAttempt takes back one that could not be judged.
	ReturnAttempt(ctx context.Context, name string) error
	// ForgetAttempts has the count begin anew without a success.
	ForgetAttempts(ctx context.Context, name string) error
}

// Consents is what people have agreed to.
type Consents interface {
	Withheld(ctx context.Context, q access.ConsentQuestion) ([]string, error)
	Consent(ctx context.Context, actor ledger.Actor, q access.ConsentQuestion, source string) error
	ListConsents(ctx context.Context, user, app string) ([]ledger.Object[access.UserConsent], error)
	Withdraw(ctx context.Context, actor ledger.Actor, w access.Withdrawal) ([]ledger.Object[access.UserConsent], error)
}

// Persons finds out what decides about a person's use of an app.
type Persons interface {
	// Assigned reports whether the user may use the app.
	Assigned(ctx context.Context, user, app string) (bool, error)
	// HoldsFactor reports whether the user has the factor, and it is in force.
	HoldsFactor(ctx context.Context, user, id string) (bool, error)
}

// Documents are apps that are known by their metadata documents.
type Documents interface {
	grant.Documents
	// Adopt keeps such an app as its document says it is now.
	Adopt(ctx context.Context, actor ledger.Actor, client string) error
}

// Origins says which web origins are trusted.
type Origins interface {
	// AllowsOrigin reports whether pages of the origin may call this tenant (CORS).
	AllowsOrigin(ctx context.Context, origin string) (bool, error)
}

// Site says which tenant's identity listener a request is for.
type Site struct {
	Tenant tenant.ID
	URL    string // scheme and host, no trailing slash
	Name   string // what it is called in letters; empty: its host
	// Language is that of who prefers none that there is; empty: web.DefaultLanguage.
	Language string
	// Registration lets people make accounts for themselves; nil: it does not.
	Registration *Registration
}

// Config is what a Server needs.
type Config struct {
	Site     func(*http.Request) (Site, bool)
	SiteOf   func(tenant.ID) (Site, bool) // for what no request has asked for
	Views    *access.Views
	Kit      *web.Kit
	Sessions *session.Service
	Waiting  *session.Room
	// Certificates are those that devices show; nil: none can.
	Certificates *grant.Certificates
	People       People
	Lifecycle    Lifecycle
	Factors      Factors
	Passkeys     Passkeys
	MailCodes    MailCodes
	Recovery     Recovery
	Attempts     Attempts
	Places       Places
	Atlas        Atlas // nil: nobody knows where addresses are
	Consents     Consents
	Persons      Persons
	Codes        Codes
	Devices      Devices
	Origins      Origins
	Letters      Letters // nil: there is no mail
	Sealer       Sealer  // nil: browsers are not remembered
	History      History
	// Held returns what other rooms hold about a user, for the export; may be nil.
	Held func(ctx context.Context, user string) (map[string]any, error)
	// Federation is nil where there are no external identity providers.
	Federation Federation
	Documents  Documents // nil: no app is known by its document
	// Revoke ends what a user has granted to an app, on every node.
	Revoke func(ctx context.Context, user, app string) error
	Audit  audit.Recorder
	Log    *slog.Logger
	Now    func() time.Time // the clock
}

// Server answers the pages of this room, and carries authorization requests to
// their end.
type Server struct {
	cfg   Config
	pages pages
	mux   *http.ServeMux
	open  *http.ServeMux     // what forms of other sites may be sent to
	tries *ratelimit.Limiter // of sign-ins, per network
	jobs  chan job
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, pages: newPages(cfg.Kit), mux: http.NewServeMux(), open: http.NewServeMux(),
		jobs:  make(chan job, 256),
		tries: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: 1 << 16})),
	}
	s.mux.HandleFunc("GET /signin/{name}", s.serveSignIn)
	s.mux.HandleFunc("POST /signin/{name}", s.serveSignIn)
	s.mux.HandleFunc("GET /signin/{name}/with/{provider}", s.serveProvider)
	s.mux.HandleFunc("GET "+federation.CallbackPath, s.serveCallback)
	s.mux.HandleFunc("GET "+federation.OwnCallbackPath, s.serveCallback)
	s.mux.HandleFunc("GET "+federation.SAMLPath+"{provider}", s.serveSAML)
	s.mux.HandleFunc("GET "+federation.SAMLPath+"{provider}/metadata", s.serveMetadata)
	s.open.HandleFunc("POST "+federation.SAMLPath+"{provider}", s.serveAnswer)
	s.mux.HandleFunc("GET /account", s.person(s.showAccount))
	s.mux.HandleFunc("POST /account", s.person(s.changeAccount))
	s.mux.HandleFunc("GET "+DevicePath, s.person(s.showDevice))
	s.mux.HandleFunc("POST "+DevicePath, s.person(s.answerDevice))
	s.mux.HandleFunc("GET "+RecoverPath, s.showRecover)
	s.mux.HandleFunc("POST "+RecoverPath, s.takeRecover)
	for _, method := range []string{"GET ", "POST "} {
		s.mux.HandleFunc(method+linkReset().path+"{token}", s.choose(linkReset(), "reset_title", "reset_lead"))
		s.mux.HandleFunc(method+linkWelcome().path+"{token}", s.choose(linkWelcome(), "welcome_title", "welcome_lead"))
		s.mux.HandleFunc(method+linkEmail().path+"{token}", s.confirmEmail)
		s.mux.HandleFunc(method+RegisterPath, s.serveRegister)
		s.mux.HandleFunc(method+linkRegister().path+"{token}", s.finishRegister)
	}
	s.mux.HandleFunc("GET "+ActivityPath, s.person(s.showActivity))
	s.mux.HandleFunc("GET "+ExportPath, s.person(s.serveExport))
	s.mux.HandleFunc("POST "+ExportPath, s.person(s.serveExport))
	s.mux.HandleFunc("GET "+EmailPath, s.person(s.showEmail))
	s.mux.HandleFunc("POST "+EmailPath, s.person(s.takeEmail))
	s.mux.HandleFunc("POST "+web.LanguagePath, s.chooseLanguage)
	s.mux.HandleFunc("GET /signout", s.showSignedOut)
	s.mux.HandleFunc("GET /", s.noPage)
	s.mux.HandleFunc("GET "+federation.SignedOutPath, s.serveLeft)
	s.mux.HandleFunc("POST /signout", s.confirmSignOut)
	return s
}

// Patterns returns the addresses that ServeHTTP answers, for a mux.
func Patterns() []string {
	return []string{"/signin/", "/account", "/account/", DevicePath, "/signout", web.LanguagePath, RecoverPath, RegisterPath, linkRegister().path, linkReset().path, linkWelcome().path, linkEmail().path, federation.CallbackPath, federation.OwnCallbackPath, federation.SAMLPath, federation.SignedOutPath}
}

// ServeHTTP answers one request of a browser.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site, ok := s.cfg.Site(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	r = r.WithContext(tenant.With(r.Context(), site.Tenant))
	if _, pattern := s.open.Handler(r); pattern != "" {
		s.open.ServeHTTP(w, r)
		return
	}
	s.cfg.Kit.Guarded(s.mux).ServeHTTP(w, r)
}

// target returns where codes of the named server come from.
func (s *Server) target(r *http.Request, server string) (*grant.Target, error) {
	site, _ := s.cfg.Site(r)
	view, err := s.cfg.Views.Get(r.Context(), site.Tenant)
	if err != nil {
		return nil, err
	}
	v, ok := view.Server(server)
	if !ok {
		return nil, refuse("server_error", "The authorization server is not active.")
	}
	return &grant.Target{Tenant: site.Tenant, URL: site.URL, View: view, Server: v}, nil
}
