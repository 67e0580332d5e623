package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

const rsaBits = 2048

// generate makes a key pair for the algorithm. RSA takes some hundred
// milliseconds, so it is never called on a request.
func generate(ctx context.Context, alg verify.Algorithm) (crypto.Signer, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fault.Because(err, fault.Unavailable, "no key is made while stopping")
	}
	switch alg {
	case verify.RS256, verify.PS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case verify.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case verify.EdDSA:
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		return priv, err
	default:
		return nil, fault.New(fault.Unsupported, "signing with %s is not supported; use RS256, PS256, ES256 or EdDSA", alg)
	}
}

// publicJWK writes the JWK (RFC 7517, 7518, 8037) of a public key.
func publicJWK(kid string, alg verify.Algorithm, pub crypto.PublicKey) ([]byte, error) {
	type jwk struct {
		KeyType   string `json:"kty"`
		Curve     string `json:"crv,omitempty"`
		ID        string `json:"kid"`
		Use       string `json:"use"`
		Algorithm string `json:"alg"`
		N         string `json:"n,omitempty"`
		E         string `json:"e,omitempty"`
		X         string `json:"x,omitempty"`
		Y         string `json:"y,omitempty"`
	}
	out := jwk{ID: kid, Use: "sig", Algorithm: string(alg)}
	enc := base64.RawURLEncoding
	switch k := pub.(type) {
	case *rsa.PublicKey:
		out.KeyType = "RSA"
		out.N, out.E = enc.EncodeToString(k.N.Bytes()), enc.EncodeToString(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return nil, err
		}
		half := (len(point) - 1) / 2
		out.KeyType, out.Curve = "EC", k.Curve.Params().Name
		out.X, out.Y = enc.EncodeToString(point[1:1+half]), enc.EncodeToString(point[1+half:])
	case ed25519.PublicKey:
		out.KeyType, out.Curve, out.X = "OKP", "Ed25519", enc.EncodeToString(k)
	default:
		return nil, fault.New(fault.Internal, "a public key of type %T cannot be published", pub)
	}
	return json.Marshal(out)
}

// SameKey reports whether a JWK (RFC 7517) is the public key.
func SameKey(jwk []byte, pub crypto.PublicKey) bool {
	type numbers struct {
		KeyType string `json:"kty"`
		Curve   string `json:"crv"`
		N       string `json:"n"`
		E       string `json:"e"`
		X       string `json:"x"`
		Y       string `json:"y"`
	}
	own, err := publicJWK("", "", pub)
	if err != nil {
		return false
	}
	var a, b numbers
	return json.Unmarshal(own, &a) == nil && json.Unmarshal(jwk, &b) == nil && a == b
}

// place is where a ring's private key is sealed.
func (r Record) place() Place {
	return Place{Tenant: r.Tenant, Kind: "signing_key", ID: r.Server + "/" + r.ID, Field: "private"}
}

// seal fills Private.
func (r *Record) seal(s *Sealer, priv crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return err
	}
	r.Private, err = s.Seal(der, r.place())
	return err
}

// open returns the private key of Private.
func (r Record) open(s *Sealer) (crypto.Signer, error) {
	der, err := s.Open(r.Private, r.place())
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.Because(err, fault.Internal, "the signing key %s cannot be read", r.ID)
	}
	priv, ok := k.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Internal, "the signing key %s is of type %T, which does not sign", r.ID, k)
	}
	return priv, nil
}
