package grant

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// UserInfo returns what an app may know of the person behind a genuine access token
// of the target (OpenID Connect Core section 5.3.2): sub is the user's id, as in ID
// tokens, and the rest are the identity claims of the token's scopes as they are
// now. A person who may not act any more, and a token that is about nobody, are
// faults that WriteTokenError answers.
func (e *Endpoint) UserInfo(ctx context.Context, t *Target, tok *verify.Token) ([]byte, error) {
	if tok.UserID == "" || !slices.Contains(tok.Scopes, scopeOpenID) {
		return nil, Refuse("userinfo_scope", nil)
	}
	app, ok := t.View.App(tok.ClientID)
	if !ok || app.Status != access.Active {
		return nil, Refuse("userinfo_token", nil)
	}
	p, err := e.cfg.Judge.cfg.Persons.Person(tenant.With(ctx, t.Tenant), tok.UserID, tok.ClientID)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && !p.User.MayAct():
		return nil, Refuse("userinfo_token", err)
	case err != nil:
		return nil, err
	}
	values, err := t.Server.IdentityClaims(&access.Facts{App: app, Person: &p, Scopes: tok.Scopes}, true)
	if err != nil {
		return nil, err
	}
	b := memberString([]byte{'{'}, "sub", p.ID)
	return append(appendValues(b, values, &subject{}), '}'), nil
}

// Presents reports whether a request that presents a token in a scheme may use it: a
// bound token comes with its proof and in the scheme DPoP, and no other token does
// (RFC 9449 section 7).
func (e *Endpoint) Presents(w http.ResponseWriter, r *http.Request, t *Target, o Occasion, tok *verify.Token, dpop bool) error {
	if _, shown := e.cfg.Certificates.of(r, t.Tenant); tok.CertThumbprint != "" && tok.CertThumbprint != shown {
		return Refuse("userinfo_token", nil)
	}
	if dpop != (tok.KeyThumbprint != "") {
		return Refuse("userinfo_token", nil)
	}
	if !dpop {
		return nil
	}
	app, _ := t.View.App(tok.ClientID)
	o.FAPI2 = t.Server.Holds(app)
	jkt, err := e.cfg.Proofs.Check(w, r, t, o)
	if err == nil && jkt == "" {
		return Refuse("dpop_missing", nil)
	}
	if err == nil && jkt != tok.KeyThumbprint {
		err = Refuse("dpop_key_mismatch", nil)
	}
	return err
}

// WriteTokenError answers a request that presented an access token and may not have
// what it asks for (RFC 6750 section 3): the challenge says why.
func (e *Endpoint) WriteTokenError(w http.ResponseWriter, r *http.Request, err error) {
	ref := refusals[ReasonOf(err)]
	if ref.status >= http.StatusInternalServerError {
		WriteError(w, r, e.cfg.Log, err)
		return
	}
	challenge := "Bearer"
	if ref.code == "invalid_dpop_proof" || ref.code == "use_dpop_nonce" {
		challenge = "DPoP"
	}
	text := ref.text
	if f := fault.Of(err); f != nil && f.Reason == ReasonOf(err) {
		text = strings.ReplaceAll(f.Message, `"`, "'")
	}
	h := w.Header()
	status := http.StatusUnauthorized
	if ref.code == "insufficient_scope" {
		status = http.StatusForbidden
	}
	h.Set("WWW-Authenticate", challenge+` error="`+ref.code+`", error_description="`+text+`"`)
	body, _ := json.Marshal(map[string]string{"error": ref.code, "error_description": text}) // texts can be marshalled
	WriteJSON(w, status, body)
}
