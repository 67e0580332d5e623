package authserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// Caller calls addresses that apps have named. *safehttp.Client is one.
type Caller interface {
	PostForAnswer(ctx context.Context, url string, header http.Header, body []byte) (safehttp.Answer, error)
}

// LogoutsConfig is what Logouts needs.
type LogoutsConfig struct {
	// Target returns where tokens of a server come from, by its id or name.
	Target func(ctx context.Context, server string) (*grant.Target, error)
	Rings  *grant.Rings
	HTTP   Caller
	Audit  audit.Recorder
	Log    *slog.Logger     // nil = discard
	Now    func() time.Time // the clock
	// Waits are how long after a call that failed by accident the next one comes; nil: a
	// second, five and thirty.
	Waits []time.Duration
}

// Logouts tells apps that a person has signed out, by the back channel (OpenID
// Connect Back-Channel Logout 1.0). Nobody waits for it; what comes of each is in
// the system log.
type Logouts struct {
	cfg   LogoutsConfig
	slots chan struct{} // calls at a time
	stop  chan struct{} // closed: nothing is tried again

	mu      sync.Mutex
	pending int
	each    map[string]*turns // by app
	closed  bool
	work    sync.WaitGroup
}

// turns are the calls of one app at a time: a slow one holds up nobody else.
type turns struct {
	slots chan struct{}
	users int
}

// Bounds of what is on its way.
const (
	maxLogouts     = 4096 // of all apps; what is more is recorded as not sent
	logoutsAtOnce  = 16
	logoutsOfOne   = 4
	logoutLifetime = 2 * time.Minute // of a logout token (section 2.4)
	logoutCall     = 5 * time.Second
)

// logoutType is the typ of logout tokens (section 2.4).
const logoutType = "logout+jwt"

// NewLogouts returns Logouts. Close ends them.
func NewLogouts(cfg LogoutsConfig) *Logouts {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Waits == nil {
		cfg.Waits = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
	}
	return &Logouts{cfg: cfg, slots: make(chan struct{}, logoutsAtOnce), stop: make(chan struct{}), each: map[string]*turns{}}
}

// Ended tells the apps that were signed in to with the sessions, and does not wait.
func (l *Logouts) Ended(ctx context.Context, ended []session.Session) {
	for _, s := range ended {
		for _, login := range s.Apps {
			if err := l.ended(ctx, &s, login); err != nil {
				l.cfg.Log.Error("an app cannot be told that a person has signed out", "app", login.App, "error", err)
			}
		}
	}
}

func (l *Logouts) ended(ctx context.Context, s *session.Session, login session.Login) error {
	server := login.Server
	if server == "" {
		server = access.OrgServer
	}
	t, err := l.cfg.Target(ctx, server)
	if fault.Is(err, fault.NotFound) {
		return nil // a server that is gone has no sessions to end
	}
	if err != nil {
		return err
	}
	app, ok := t.View.App(login.App)
	if !ok || app.Status != access.Active || app.OIDC.BackchannelURI == "" {
		return nil
	}
	d := &delivery{target: t, app: app, user: s.User, session: s.ID}
	if !l.begin(login.App) {
		l.record(d, 0, fault.New(fault.Full, "too many are on their way"))
		return nil
	}
	ctx = tenant.With(context.WithoutCancel(ctx), t.Tenant)
	go func() {
		defer l.done(login.App)
		l.deliver(ctx, d)
	}()
	return nil
}

// delivery is one app that is told of one session.
type delivery struct {
	target  *grant.Target
	app     *access.AppView
	user    string
	session string
}

// begin reserves a place for a delivery.
func (l *Logouts) begin(app string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.pending >= maxLogouts {
		return false
	}
	l.pending++
	l.work.Add(1)
	t := l.each[app]
	if t == nil {
		t = &turns{slots: make(chan struct{}, logoutsOfOne)}
		l.each[app] = t
	}
	t.users++
	return true
}

func (l *Logouts) done(app string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	if t := l.each[app]; t.users == 1 {
		delete(l.each, app)
	} else {
		t.users--
	}
	l.work.Done()
}

