package relying

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// A flow is one way to the issuer and back. All that must be remembered of it is in a
// sealed cookie of the browser that began it, one cookie for each flow: so tabs do not
// disturb each other, a code that another browser brings is worth nothing (RFC 9700
// section 2.1), strangers who begin flows cost this node no memory, and a restart ends none.
type flow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // PKCE (RFC 7636)
	Return   string `json:"return"`
	Origin   string `json:"origin"`
	Asked    string `json:"asked,omitempty"`
	MaxAge   int64  `json:"max_age,omitempty"` // seconds; 0 = not asked for
	Started  int64  `json:"started"`

	hint string // whom the issuer is to sign in
}

const (
	flowLife = 10 * time.Minute
	mostFlow = 5 // cookies of flows that one browser may carry
	// maxReturn bounds where a browser comes back to: it travels in a cookie.
	maxReturn = 1024
)

func flowCookie(state string) string { return CookiePrefix + "flow-" + state[:min(len(state), 12)] }

// LoginURL returns the path and query of the page that signs a browser in and brings
// it back to returnTo. acr and maxAge are what the sign-in is to achieve (OpenID
// Connect Core 1.0 section 3.1.2.1): "" and "" for any. Session.Asked will say both,
// parted by a bar.
func LoginURL(path, returnTo, acr, maxAge string) string {
	q := url.Values{}
	for name, v := range map[string]string{"return": returnTo, "acr_values": acr, "max_age": maxAge} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if len(q) == 0 {
		return path + "login"
	}
	return path + "login?" + q.Encode()
}

// login begins a flow.
func (p *Party) login(w http.ResponseWriter, r *http.Request) error {
	origin, err := origin(r)
	if err != nil {
		return p.fail(w, r, http.StatusBadRequest, "https_title", "https_text", err)
	}
	if d := r.Header.Get("Sec-Fetch-Dest"); d != "" && d != "document" {
		return p.fail(w, r, http.StatusBadRequest, "page_title", "page_text", fault.New(fault.Invalid, "the browser wants a %s", word(d)))
	}
	q := r.URL.Query()
	f := flow{
		State: newSecret(), Nonce: newSecret(), Verifier: newSecret(), Return: safeReturn(q.Get("return")), Origin: origin,
		Started: p.cfg.Now().Unix(),
	}
	acr, age := q.Get("acr_values"), q.Get("max_age")
	if n, err := strconv.ParseInt(age, 10, 32); age != "" && (err != nil || n < 0) || len(acr) > 1024 {
		return p.fail(w, r, http.StatusBadRequest, "link_title", "link_text", fault.New(fault.Invalid, "acr_values or max_age cannot be read"))
	} else if age != "" {
		f.MaxAge = max(n, 1)
	}
	if acr != "" || age != "" {
		f.Asked = acr + "|" + age
	}
	to, err := p.authorizationURL(r.Context(), &f, acr, q.Get("prompt"))
	if err != nil {
		return p.failed(w, r, err)
	}
	plain, err := json.Marshal(f)
	if err != nil {
		return err
	}
	sealed, err := p.cfg.Sealer.Seal(plain, p.purpose())
	if err != nil {
		return err
	}
	p.trimFlows(w, r)
	setCookie(w, flowCookie(f.State), sealed, int(flowLife/time.Second))
	p.count("begun")
	return redirect(w, to)
}

func (p *Party) purpose() string { return "flow " + p.home }

// trimFlows takes back cookies of flows when the browser carries many: those of
// people who never came back, or of somebody who makes the browser begin flows.
func (p *Party) trimFlows(w http.ResponseWriter, r *http.Request) {
	n := 0
	for _, c := range slices.Backward(r.Cookies()) {
		if strings.HasPrefix(c.Name, CookiePrefix+"flow-") {
			if n++; n >= mostFlow {
				setCookie(w, c.Name, "", -1)
			}
		}
	}
}

