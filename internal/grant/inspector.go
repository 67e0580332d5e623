package grant

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/revocation"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// InspectorConfig is what an Inspector needs.
type InspectorConfig struct {
	Rings   *Rings
	Revoked *revocation.Set  // of the whole process
	Now     func() time.Time // the clock
	// CacheSize bounds the verified tokens that are remembered; 0 means
	// verify.DefaultCacheSize.
	CacheSize int
}

// Inspector says what tokens of the built-in servers are worth.
type Inspector struct {
	cfg       InspectorConfig
	verifiers sync.Map         // verifierName to *serverVerifier
	base      *verify.Verifier // of no issuer: the cache that all share
}

// NewInspector returns an Inspector.
func NewInspector(cfg InspectorConfig) (*Inspector, error) {
	base, err := verify.New(verify.Config{Now: cfg.Now, CacheSize: cfg.CacheSize, Leeway: -1})
	if err != nil {
		return nil, err
	}
	return &Inspector{cfg: cfg, base: base}, nil
}

type verifierName struct {
	tenant tenant.ID
	issuer string
}

// serverVerifier verifies the tokens of one issuer with one ring.
type serverVerifier struct {
	keys     verify.KeySource
	verifier *verify.Verifier
}

// Genuine returns what a token of the target's server says. A token that is not
// a valid access token of this very server, whatever the cause, is nil without
// an error; the error means that it could not be found out.
func (i *Inspector) Genuine(ctx context.Context, t *Target, token string) (*verify.Token, error) {
	v, err := i.verifierOf(ctx, t)
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

func (i *Inspector) verifierOf(ctx context.Context, t *Target) (*verify.Verifier, error) {
	ring, err := i.cfg.Rings.Ring(ctx, t.Tenant, t.Server)
	if err != nil {
		return nil, err
	}
	source := ring.KeySource()
	name := verifierName{t.Tenant, t.Issuer()}
	found, _ := i.verifiers.Load(name)
	if v, ok := found.(*serverVerifier); ok && v.keys == source {
		return v.verifier, nil
	}
	v, err := i.base.With([]verify.Issuer{{
		URL: name.issuer, Keys: source, Algorithms: []verify.Algorithm{verify.RS256, verify.ES256, verify.PS256, verify.EdDSA},
		TokenEndpoint: t.Endpoint("token"),
	}})
	if err != nil {
		return nil, err
	}
	i.verifiers.Store(name, &serverVerifier{keys: source, verifier: v})
	return v, nil
}

// Revoked reports whether a genuine token is revoked, by whatever of it.
func (i *Inspector) Revoked(t tenant.ID, tok *verify.Token, raw string) bool {
	k := i.cfg.Revoked.KeysOf(t, tok, verify.TokenHash([]byte(raw)), verify.TwinHash([]byte(raw)))
	return i.cfg.Revoked.Names(&k, tok.IssuedAt) != ""
}

// inForce reports whether a genuine token is not revoked. While it is not known what
// is revoked it is an error.
func (i *Inspector) inForce(t *Target, tok *verify.Token, raw string) (bool, error) {
	if !i.cfg.Revoked.Known() {
		return false, Refuse("temporarily_unavailable", nil)
	}
	return !i.Revoked(t.Tenant, tok, raw), nil
}

// maxIDToken bounds an ID token that somebody brings back.
const maxIDToken = 32 << 10

// IDToken returns what an ID token says that the target's server has signed, whenever
// that was: its ClientID is the audience. Nil for what is none of ours.
func (i *Inspector) IDToken(ctx context.Context, t *Target, token string) (*verify.Token, error) {
	jws, err := verify.Parse([]byte(token), maxIDToken)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // what is no token is nobody's
	}
	ring, err := i.cfg.Rings.Ring(ctx, t.Tenant, t.Server)
	if err != nil {
		return nil, err
	}
	key, err := ring.KeySource().Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil || !jws.Verify(key) || jws.Type != "" && jws.Type != "JWT" {
		return nil, nil //nolint:nilnil,nilerr // signed by somebody else
	}
	var c struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Client   string   `json:"aud"`
		ID       string   `json:"jti"`
		Session  string   `json:"sid"`
		Access   string   `json:"cid"` // access tokens have it
		Issued   int64    `json:"iat"`
		Expires  int64    `json:"exp"`
		AuthTime int64    `json:"auth_time"`
		ACR      string   `json:"acr"`
		AMR      []string `json:"amr"`
	}
	if json.Unmarshal(jws.Payload, &c) != nil || c.Issuer != t.Issuer() || c.Access != "" || c.Client == "" {
		return nil, nil //nolint:nilnil // another kind of token
	}
	return &verify.Token{
		Issuer: c.Issuer, Subject: c.Subject, UserID: c.Subject, ClientID: c.Client, ID: c.ID, Session: c.Session, KeyID: jws.KeyID,
		IssuedAt: c.Issued, Expires: c.Expires, AuthTime: c.AuthTime, ACR: c.ACR, AMR: c.AMR,
	}, nil
}
