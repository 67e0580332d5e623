package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// Assertion signs what a client proves itself with at an authorization server
// (RFC 7523, private_key_jwt), with a key that its operator has made.
type Assertion struct{ signer *signer }

// ParseAssertionKey reads a private key in PEM: PKCS #8, or the older forms of RSA and
// EC keys. A P-256 key signs with ES256, an Ed25519 key with EdDSA, an RSA key with
// RS256. Others, and RSA below 2048 bits, are fault.Invalid.
func ParseAssertionKey(text []byte) (*Assertion, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Invalid, "it is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fault.New(fault.Invalid, "its PEM is no private key that can be read without a password")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "its private key cannot be read") // the cause may show a part of it
	}
	s := &signer{}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, fault.New(fault.Invalid, "its EC key is not of the curve P-256")
		}
		s.alg = verify.ES256
	case ed25519.PrivateKey:
		s.alg = verify.EdDSA
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, fault.New(fault.Invalid, "its RSA key has fewer than 2048 bits")
		}
		s.alg = verify.RS256
	default:
		return nil, fault.New(fault.Invalid, "its key is not RSA, P-256 or Ed25519")
	}
	s.priv, _ = key.(crypto.Signer)
	return &Assertion{s}, nil
}

// As gives the key a name, by which who verifies finds its public half.
func (a *Assertion) As(kid string) *Assertion {
	return &Assertion{&signer{kid: kid, alg: a.signer.alg, priv: a.signer.priv}}
}

// Sign returns the compact JWS of the claims.
func (a *Assertion) Sign(claims []byte) (string, error) {
	jws, err := a.signer.appendSigned(nil, claims, "JWT")
	return string(jws), err
}