// authorizationURL returns where the browser goes: the issuer's authorization
// endpoint, with the request itself (RFC 6749 section 4.1.1) or the name under which
// it was left there (RFC 9126), which keeps it out of the browser's hands.
func (p *Party) authorizationURL(ctx context.Context, f *flow, acr, prompt string) (string, error) {
	m, err := p.provider.get(ctx, p)
	if err != nil {
		return "", err
	}
	scopes := append([]string{"openid"}, p.cfg.Scopes...)
	if !p.once && offers(m.Scopes, "offline_access") {
		scopes = append(scopes, "offline_access")
	}
	slices.Sort(scopes[1:])
	challenge := sha256.Sum256([]byte(f.Verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.cfg.ClientID}, "redirect_uri": {p.redirectURI(f.Origin)},
		"scope": {strings.Join(slices.Compact(scopes), " ")}, "state": {f.State}, "nonce": {f.Nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if acr != "" {
		q.Set("acr_values", acr)
	}
	if f.MaxAge > 0 {
		q.Set("max_age", strconv.FormatInt(f.MaxAge, 10))
	}
	if f.hint != "" {
		q.Set("login_hint", f.hint)
	}
	if prompt == "login" || prompt == "select_account" {
		q.Set("prompt", prompt)
	}
	if m.PAR != "" {
		uri, err := p.push(ctx, m, q)
		if err != nil {
			return "", err
		}
		q = url.Values{"client_id": {p.cfg.ClientID}, "request_uri": {uri}}
	}
	return withQuery(m.Authorization, q), nil
}

func (p *Party) redirectURI(origin string) string { return origin + p.path + "callback" }

// callback ends a flow: what the issuer sent is held against what the browser's cookie
// says, the code is redeemed, and a session begins.
func (p *Party) callback(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	for name, values := range q {
		if len(values) > 1 {
			return p.fail(w, r, http.StatusBadRequest, "failed_title", "twice_text", fault.New(fault.Invalid, "the parameter %s is there twice", word(name)))
		}
	}
	f, err := p.flow(r, q.Get("state"))
	if err != nil {
		return p.fail(w, r, http.StatusBadRequest, "failed_title", "elsewhere_text", err)
	}
	setCookie(w, flowCookie(f.State), "", -1)
	if !p.spent.first(f.State, p.cfg.Now(), flowLife) {
		return p.fail(w, r, http.StatusBadRequest, "failed_title", "ended_text", fault.New(fault.Invalid, "the state has been used"))
	}
	n, err := p.redeem(r.Context(), f, q)
	if err != nil {
		return p.failed(w, r, err)
	}
	// The session of before, if there is one, ends: a sign-in, and a stronger one as
	// well, has a new name (attack identity 61).
	if old := p.sessionOf(r); old != nil {
		if err := p.cfg.Sessions.end(old); err != nil {
			p.cfg.Logger.Error("the end of a session could not be written down", "error", err)
		}
	}
	value := newSecret()
	n.key = sha256.Sum256([]byte(value))
	if err := p.cfg.Sessions.add(n); err != nil {
		return p.failed(w, r, err)
	}
	setCookie(w, p.cookie, value, 0)
	p.count("signed_in")
	return redirect(w, f.Return)
}

// flow returns the flow of a state, if this browser began it.
func (p *Party) flow(r *http.Request, state string) (*flow, error) {
	if len(state) != cookieLength {
		return nil, fault.New(fault.Invalid, "the answer has no state of ours")
	}
	c := r.CookiesNamed(flowCookie(state))
	if len(c) != 1 {
		return nil, fault.New(fault.Invalid, "the browser has no cookie, or two, of the flow")
	}
	plain, err := p.cfg.Sealer.Open(c[0].Value, p.purpose())
	if err != nil {
		return nil, fault.Because(err, fault.Invalid, "the cookie of the flow cannot be opened")
	}
	f := &flow{}
	here, _ := origin(r)
	switch age := p.cfg.Now().Unix(); {
	case json.Unmarshal(plain, f) != nil:
		return nil, fault.New(fault.Invalid, "the cookie of the flow cannot be read")
	case subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1:
		return nil, fault.New(fault.Invalid, "the state is of another flow")
	case age-f.Started > int64(flowLife/time.Second):
		return nil, fault.New(fault.Invalid, "the flow began too long ago")
	case f.Origin != here:
		return nil, fault.New(fault.Invalid, "the flow began at another host")
	}
	return f, nil
}

// redeem makes a session of what the issuer sent. The error is a fault: Denied when
// the issuer or the tokens are not to be taken, else Unavailable.
func (p *Party) redeem(ctx context.Context, f *flow, q url.Values) (*Session, error) {
	g, id, err := p.exchange(ctx, f, q)
	if err != nil {
		return nil, err
	}
	now := p.cfg.Now()
	n := &Session{
		home: p.home, issuer: p.cfg.Issuer, subject: id.Subject, created: now.Unix(), asked: f.Asked, kept: now.Unix(),
		signIn: verify.SignIn{AuthTime: id.AuthTime, ACR: id.ACR, AMR: id.AMR, Session: id.Session},
	}
	n.used.Store(now.Unix())
	n.tokens.Store(newTokens(g, g.ID, now))
	return n, nil
}

// exchange makes tokens of what the issuer sent, and finds out who it is.
func (p *Party) exchange(ctx context.Context, f *flow, q url.Values) (*grant, *verify.Token, error) {
	m, err := p.provider.get(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	// RFC 9207 section 2.4: whose answer it is, of several issuers.
	if iss, there := q.Get("iss"), q.Has("iss"); there && iss != p.cfg.Issuer || m.NamesIssuer && !there {
		return nil, nil, fault.New(fault.Denied, "the answer is not of this issuer, or does not say so")
	}
	if code := q.Get("error"); code != "" {
		return nil, nil, fault.Because(refused{code: word(code)}, fault.Denied, "the issuer did not sign the person in")
	}
	code := q.Get("code")
	if code == "" || len(code) > 4096 {
		return nil, nil, fault.New(fault.Denied, "the answer has no code")
	}
	g, err := p.token(ctx, m, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.redirectURI(f.Origin)}, "code_verifier": {f.Verifier},
	})
	if err != nil {
		return nil, nil, err
	}
	id, err := p.identify(ctx, g.ID, identity{nonce: f.Nonce, access: g.Access})
	if err != nil {
		return nil, nil, fault.Because(err, codeOf(err), "the ID token is not accepted")
	}
	now := p.cfg.Now()
	if f.MaxAge > 0 && (id.AuthTime <= 0 || now.Unix()-id.AuthTime > f.MaxAge+int64(2*leeway/time.Second)) {
		return nil, nil, fault.New(fault.Denied, "max_age was asked for, and auth_time is missing or older")
	}
	return g, id, nil
}

// codeOf tells tokens that are no good from keys that cannot be had.
func codeOf(err error) fault.Code {
	if verify.ReasonOf(err) == verify.ReasonIssuerUnreachable {
		return fault.Unavailable
	}
	return fault.Denied
}
