package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
)

// Algorithm is a JWS signature algorithm (RFC 7518 section 3.1, RFC 8037).
type Algorithm string

// The algorithms that this package knows. Symmetric ones and "none" are not
// among them and cannot be configured.
const (
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA" // Ed25519 only
)

// Algorithms returns all that are known, in the order of this file.
func Algorithms() []Algorithm {
	return []Algorithm{RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA}
}

type family uint8

const (
	familyNone family = iota
	familyRSA
	familyPSS
	familyECDSA
	familyEd25519
)

// method is how one algorithm is checked.
type method struct {
	family family
	hash   crypto.Hash
	curve  string // JWK crv, for ECDSA and EdDSA
	size   int    // bytes of r and of s, for ECDSA
}

func (a Algorithm) method() method {
	switch a {
	case RS256:
		return method{family: familyRSA, hash: crypto.SHA256}
	case RS384:
		return method{family: familyRSA, hash: crypto.SHA384}
	case RS512:
		return method{family: familyRSA, hash: crypto.SHA512}
	case PS256:
		return method{family: familyPSS, hash: crypto.SHA256}
	case PS384:
		return method{family: familyPSS, hash: crypto.SHA384}
	case PS512:
		return method{family: familyPSS, hash: crypto.SHA512}
	case ES256:
		return method{family: familyECDSA, hash: crypto.SHA256, curve: "P-256", size: 32}
	case ES384:
		return method{family: familyECDSA, hash: crypto.SHA384, curve: "P-384", size: 48}
	case ES512:
		return method{family: familyECDSA, hash: crypto.SHA512, curve: "P-521", size: 66}
	case EdDSA:
		return method{family: familyEd25519, curve: "Ed25519"}
	default:
		return method{}
	}
}

// Known reports whether the package can check signatures of this algorithm.
func (a Algorithm) Known() bool { return a.method().family != familyNone }

// fits reports whether a public key is of the type and curve of the algorithm.
func (a Algorithm) fits(pub crypto.PublicKey) bool {
	m := a.method()
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return m.family == familyRSA || m.family == familyPSS
	case *ecdsa.PublicKey:
		return m.family == familyECDSA && k.Curve.Params().Name == m.curve
	case ed25519.PublicKey:
		return m.family == familyEd25519
	default:
		return false
	}
}

// check reports whether sig is the algorithm's signature of signed by the key. Nothing of the
// token chooses the path.
func (a Algorithm) check(key *Key, signed, sig []byte) bool {
	m := a.method()
	var memory [sha512.Size]byte
	switch m.family {
	case familyRSA, familyPSS:
		k, ok := key.pub.(*rsa.PublicKey)
		if !ok || len(sig) != k.Size() {
			return false
		}
		sum := digest(memory[:0], m.hash, signed)
		switch {
		case m.family == familyPSS:
			// RFC 7518 section 3.5: the salt is as long as the hash, neither more nor less.
			return rsa.VerifyPSS(k, m.hash, sum, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		case key.rsa != nil:
			return key.rsa.verify(m.hash, sum, sig)
		}
		return rsa.VerifyPKCS1v15(k, m.hash, sum, sig) == nil
	case familyECDSA:
		k, ok := key.pub.(*ecdsa.PublicKey)
		// RFC 7518 section 3.4: r and s, each of the curve's full length. The
		// range 1 to n-1 is checked by ecdsa.Verify.
		if !ok || len(sig) != 2*m.size || k.Curve.Params().Name != m.curve {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:m.size]), new(big.Int).SetBytes(sig[m.size:])
		return ecdsa.Verify(k, digest(memory[:0], m.hash, signed), r, s)
	case familyEd25519:
		k, ok := key.pub.(ed25519.PublicKey)
		return ok && len(sig) == ed25519.SignatureSize && ed25519.Verify(k, signed, sig)
	default:
		return false
	}
}

// digest appends the hash of data, which is one of SHA-2.
func digest(b []byte, h crypto.Hash, data []byte) []byte {
	switch h {
	case crypto.SHA384:
		sum := sha512.Sum384(data)
		return append(b, sum[:]...)
	case crypto.SHA512:
		sum := sha512.Sum512(data)
		return append(b, sum[:]...)
	default:
		sum := sha256.Sum256(data)
		return append(b, sum[:]...)
	}
}
