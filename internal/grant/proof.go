package grant

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// Bounds of DPoP proofs (RFC 9449). A proof holds a nonce of ours, so our own clock
// says how old it is; iat only has to be about right.
const (
	nonceLife  = 3 * time.Minute
	nonceRenew = time.Minute // an older one is answered with a new one (section 8.2)
	proofSkew  = 5 * time.Minute
	fapi2Skew  = time.Minute // into the future, FAPI 2.0 section 5.3.2.1-13
)

// proofPurpose names the marks of used proofs.
const proofPurpose = "dpop"

// ProofsConfig is what Proofs needs.
type ProofsConfig struct {
	SingleUse SingleUse        // for the jti of proofs
	Key       []byte           // of nonces; the same on every node
	Now       func() time.Time // the clock
}

// Proofs checks that clients have the keys that their tokens are to be bound to.
type Proofs struct {
	cfg    ProofsConfig
	secret string
}

// NewProofs returns Proofs.
func NewProofs(cfg ProofsConfig) *Proofs { return &Proofs{cfg: cfg, secret: string(cfg.Key)} }

// nonce returns what the next proof must hold (RFC 9449 section 8): the time, and
// what only we can have made of it, so that none has to be kept.
func (p *Proofs) nonce(now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	return at + "." + keys.Derive(p.secret, at)
}

// made returns when a nonce was made; false when it is not ours or too old.
func (p *Proofs) made(nonce string, now time.Time) (at time.Time, ok bool) {
	text, mac, _ := strings.Cut(nonce, ".")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !keys.Equal(mac, keys.Derive(p.secret, text)) {
		return time.Time{}, false
	}
	at = time.Unix(seconds, 0)
	return at, now.Sub(at) < nonceLife && now.Sub(at) > -proofSkew
}

// Occasion is what a proof is for.
type Occasion struct {
	Endpoint string // its last part, as Target.Endpoint takes it
	// Address is that of a resource of ours that is no endpoint. There proofs need no nonce:
	// clients of management APIs keep the one of the token endpoint for as long as the token.
	Address string
	// Token is the access token that the request presents, which the proof must name
	// (RFC 9449 section 7); empty where there is none.
	Token string
	FAPI2 bool // the client is held to FAPI 2.0
}

// address returns what the proof must be for.
func (o *Occasion) address(t *Target) string {
	if o.Address != "" {
		return o.Address
	}
	return t.Endpoint(o.Endpoint)
}

// Check returns the thumbprint of the key that a request proves to have, empty when
// it brings no proof, or a fault of RFC 9449 section 5. Where the client is to use
// another nonce the answer's header says which.
func (p *Proofs) Check(w http.ResponseWriter, r *http.Request, t *Target, o Occasion) (jkt string, err error) {
	jkt, use, err := p.Look(w, r, t, o)
	if err != nil {
		return "", err
	}
	return jkt, use(r.Context())
}

// Look is Check without using up the proof: the caller calls use when the request is about
// to succeed. A proof of somebody who gets nothing by it is not worth a write: anybody can
// make one.
func (p *Proofs) Look(w http.ResponseWriter, r *http.Request, t *Target, o Occasion) (jkt string, use func(context.Context) error, err error) {
	proof, until, err := p.read(w, r, t, o)
	if err != nil || proof == nil {
		return "", func(context.Context) error { return nil }, err
	}
	return proof.Thumbprint, func(ctx context.Context) error {
		mark := keys.Hash(proof.Thumbprint + "\x00" + proof.ID)
		first, err := p.cfg.SingleUse.Use(tenant.With(ctx, t.Tenant), proofPurpose, mark, until)
		if err != nil {
			return Refuse("temporarily_unavailable", err)
		}
		if !first {
			return Refuse("dpop_used", nil)
		}
		return nil
	}, nil
}

// read returns the proof of a request, which is good but for perhaps having been used, and
// until when it can be; nil when there is none.
func (p *Proofs) read(w http.ResponseWriter, r *http.Request, t *Target, o Occasion) (_ *verify.Proof, until time.Time, err error) {
	lines := r.Header["Dpop"]
	switch len(lines) {
	case 0:
		return nil, until, nil
	case 1:
	default:
		return nil, until, Refuse("dpop_multiple", nil)
	}
	proof, err := verify.ParseProof([]byte(lines[0]))
	switch {
	case err != nil:
		return nil, until, Refuse("dpop_malformed", err)
	case proof.Method != r.Method:
		return nil, until, Refuse("dpop_method", nil)
	case !sameAddress(proof.URL, o.address(t)):
		return nil, until, Refuse("dpop_address", nil)
	case o.Token != "" && proof.TokenHash != verify.TokenHash([]byte(o.Token)):
		return nil, until, Refuse("dpop_token", nil)
	case o.FAPI2 && !fapi2Algorithm(proof.Algorithm):
		return nil, until, Refuse("profile_proof", nil)
	}
	now := p.cfg.Now()
	until, err = p.fresh(w, o, proof, now)
	if err != nil {
		return nil, until, err
	}
	age := now.Sub(time.Unix(proof.IssuedAt, 0))
	switch {
	case age > proofSkew || age < -proofSkew, o.FAPI2 && age < -fapi2Skew:
		return nil, until, Refuse("dpop_time", nil)
	}
	key, err := proof.Key()
	if err != nil || !proof.Verify(key) {
		return nil, until, Refuse("dpop_signature", err)
	}
	return proof, until, nil
}

// fresh checks the nonce of a proof, and returns when the proof cannot be accepted any
// more.
func (p *Proofs) fresh(w http.ResponseWriter, o Occasion, proof *verify.Proof, now time.Time) (until time.Time, err error) {
	if o.Address != "" {
		return time.Unix(proof.IssuedAt, 0).Add(proofSkew + time.Second), nil
	}
	at, ours := p.made(proof.Nonce, now)
	if !ours || now.Sub(at) > nonceRenew {
		w.Header()["Dpop-Nonce"] = []string{p.nonce(now)}
	}
	switch {
	case proof.Nonce == "":
		return until, Refuse("dpop_nonce_missing", nil)
	case !ours:
		return until, Refuse("dpop_nonce_stale", nil)
	}
	return at.Add(nonceLife), nil
}

// sameAddress reports whether a proof's htu is our address: without its query and
// fragment, and with scheme and host in whatever case (RFC 9449 section 4.3).
func sameAddress(htu, ours string) bool {
	a, errA := url.Parse(htu)
	b, errB := url.Parse(ours)
	return errA == nil && errB == nil && a.User == nil && strings.EqualFold(a.Scheme, b.Scheme) && host(a) == host(b) && a.EscapedPath() == b.EscapedPath()
}

// host returns the authority without a port that the scheme implies.
func host(u *url.URL) string {
	h, scheme := strings.ToLower(u.Host), strings.ToLower(u.Scheme)
	switch scheme {
	case "https":
		return strings.TrimSuffix(h, ":443")
	case "http":
		return strings.TrimSuffix(h, ":80")
	}
	return h
}
