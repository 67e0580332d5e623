package gateway

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// SignIn is how browsers sign in at one issuer, for APIs with auth: session.
type SignIn struct {
	Cookie   string // name of the cookie that holds a session
	Path     string // of its pages, with a slash at both ends
	Sessions Sessions
	Pages    Pages
}

// Sessions finds and renews sessions. Nothing of it asks a store.
type Sessions interface {
	// Find returns the session whose cookie has the value, nil when there is none. It
	// neither blocks nor allocates.
	Find(value []byte, now time.Time) Session
	// Renew gets the session a new access token: before it returns, or soon. Its error
	// is a fault: Unauthenticated when the session is over.
	Renew(ctx context.Context, s Session, wait bool) error
	// End ends a session that must not go on.
	End(s Session) error
}

// Session is a browser's sign-in, and the access token that stands behind it.
type Session interface {
	// Access returns the token, whether it has to be renewed first, or soon. use says
	// that this is a use of the session.
	Access(now time.Time, use bool) (raw []byte, expired, due bool)
	// Facts returns what verified says, with the sign-in that the session knows of. For
	// one verified it is the same pointer each time.
	Facts(verified *verify.Token) *verify.Token
	// Asked returns what the sign-in was asked to achieve (acr_values, a bar, max_age),
	// and when it was.
	Asked() (what string, at time.Time)
	// Ended reports whether the session is over for good.
	Ended() bool
}

// Pages are what a browser sees of signing in and out.
type Pages interface {
	// LoginURL returns the path and query that sign a browser in and bring it back.
	LoginURL(returnTo, acr, maxAge string) string
	// ServePage answers a request. The error is for the record, the answer is written.
	ServePage(w http.ResponseWriter, r *http.Request) error
}

// NewSignIn returns how browsers sign in at an issuer, asking for the scopes. It
// must not change what the snapshot that is served now uses.
type NewSignIn func(i spec.Issuer, scopes []string) (SignIn, error)

// cookiePrefix is what the names of all of the gateway's cookies begin with: no
// upstream gets or sets one.
const cookiePrefix = "__Host-gatehouse-"

// Errors about sessions that say all there is to say, made once.
var (
	errNoSession    = Refuse(ReasonNoToken, nil, "the request has no cookie of a session")
	errTwoCookies   = Refuse(ReasonAmbiguousRequest, nil, "the request has the cookie of a session twice")
	errSessionEnded = Refuse(ReasonSessionEnded, nil, "the cookie names no session that is alive: it has ended, was signed out, or never was")
	errBoundSession = Refuse(ReasonProofInvalid, nil, "the session's access token is bound to a key or certificate, which no browser proves")
	errCrossSite    = Refuse(ReasonCrossSite, nil, "the request changes something and does not say that a page of this origin sent it")
	errCrossSocket  = Refuse(ReasonCrossSite, nil, "the WebSocket is not opened by a page of this origin")
)

// bySession lets browsers in that have signed in. What stands behind their cookie is
// an access token, and that is judged as if the caller had sent it.
type bySession struct {
	signIn *SignIn
	name   string       // of the cookie, as bytes are compared with it
	judge  authenticate // of the access token
	others bool         // the API takes credentials of other kinds as well
}

// compileSession finds out where browsers of the API sign in.
func (c *compiler) compileSession(a *api, s *spec.API) error {
	at, err := c.out.spec.SignsIn(s)
	if err != nil {
		return fault.New(fault.Invalid, "auth: %v", err)
	}
	i, ok := c.issuers[at.Name]
	if c.g.config.SignIn == nil || !ok {
		return c.unsupported("auth", spec.AuthSession)
	}
	in, ok := c.signIns[at.Name]
	if !ok {
		made, err := c.g.config.SignIn(*at, c.out.spec.SessionScopes(at))
		if err != nil {
			return err
		}
		in = &made
		c.signIns[at.Name] = in
	}
	a.signIn, a.signsIn = in, i
	c.out.signIns = append(c.out.signIns, signInAt{s.Host, in})
	return nil
}

func newBySession(c *compiler, a *api, fresh bool) *bySession {
	if a.signIn == nil {
		return nil
	}
	s := &bySession{
		signIn: a.signIn, name: a.signIn.Cookie, others: a.spec.TakesTokens(),
		judge: authenticate{verifier: c.out.verifier, api: a.name, issuers: []accepted{a.signsIn}, fresh: fresh},
	}
	if a.signsIn.introspect != nil {
		s.judge.asked = []*accepted{&s.judge.issuers[0]}
	}
	return s
}

