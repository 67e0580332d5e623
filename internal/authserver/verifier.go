package authserver

import (
	"context"
	"errors"

	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

type verifierName struct {
	tenant tenant.ID
	issuer string
}

// serverVerifier verifies the tokens of one issuer with one ring.
type serverVerifier struct {
	keys     verify.KeySource
	verifier *verify.Verifier
}

// genuine returns what a token of the target's server says. A token that is not
// a valid access token of this very server, whatever the cause, is nil without
// an error; the error means that it could not be found out.
func (s *Server) genuine(ctx context.Context, t *grant.Target, token string) (*verify.Token, error) {
	v, err := s.verifierOf(ctx, t)
	if err != nil {
		return nil, err
	}
	raw := []byte(token)
	if tok, ok := v.VerifyCached(raw); ok {
		return tok, nil
	}
	tok, err := v.Verify(ctx, raw)
	if err == nil {
		return tok, nil
	}
	if verify.ReasonOf(err) == verify.ReasonIssuerUnreachable {
		return nil, fault.Because(err, fault.Unavailable, "the server's keys could not be read")
	}
	var known *verify.Error
	if errors.As(err, &known) {
		return nil, nil //nolint:nilnil // nobody's token is an answer, not a failure
	}
	return nil, err
}

func (s *Server) verifierOf(ctx context.Context, t *grant.Target) (*verify.Verifier, error) {
	ring, err := s.cfg.Rings.Ring(ctx, t.Tenant, t.Server)
	if err != nil {
		return nil, err
	}
	source := ring.KeySource()
	name := verifierName{t.Tenant, t.Issuer()}
	found, _ := s.verifiers.Load(name)
	if v, ok := found.(*serverVerifier); ok && v.keys == source {
		return v.verifier, nil
	}
	v, err := s.base.With([]verify.Issuer{{
		URL: name.issuer, Keys: source, Algorithms: []verify.Algorithm{verify.RS256, verify.ES256, verify.PS256, verify.EdDSA},
		TokenEndpoint: t.Endpoint("token"),
	}})
	if err != nil {
		return nil, err
	}
	s.verifiers.Store(name, &serverVerifier{keys: source, verifier: v})
	return v, nil
}
