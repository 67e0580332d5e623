package grant

import (
	"encoding/json"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// exchanged is what a token exchange begins with.
type exchanged struct {
	subject    *verify.Token
	ofIDToken  bool
	elsewhere  bool   // the subject token is of another server, which this one trusts
	issuedType string // as the answer says
	act        []byte // JSON: the chain of actors; nil: nobody
	actor      string // sub of the outermost; empty: nobody
	origin     string // client_id of the app that the person uses
	grant      string // id of the grant that the subject token came of; empty: not known
}

// foreign reports whether the scopes and audiences of the subject token are not those
// of this server's access tokens.
func (s *exchanged) foreign() bool { return s.ofIDToken || s.elsewhere }

// readSubject finds out whom the new token will be about. Whatever is wrong with the
// token itself is the same answer.
func (s *exchanged) readSubject(e *Endpoint, x *exchange) error {
	raw := x.form.Get("subject_token")
	if raw == "" || !x.form.Has("subject_token_type") {
		return Refuse("token_request_missing_subject_token", nil)
	}
	var err error
	switch x.form.Get("subject_token_type") {
	case typeAccessToken, typeJWT:
		s.subject, s.elsewhere, err = e.accessToken(x, raw)
	case typeIDToken:
		s.ofIDToken = true
		s.subject, err = e.idToken(x, raw)
	default:
		return Refuse("subject_token_type_not_supported", nil)
	}
	if err != nil {
		return err
	}
	if s.subject == nil || !x.holds(s.subject) {
		return Refuse("invalid_subject_token", nil)
	}
	return s.readGrant(e, x)
}

// readGrant finds out what the subject token came of: a token that was exchanged
// before still hangs on the app that the person uses.
func (s *exchanged) readGrant(e *Endpoint, x *exchange) error {
	s.origin = s.subject.ClientID
	g, err := e.cfg.Derived.TokenGrant(tenant.With(x.ctx(), x.target.Tenant), s.subject.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case !g.Revoked.IsZero():
		return Refuse("invalid_subject_token", nil)
	}
	s.origin, s.grant = g.Client, g.ID
	return nil
}

// accessToken returns what an access token says that is in force: one of this server,
// or of one that this server trusts. Nil for every other.
func (e *Endpoint) accessToken(x *exchange, raw string) (_ *verify.Token, elsewhere bool, err error) {
	t := x.target
	if issuer := issuerOf(raw); issuer != t.Issuer() {
		if t = trusted(t, issuer); t == nil {
			return nil, false, nil
		}
		elsewhere = true
	}
	tok, err := e.cfg.Inspector.Genuine(x.ctx(), t, raw)
	if err != nil || tok == nil {
		return nil, elsewhere, err
	}
	ok, err := e.cfg.Inspector.inForce(t, tok, raw)
	if err != nil || !ok {
		return nil, elsewhere, err
	}
	return tok, elsewhere, nil
}

// idToken returns what an ID token says that this server has given to this very app,
// and that has not expired. Nil for every other.
func (e *Endpoint) idToken(x *exchange, raw string) (*verify.Token, error) {
	tok, err := e.cfg.Inspector.IDToken(x.ctx(), x.target, raw)
	if err != nil || tok == nil || tok.ClientID != x.app.ID || e.cfg.Now().Unix() >= tok.Expires {
		return nil, err
	}
	ok, err := e.cfg.Inspector.inForce(x.target, tok, raw)
	if err != nil || !ok {
		return nil, err
	}
	return tok, nil
}

// issuerOf returns what a token says of its issuer. Nothing is believed: it chooses
// whose keys the token is verified with.
func issuerOf(raw string) string {
	jws, err := verify.Parse([]byte(raw), maxBody)
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	_ = json.Unmarshal(jws.Payload, &c)
	return c.Issuer
}

// trusted returns the server with the issuer among those that the target's server
// trusts, or nil.
func trusted(t *Target, issuer string) *Target {
	for _, id := range t.Server.Associated {
		other, ok := t.View.Server(id)
		if ok && other.Issuer(t.URL) == issuer {
			return &Target{Tenant: t.Tenant, URL: t.URL, View: t.View, Server: other}
		}
	}
	return nil
}

// holds reports whether the request proves to have what the token is bound to
// (RFC 9449, RFC 8705): a bound token is worth nothing to anybody else.
func (x *exchange) holds(tok *verify.Token) bool {
	return (tok.KeyThumbprint == "" || tok.KeyThumbprint == x.jkt) && (tok.CertThumbprint == "" || tok.CertThumbprint == x.shown)
}

// actor is the claim act (RFC 8693 section 4.1).
type actor struct {
	Subject string `json:"sub"`
	Before  any    `json:"act,omitempty"`
}

// readActor finds out who acts: whom the actor token is about, else the app itself. An
// app that may impersonate is not named, nor is one that narrows its own token.
func (s *exchanged) readActor(e *Endpoint, x *exchange) error {
	if x.form.Has("actor_token") != x.form.Has("actor_token_type") {
		return Refuse("exchange_actor_type", nil)
	}
	who, named := x.app.ID, !x.app.Extension.Exchange.Impersonation && s.subject.ClientID != x.app.ID
	if raw := x.form.Get("actor_token"); raw != "" {
		if t := x.form.Get("actor_token_type"); t != typeAccessToken && t != typeJWT {
			return Refuse("actor_token_type_not_supported", nil)
		}
		tok, _, err := e.accessToken(x, raw)
		if err != nil {
			return err
		}
		// One who has an actor of their own, or whose token is somebody else's, cannot act.
		if tok == nil || tok.ClientID != x.app.ID || !x.holds(tok) || has(tok, "act") {
			return Refuse("invalid_actor_token", nil)
		}
		who, named = tok.Subject, true
	}
	if !mayAct(s.subject, who, x.target.Issuer()) {
		return Refuse("actor_not_allowed", nil)
	}
	return s.chain(who, named)
}

// chain makes the claim act: who acts now, and within it who did before.
func (s *exchanged) chain(who string, named bool) (err error) {
	before, _ := s.subject.Claim("act")
	depth := 0
	for next := before; next != nil; depth++ {
		m, _ := next.(map[string]any)
		next = m["act"]
	}
	switch {
	case named && depth >= maxActors:
		return Refuse("too_many_actors", nil, maxActors)
	case named:
		s.actor = who
		s.act, err = json.Marshal(actor{Subject: who, Before: before})
	case before != nil:
		s.act, err = json.Marshal(before)
	}
	return err
}

func has(tok *verify.Token, name string) bool {
	_, ok := tok.Claim(name)
	return ok
}

// mayAct applies the claim may_act (RFC 8693 section 4.4): where it is there, the
// actor is whom it names. What it says besides cannot be found true, and so is not.
func mayAct(tok *verify.Token, who, issuer string) bool {
	v, ok := tok.Claim("may_act")
	if !ok {
		return true
	}
	m, _ := v.(map[string]any)
	for name, value := range m {
		if name == "sub" && value == who || name == "iss" && value == issuer {
			continue
		}
		return false
	}
	return m["sub"] == who
}

// authorization is what the person has granted to the app that they use, with the scopes and audiences of this request.
func (s *exchanged) authorization(x *exchange) Authorization {
	return Authorization{
		Client: s.origin, Server: x.target.Server.ID, User: s.subject.UserID, Session: s.subject.Session, Scopes: x.scopes,
		Resources: x.audience, AMR: s.subject.AMR, ACR: s.subject.ACR, AuthTime: authTime(s.subject), Address: RequestClient(x.r).IP,
	}
}

// onto makes a token the one that the exchange gives: it says who acts, belongs to the
// same session, and does not outlive the subject token. A nil exchange does nothing.
func (s *exchanged) onto(d *draft, now time.Time) {
	if s == nil {
		return
	}
	d.act, d.session = s.act, s.subject.Session
	if v, ok := s.subject.Claim("authorization_details"); ok && !s.foreign() {
		d.details, _ = json.Marshal(v) // it was read from JSON
	}
	if s.subject.CertThumbprint != "" {
		d.x5t = s.subject.CertThumbprint
	}
	if left := time.Duration(s.subject.Expires-now.Unix()) * time.Second; left < d.lifetime {
		d.lifetime = left
	}
}

// describe adds to the record of the system log. A nil exchange does nothing.
func (s *exchanged) describe(debug map[string]string) {
	if s != nil {
		debug["subjectClient"], debug["subjectToken"], debug["actor"] = s.subject.ClientID, s.subject.ID, s.actor
	}
}