// explicit reports whether the request presents a credential that somebody has put
// there on purpose. It counts for more than a cookie, which browsers add by themselves.
func (s *bySession) explicit(ex *Exchange) bool {
	if !s.others || ex.auths > 0 {
		return s.others
	}
	for i := range ex.req.Fields {
		if ex.req.Fields[i].Kind == wire.APIKey {
			return true
		}
	}
	return false
}

// find finds out who is calling by the cookie.
func (s *bySession) find(ex *Exchange) error {
	value, n := cookie(ex.req, s.name)
	switch {
	case n == 0:
		return errNoSession
	case n > 1:
		return errTwoCookies
	}
	found := s.signIn.Sessions.Find(value, ex.started)
	if found == nil {
		return errSessionEnded
	}
	if err := sameOrigin(ex); err != nil {
		return err
	}
	raw, expired, due := found.Access(ex.started, !ex.dry)
	if (expired || due) && !ex.dry {
		if err := s.signIn.Sessions.Renew(ex.Context(), found, expired); err != nil && expired {
			return notRenewed(err)
		}
		raw, _, _ = found.Access(ex.started, false)
	}
	t, err := s.judge.verify(ex, raw)
	if err != nil {
		return err
	}
	if err := s.judge.accepts(t); err != nil {
		return err
	}
	if s.judge.fresh {
		if err := s.judge.standing(ex, t, raw); err != nil {
			return err
		}
	}
	if t.KeyThumbprint != "" || t.CertThumbprint != "" {
		return errBoundSession
	}
	ex.session, ex.bySession = found, true
	ex.token = found.Facts(t)
	ex.memo = ex.memoOf(ex.token, raw)
	return nil
}

func notRenewed(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return Refuse(ReasonSessionEnded, err, "the session's access token could not be renewed")
	}
	return Refuse(ReasonIssuerUnreachable, err, "the session's access token could not be renewed now")
}

// cookie returns the value of a cookie, and how many of the name there are.
func cookie(r *wire.Request, name string) (value []byte, n int) {
	for i := range r.Fields {
		if r.Fields[i].Kind != wire.Cookie {
			continue
		}
		for rest := r.Fields[i].Value; len(rest) > 0; {
			var pair []byte
			pair, rest = cutCookie(rest)
			if len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name {
				value, n = pair[len(name)+1:], n+1
			}
		}
	}
	return value, n
}

// cutCookie returns the first cookie of a line, and the rest. Spaces and tabs around it do
// not count, and nothing else is a space: to a browser, a no-break space before a name makes
// it another name, without the rules for __Host-, so that a page of a neighbouring host
// could give a browser the cookie of a session (RFC 6265 section 5.2, RFC 6265bis section 5.4).
func cutCookie(b []byte) (pair, rest []byte) {
	if i := bytes.IndexByte(b, ';'); i >= 0 {
		b, rest = b[:i], b[i+1:]
	}
	return bytes.Trim(b, " \t"), rest
}

// sameOrigin refuses what another site makes a browser send (attack gateway 64): a
// cookie says whose browser it is, and not whose page. Browsers say of each request
// where its page is from; what does not say so is not let in.
func sameOrigin(ex *Exchange) error {
	if ex.opensSocket() {
		// A WebSocket can be opened from anywhere, and its answers can be read.
		if o := ex.Header("origin"); o == nil || !ex.ownOrigin(o) {
			return errCrossSocket
		}
		return nil
	}
	if ex.kind == methodGet || ex.kind == methodHead || ex.kind == methodOptions {
		return nil // safe (RFC 9110 section 9.2.1)
	}
	if site := ex.Header("sec-fetch-site"); site != nil {
		if string(site) == "same-origin" || string(site) == "none" {
			return nil
		}
		return errCrossSite
	}
	if o := ex.Header("origin"); o == nil || !ex.ownOrigin(o) {
		return errCrossSite
	}
	return nil
}

// opensSocket reports whether the request opens a WebSocket. A proxy that only asks has
// taken Upgrade out, which is for one connection, and will switch protocols all the same:
// there what browsers send beside it tells (RFC 6455 section 4.1).
func (ex *Exchange) opensSocket() bool {
	return len(ex.req.Upgrade) > 0 || ex.asked && (ex.Header("sec-websocket-key") != nil || ex.Header("sec-websocket-version") != nil ||
		string(ex.Header("sec-fetch-mode")) == "websocket")
}

// ownOrigin reports whether an Origin line names scheme and host as the client
// addressed us.
func (ex *Exchange) ownOrigin(o []byte) bool {
	proto, host, _ := ex.outside()
	return len(o) == len(proto)+3+len(host) && string(o[:len(proto)]) == proto && string(o[len(proto):len(proto)+3]) == "://" &&
		bytes.EqualFold(o[len(proto)+3:], host)
}

