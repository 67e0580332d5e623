package authserver

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"

	"github.com/coreos/go-oidc/v3/oidc"
	jwtverifier "github.com/okta/okta-jwt-verifier-golang/v2"
	"golang.org/x/oauth2"
)

// Clients of others, unmodified: Go's own exchanges the code and refreshes, go-oidc
// discovers the server and verifies the ID token, and Okta's verifies both tokens.
func TestClientsOfOthers(t *testing.T) {
	s := newSignIn(t, nil)
	s.clock.Advance(time.Since(s.clock.Now())) // they look at the clock of the machine
	s.setAlgorithm(access.RS256)
	ctx := oidc.ClientContext(s.ctx, s.web.Client())
	provider, err := oidc.NewProvider(ctx, s.url+"/oauth2/default")
	must(t, err)
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	config := oauth2.Config{ClientID: s.app.ID, ClientSecret: s.app.Secret, Endpoint: endpoint, RedirectURL: callback}
	token, err := config.Exchange(ctx, s.code(s.authorization()), oauth2.VerifierOption(verifier))
	must(t, err)
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: s.app.ID}).Verify(ctx, raw)
	must(t, err)
	if id.Subject != s.user.ID || id.Nonce != "n-1" {
		t.Errorf("%+v", id)
	}
	must(t, id.VerifyAccessToken(token.AccessToken))

	old := *token
	token.Expiry = time.Now().Add(-time.Hour)
	fresh, err := config.TokenSource(ctx, token).Token()
	must(t, err)
	if fresh.AccessToken == old.AccessToken || fresh.RefreshToken == old.RefreshToken {
		t.Error("nothing was refreshed")
	}

	okta := jwtverifier.JwtVerifier{
		Issuer: s.url + "/oauth2/default", Client: s.web.Client(),
		ClaimsToValidate: map[string]string{"aud": "api://default", "cid": s.app.ID},
	}
	v, err := okta.New()
	must(t, err)
	got, err := v.VerifyAccessToken(fresh.AccessToken)
	must(t, err)
	if got.Claims["sub"] != "ana" {
		t.Errorf("%v", got.Claims)
	}
	okta.ClaimsToValidate = map[string]string{"aud": s.app.ID, "nonce": "n-1"}
	v, err = okta.New()
	must(t, err)
	if _, err := v.VerifyIdToken(raw); err != nil {
		t.Error(err)
	}
	if _, err := v.VerifyIdToken(strings.Replace(raw, ".", ".x", 1)); err == nil {
		t.Error("a changed token was accepted")
	}
}
