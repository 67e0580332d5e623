package grant

import (
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
)

// begin makes the grant that this very request begins. It is stored when everything
// else is done.
func (x *exchange) begin(a *Authorization, now time.Time) {
	a.Address = RequestClient(x.r).IP
	g := newGrant(x.target, a, x.grant.name(), now)
	x.kept, x.begins = &g, true
}

// bound makes sure that a grant that is bound to a key or a certificate stays with it.
// A public app's refresh token is bound to what its first request has proved (RFC 9449
// section 5, RFC 8705 section 4); an app that authenticates may change it, but not come
// without.
func (x *exchange) bound() error {
	_, refreshes := x.grant.(refreshToken)
	changes := refreshes && !x.app.Public()
	t := &x.kept.Terms
	switch {
	case t.JKT != "" && t.JKT != x.jkt && (!changes || x.jkt == ""):
		return Refuse("dpop_key_mismatch", nil)
	case t.X5T != "" && t.X5T != x.shown && (!changes || x.shown == ""):
		return Refuse("certificate_mismatch", nil)
	case t.X5T != "":
		x.x5t = x.shown
	}
	return nil
}

// authorization is the grant as it was made, with the scopes of this request.
func (x *exchange) authorization() Authorization {
	g := x.kept
	return Authorization{
		Client: g.Client, Server: g.Server, User: g.User, Session: g.Session, Scopes: x.scopes,
		AuthTime: g.Terms.AuthTime, AMR: g.Terms.AMR, ACR: g.Terms.ACR, Address: x.address(), Risk: g.Terms.Risk, Device: x.signedInOn(),
	}
}

// signedInOn returns what proves the device of a person: in a browser, that of the sign-in,
// whichever of its programs has the tokens. An app that asks for the password itself and
// cannot keep a secret runs where the person is. What a person approves for a device from
// elsewhere says nothing of that device.
func (x *exchange) signedInOn() issued.DeviceProof {
	switch kind := x.kept.Terms.GrantType; {
	case kind == access.GrantAuthorizationCode, kind == access.GrantImplicit:
		return x.kept.Terms.Device
	case kind == access.GrantPassword && x.app.Public() && x.target.Server.AsksDevice():
		return x.certificates.Device(x.r, x.target.Tenant)
	}
	return issued.DeviceProof{}
}

// address returns where the person of the grant is, for rules about networks. An app
// that cannot keep a secret runs where the person is, and so it is the caller's
// address; behind one that can, the caller is a server of the app's, and what counts
// is where the person's browser was when the grant was made.
func (x *exchange) address() string {
	if x.app.Public() {
		return x.r.RemoteAddr
	}
	return x.kept.Terms.Address
}

// evaluatePerson asks everything that can have changed since the grant was made.
func (e *Endpoint) evaluatePerson(x *exchange) error {
	a := x.authorization()
	who, decision, err := e.cfg.Judge.person(x.ctx(), x.target, &a, x.kept.Terms.GrantType)
	if err != nil {
		return err
	}
	// For a device the person has agreed on the page that approved it.
	if _, device := x.grant.(deviceCode); !device {
		if err := e.cfg.Judge.agreed(x.ctx(), x.target, &a); err != nil {
			return err
		}
	}
	x.subject, x.decision = *who, decision
	return nil
}

// idDraft returns what the ID token that goes with the access token is to say; nil
// when there is none.
func (x *exchange) idDraft() *idToken {
	if x.kept == nil || !slices.Contains(x.scopes, scopeOpenID) {
		return nil
	}
	id := &idToken{app: x.app, who: &x.subject, scopes: x.scopes, session: x.kept.Session}
	if _, again := x.grant.(refreshToken); !again {
		id.nonce = x.kept.Terms.Nonce // not in a refreshed one (OpenID Connect Core section 12.2)
	}
	return id
}

// mintPerson makes the ID token that goes with the access token, if there is to be
// one.
func (e *Endpoint) mintPerson(x *exchange, id *idToken) error {
	x.made.Token = x.minted.kept()
	if id == nil {
		return nil
	}
	id.accessToken = x.minted.token
	var err error
	x.idToken, err = e.cfg.Minter.mintID(x.ctx(), x.target, id)
	return err
}

// firstRefresh makes the refresh token of a new grant, when it is to have one.
func (x *exchange) firstRefresh() {
	if t := &x.kept.Terms; x.jkt != "" && t.JKT == "" || x.x5t != "" && t.X5T == "" {
		t.JKT, t.X5T = x.jkt, x.x5t
		x.made.Terms = t
	}
	if !slices.Contains(x.scopes, scopeOffline) || !x.app.MayUse(access.GrantRefreshToken) {
		return
	}
	x.refreshToken = keys.Secret(256)
	x.made.Refresh = x.refresh(keys.Hash(x.refreshToken))
}

// refresh returns a generation of the grant's refresh token that ends as the rule
// that decided says.
func (x *exchange) refresh(hash string) *issued.Refresh {
	r := &issued.Refresh{Hash: hash, Grant: x.kept.ID, Created: x.minted.issued, IdleUntil: x.minted.issued.Add(x.decision.RefreshWindow)}
	if x.decision.RefreshLifetime > 0 {
		r.Expires = x.kept.Created.Add(x.decision.RefreshLifetime)
	}
	return r
}