// withoutOwnCookies returns a Cookie line without the gateway's cookies, nil when
// nothing is left of it.
func (ex *Exchange) withoutOwnCookies(line []byte) []byte {
	if !bytes.Contains(line, []byte(cookiePrefix)) {
		return line
	}
	from := len(ex.cookies)
	for rest := line; len(rest) > 0; {
		var pair []byte
		pair, rest = cutCookie(rest)
		// What is not ours to us may be to an upstream that takes more for a space.
		if len(pair) == 0 || bytes.HasPrefix(bytes.TrimSpace(pair), []byte(cookiePrefix)) {
			continue
		}
		if len(ex.cookies) > from {
			ex.cookies = append(ex.cookies, "; "...)
		}
		ex.cookies = append(ex.cookies, pair...)
	}
	return ex.cookies[from:len(ex.cookies):len(ex.cookies)]
}

// wantsPage reports whether a person waits for a page: a browser's navigation, which
// can be sent to the issuer and back. Scripts are told instead.
func (ex *Exchange) wantsPage() bool {
	if ex.kind != methodGet || len(ex.req.Upgrade) > 0 {
		return false
	}
	if mode := ex.Header("sec-fetch-mode"); mode != nil {
		dest := ex.Header("sec-fetch-dest")
		return string(mode) == "navigate" && (dest == nil || string(dest) == "document")
	}
	return ex.Header("x-requested-with") == nil && bytes.Contains(ex.Header("accept"), []byte("text/html"))
}

// maxReturnTo bounds what a browser is brought back to with its query.
const maxReturnTo = 1024

// loginURL returns where a person can do something about the refusal by signing in:
// "" when that is nowhere.
func (ex *Exchange) loginURL(back bool) string {
	if ex.asked || ex.route == nil || ex.route.api.signIn == nil || ex.route.public() {
		return ""
	}
	to, acr, age := "", "", ""
	if back {
		to = string(ex.req.Target)
		if len(to) > maxReturnTo {
			to, _, _ = strings.Cut(to, "?")
		}
	}
	switch ex.reason.Name {
	case ReasonNoToken, ReasonSessionEnded:
	case ReasonStepUpRequired:
		acr, age = ex.route.acr, ex.route.maxAge
	default:
		return ""
	}
	return ex.route.api.signIn.Pages.LoginURL(to, acr, age)
}

// toLogin sends a browser's navigation to sign in, and reports whether it has.
func (ex *Exchange) toLogin(e *rendered) bool {
	if ex.asked || ex.dry || !ex.wantsPage() || ex.auths > 0 && ex.session == nil || ex.inVain() {
		return false
	}
	to := ex.loginURL(true)
	if to == "" {
		return false
	}
	ex.answer = append(ex.answer[:0],
		wire.Field{Name: nameLocation, Value: []byte(to)},
		wire.Field{Name: nameCacheControl, Value: valueNoStore, Kind: wire.CacheControl},
		wire.Field{Name: nameDecision, Value: e.decision},
		wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	ex.answered, ex.status = true, http.StatusSeeOther
	if err := ex.lane.Respond(http.StatusSeeOther, ex.answer, nil); err != nil {
		ex.gw.config.Logger.Debug("the client did not take its answer", "error", err)
	}
	return true
}

// oftenEnough is how soon after a sign-in that did not achieve what it was asked for
// the browser is not sent to the issuer again by itself.
const oftenEnough = 5 * time.Minute

// inVain reports whether the browser has just come back from a sign-in that was asked
// for the very same and did not achieve it: sending it again would go on for ever.
// What counts is what was achieved, not what was asked for (attack gateway 78).
func (ex *Exchange) inVain() bool {
	if ex.session == nil || ex.reason.Name != ReasonStepUpRequired {
		return false
	}
	what, at := ex.session.Asked()
	if what != ex.route.acr+"|"+ex.route.maxAge || ex.started.Sub(at) > oftenEnough {
		return false
	}
	for i := range ex.route.steps {
		if s, ok := ex.route.steps[i].do.(*stepUp); ok {
			return !s.satisfied(ex.token, at)
		}
	}
	return false
}

// endRevoked ends the session of a caller whose sign-in was taken back: a renewed
// access token must not bring it to life again.
func (ex *Exchange) endRevoked() {
	if ex.session == nil || ex.dry || ex.reason.Name != ReasonRevoked {
		return
	}
	if err := ex.route.api.signIn.Sessions.End(ex.session); err != nil {
		ex.gw.config.Logger.Error("the end of a revoked session could not be written down", "error", err)
	}
}
