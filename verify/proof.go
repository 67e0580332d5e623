package verify

import (
	"crypto/sha256"
	"encoding/base64"
)

// ProofType is the typ of a DPoP proof (RFC 9449 section 4.2).
const ProofType = "dpop+jwt"

// The bounds of a proof, in bytes.
const (
	maxProof   = 8 << 10
	maxProofID = 256
	maxTarget  = 8 << 10
)

// Proof is a DPoP proof that has the right form. Nothing about it has been
// verified: whoever accepts it checks the method, the address, the time, that it
// has not been seen before, and the signature by Key.
type Proof struct {
	Method     string // htm
	URL        string // htu, as it stands in the proof
	ID         string // jti
	IssuedAt   int64  // iat, in Unix seconds
	TokenHash  string // ath, "" when missing
	Nonce      string // "" when missing
	Thumbprint string // of the key in the header (RFC 7638), as cnf.jkt has it
	Algorithm  Algorithm

	jws *JWS
	jwk map[string]any
}

// ParseProof reads the value of a DPoP header field (RFC 9449 section 4.3, steps 2
// to 6): a compact JWS of at most 8 KiB by the grammar of Parse, of type dpop+jwt,
// signed with an asymmetric algorithm, with the public key in its header and
// nothing private about it, and with all claims that a proof must have. The error is an
// *Error with ReasonMalformed.
func ParseProof(raw []byte) (*Proof, error) {
	jws, err := Parse(raw, maxProof)
	if err != nil {
		return nil, err
	}
	if normalType(jws.Type) != ProofType {
		return nil, fail(ReasonMalformed, "proof: typ is not "+ProofType)
	}
	if !jws.Algorithm.Known() {
		return nil, fail(ReasonMalformed, "proof: alg is not an asymmetric algorithm that is accepted")
	}
	p := &Proof{Algorithm: jws.Algorithm, jws: jws}
	var ok bool
	if p.jwk, ok = jws.Header["jwk"].(map[string]any); !ok {
		return nil, fail(ReasonMalformed, "proof: header has no jwk")
	}
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, has := p.jwk[name]; has {
			return nil, fail(ReasonMalformed, "proof: the key in the header is private or symmetric")
		}
	}
	if p.Thumbprint, ok = thumbprint(p.jwk); !ok {
		return nil, fail(ReasonMalformed, "proof: the key in the header is of no accepted type")
	}
	claims, err := decodeObject(string(jws.Payload))
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "proof: claims", Cause: err}
	}
	if err := p.readClaims(claims); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Proof) readClaims(m map[string]any) error {
	c := claimReader{m: m}
	p.Method, p.URL, p.ID = c.text("htm"), c.text("htu"), c.text("jti")
	p.TokenHash, p.Nonce = c.text("ath"), c.text("nonce")
	var dated bool
	p.IssuedAt, dated = c.date("iat")
	switch {
	case c.fail != "":
		return fail(ReasonMalformed, "proof: claim "+c.fail+" is of a wrong type or out of range")
	case p.Method == "" || p.URL == "" || p.ID == "" || !dated:
		return fail(ReasonMalformed, "proof: one of htm, htu, jti and iat is missing")
	case len(p.ID) > maxProofID || len(p.URL) > maxTarget:
		return fail(ReasonMalformed, "proof: jti or htu is too long")
	}
	return nil
}

// Key returns the key in the header, which allows the proof's algorithm only.
// Making it costs about as much as a check of a signature, so it is worth keeping,
// by Thumbprint and Algorithm.
func (p *Proof) Key() (*Key, error) {
	if alg, has := p.jwk["alg"]; has && alg != string(p.Algorithm) {
		return nil, fail(ReasonMalformed, "proof: the key in the header is for another algorithm")
	}
	k, err := parseJWK(p.jwk)
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "proof: the key in the header", Cause: err}
	}
	if k, err = NewKey("", p.Algorithm, k.pub); err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "proof: the key in the header", Cause: err}
	}
	return k, nil
}

// Verify reports whether the signature is by the key.
func (p *Proof) Verify(k *Key) bool { return p.jws.Verify(k) }

// TokenHash returns what a proof for the token has in ath: base64url of its SHA-256.
func TokenHash(token []byte) string {
	sum := sha256.Sum256(token)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// thumbprint returns the SHA-256 thumbprint of a public key (RFC 7638 section 3):
// of its required members in the order of their names. Their values are base64url
// and names, which need no escaping in JSON; others are refused.
func thumbprint(jwk map[string]any) (string, bool) {
	var members []string
	switch jwk["kty"] {
	case "EC":
		members = []string{"crv", "kty", "x", "y"}
	case "OKP":
		members = []string{"crv", "kty", "x"}
	case "RSA":
		members = []string{"e", "kty", "n"}
	default:
		return "", false
	}
	b := make([]byte, 0, 256)
	for i, name := range members {
		v, ok := jwk[name].(string)
		if !ok || !plainWord(v) {
			return "", false
		}
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		b = append(append(append(append(append(b, sep, '"'), name...), `":"`...), v...), '"')
	}
	sum := sha256.Sum256(append(b, '}'))
	return base64.RawURLEncoding.EncodeToString(sum[:]), true
}

func plainWord(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}
