package authserver

import (
	"context"
	"encoding/json"

	"gatehouse/internal/grant"
	"gatehouse/verify"
)

// hint is what an ID token of ours says that somebody brings back.
type hint struct {
	subject string // id of the user
	client  string
	session string // sid
}

// readHint reads an ID token that this server has signed, whenever that was: a
// hint may have expired (OpenID Connect RP-Initiated Logout section 2). Nil for
// what is none of ours.
func (s *Server) readHint(ctx context.Context, t *grant.Target, token string) (*hint, error) {
	jws, err := verify.Parse([]byte(token), maxRequestObject)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // what is no token is nobody's
	}
	ring, err := s.cfg.Rings.Ring(ctx, t.Tenant, t.Server)
	if err != nil {
		return nil, err
	}
	key, err := ring.KeySource().Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil || !jws.Verify(key) || jws.Type != "" && jws.Type != "JWT" {
		return nil, nil //nolint:nilnil,nilerr // signed by somebody else
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		Client  string `json:"aud"`
		Session string `json:"sid"`
		Access  string `json:"cid"` // access tokens have it
	}
	if json.Unmarshal(jws.Payload, &claims) != nil || claims.Issuer != t.Issuer() || claims.Access != "" || claims.Client == "" {
		return nil, nil //nolint:nilnil // another kind of token
	}
	return &hint{subject: claims.Subject, client: claims.Client, session: claims.Session}, nil
}
