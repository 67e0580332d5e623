package relying

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// leeway is the clock difference that the times of tokens forgive.
const leeway = verify.DefaultLeeway

// signed returns what a token of the issuer says whose signature is good and whose
// iss and aud are right. What kind of token it is, is the caller's to judge.
func (p *Party) signed(ctx context.Context, raw string) (*verify.Token, error) {
	jws, err := verify.Parse([]byte(raw), maxToken)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.cfg.Algorithms, jws.Algorithm) {
		return nil, fault.New(fault.Denied, "alg is not on the issuer's list")
	}
	t, err := verify.FromClaims(jws.Payload, verify.ClaimNames{})
	if err != nil {
		return nil, err
	}
	if t.Issuer != p.cfg.Issuer {
		return nil, fault.New(fault.Denied, "iss is another issuer")
	}
	if !slices.Contains(t.Audience, p.cfg.ClientID) {
		return nil, fault.New(fault.Denied, "aud does not name this client")
	}
	key, err := p.cfg.Keys.Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil {
		return nil, err
	}
	if !jws.Verify(key) {
		return nil, fault.New(fault.Denied, "the signature is not by the issuer's key")
	}
	t.KeyID, t.Algorithm, t.Type = jws.KeyID, jws.Algorithm, strings.TrimPrefix(strings.ToLower(jws.Type), "application/")
	return t, nil
}

// identity is what an ID token must say besides being genuine.
type identity struct {
	nonce   string // that the flow sent; "" when it comes of a refresh
	access  string // the access token that came with it
	subject string // who it was before; "" at a sign-in
}

// identify validates an ID token (OpenID Connect Core 1.0 section 3.1.3.7, and
// section 12.2 for one that comes of a refresh).
func (p *Party) identify(ctx context.Context, raw string, want identity) (*verify.Token, error) {
	t, err := p.signed(ctx, raw)
	if err != nil {
		return nil, err
	}
	now := p.cfg.Now()
	azp := text(t, "azp")
	switch {
	case t.Type != "" && t.Type != "jwt":
		return nil, fault.New(fault.Denied, "typ is not that of an ID token")
	case has(t, "events"):
		return nil, fault.New(fault.Denied, "it is an event and no ID token")
	case t.Subject == "" || len(t.Subject) > 255:
		return nil, fault.New(fault.Denied, "sub is missing or too long")
	case azp != "" && azp != p.cfg.ClientID || len(t.Audience) > 1 && azp == "":
		return nil, fault.New(fault.Denied, "azp is another client, or missing beside several audiences")
	case t.Expires == 0 || !now.Before(time.Unix(t.Expires, 0).Add(leeway)):
		return nil, fault.New(fault.Denied, "exp has passed or is missing")
	case t.IssuedAt == 0 || now.Before(time.Unix(t.IssuedAt, 0).Add(-leeway)):
		return nil, fault.New(fault.Denied, "iat is in the future or missing")
	case now.Before(time.Unix(t.NotBefore, 0).Add(-leeway)):
		return nil, fault.New(fault.Denied, "nbf is in the future")
	case want.nonce != "" && subtle.ConstantTimeCompare([]byte(text(t, "nonce")), []byte(want.nonce)) != 1:
		return nil, fault.New(fault.Denied, "nonce is not that of this sign-in")
	case want.subject != "" && t.Subject != want.subject:
		return nil, fault.New(fault.Denied, "sub is somebody else")
	case has(t, "at_hash") && text(t, "at_hash") != halfHash(t.Algorithm, want.access):
		return nil, fault.New(fault.Denied, "at_hash is not of the access token that came with it")
	}
	return t, nil
}

// halfHash is at_hash (OpenID Connect Core 1.0 section 3.1.3.6): the left half of the
// hash that the signature algorithm uses. Ed25519 means SHA-512.
func halfHash(alg verify.Algorithm, token string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(string(alg), "384"):
		h := sha512.Sum384([]byte(token))
		sum = h[:]
	case strings.HasSuffix(string(alg), "512"), alg == verify.EdDSA:
		h := sha512.Sum512([]byte(token))
		sum = h[:]
	default:
		h := sha256.Sum256([]byte(token))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutAge is how old a logout token may be, and for how long its id is remembered.
const logoutAge = 5 * time.Minute

// loggedOut validates a logout token (OpenID Connect Back-Channel Logout 1.0 section
// 2.6). It is good once.
func (p *Party) loggedOut(ctx context.Context, raw string) (*verify.Token, error) {
	t, err := p.signed(ctx, raw)
	if err != nil {
		return nil, err
	}
	now := p.cfg.Now()
	events, _ := t.Claim("events")
	list, _ := events.(map[string]any)
	event, is := list[logoutEvent].(map[string]any)
	issued := time.Unix(t.IssuedAt, 0)
	switch {
	case t.Type != "" && t.Type != "jwt" && t.Type != "logout+jwt":
		return nil, fault.New(fault.Denied, "typ is not that of a logout token")
	case !is || event == nil:
		return nil, fault.New(fault.Denied, "events does not name a logout")
	case has(t, "nonce"):
		return nil, fault.New(fault.Denied, "it has a nonce, so it is none")
	case t.Subject == "" && t.Session == "":
		return nil, fault.New(fault.Denied, "it names neither sub nor sid")
	case t.IssuedAt == 0 || now.Before(issued.Add(-leeway)) || now.Sub(issued) > logoutAge:
		return nil, fault.New(fault.Denied, "iat is missing, in the future, or too long ago")
	case t.Expires != 0 && !now.Before(time.Unix(t.Expires, 0).Add(leeway)):
		return nil, fault.New(fault.Denied, "exp has passed")
	case t.ID == "":
		return nil, fault.New(fault.Denied, "jti is missing")
	case !p.logouts.first(t.ID, now, logoutAge+2*leeway):
		return nil, fault.New(fault.Denied, "jti has been used")
	}
	return t, nil
}

func has(t *verify.Token, claim string) bool {
	_, there := t.Claim(claim)
	return there
}

func text(t *verify.Token, claim string) string {
	v, _ := t.Claim(claim)
	s, _ := v.(string)
	return s
}