// deliver calls until the app has taken it, has said that it does not, or has failed
// too often.
func (l *Logouts) deliver(ctx context.Context, d *delivery) {
	l.mu.Lock()
	own := l.each[d.app.ID].slots
	l.mu.Unlock()
	for attempt := 1; ; attempt++ {
		err := l.call(ctx, d, own)
		if err == nil || fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) || attempt > len(l.cfg.Waits) {
			l.record(d, attempt, err)
			return
		}
		timer := time.NewTimer(l.cfg.Waits[attempt-1])
		select {
		case <-timer.C:
		case <-l.stop:
			timer.Stop()
			l.record(d, attempt, err)
			return
		}
	}
}

// call makes one attempt. It is Denied when another one is in vain.
func (l *Logouts) call(ctx context.Context, d *delivery, own chan struct{}) error {
	own <- struct{}{}
	defer func() { <-own }()
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	token, err := l.token(ctx, d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, logoutCall)
	defer cancel()
	form := url.Values{"logout_token": {token}}.Encode()
	a, err := l.cfg.HTTP.PostForAnswer(ctx, d.app.OIDC.BackchannelURI, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form))
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusOK, a.Status == http.StatusNoContent: // section 2.8
		return nil
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooManyRequests, a.Status >= 500:
		return fault.New(fault.Unavailable, "the app answered with status %d", a.Status)
	}
	return fault.New(fault.Denied, "the app answered with status %d", a.Status)
}

// token makes a logout token (section 2.4): a fresh one for each attempt, since an app
// that has seen one refuses to see it again.
func (l *Logouts) token(ctx context.Context, d *delivery) (string, error) {
	now := l.cfg.Now()
	claims, err := json.Marshal(logoutClaims{
		Issuer: d.target.Issuer(), Subject: d.user, Audience: d.app.ID, Session: d.session, ID: keys.Secret(128),
		IssuedAt: now.Unix(), Expires: now.Add(logoutLifetime).Unix(), Events: map[string]struct{}{logoutEvent: {}},
	})
	if err != nil {
		return "", err
	}
	return l.cfg.Rings.Sign(ctx, d.target.Tenant, d.target.Server, claims, logoutType)
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutClaims are those of a logout token. It has no nonce, so that it is never
// taken for an ID token.
type logoutClaims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"` // the id of the user, as in ID tokens
	Audience string              `json:"aud"`
	Session  string              `json:"sid"`
	ID       string              `json:"jti"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	Events   map[string]struct{} `json:"events"`
}

// record says in the system log what came of a delivery. The reason is ours: nothing
// that an app answers is repeated.
func (l *Logouts) record(d *delivery, attempts int, err error) {
	ev := audit.Event{
		Tenant: d.target.Tenant, Type: audit.AppSignedOut, Message: "App is told of the end of a session",
		Actor: audit.Entity{ID: "system", Type: "SystemPrincipal"}, Outcome: audit.Outcome{Result: audit.Success},
		Targets: []audit.Entity{{ID: d.app.ID, Type: "PublicClientApp", DisplayName: d.app.Label}, {ID: d.user, Type: "User"}},
		Debug:   map[string]string{"session": d.session, "attempts": strconv.Itoa(attempts), "authorizationServer": d.target.Server.ID},
	}
	if err != nil {
		ev.Severity, ev.Message = audit.Warn, "App could not be told of the end of a session"
		ev.Outcome = audit.Outcome{Result: audit.Failure, Reason: whyNot(err)}
		l.cfg.Log.Warn("an app was not told that a person has signed out", "app", d.app.ID, "error", err)
	}
	l.cfg.Audit.Record(ev)
}

func whyNot(err error) string {
	if f := fault.Of(err); f != nil && f.Message != "" {
		return f.Message
	}
	return "it went wrong here; the log has the cause"
}

// Close lets calls under way end, and tries nothing again.
func (l *Logouts) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
	l.mu.Unlock()
	l.work.Wait()
}
