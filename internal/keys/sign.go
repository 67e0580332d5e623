package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync/atomic"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// maxHeaders bounds the number of headers that a key keeps ready: one per typ.
const maxHeaders = 16

// signer makes compact JWS (RFC 7515 section 7.1) with one key. The header is
// the same for every token of a type, so it is encoded once.
type signer struct {
	kid     string
	alg     verify.Algorithm
	priv    crypto.Signer
	headers atomic.Pointer[map[string]string] // typ to encoded header; copied on write
}

func (s *signer) header(typ string) (string, error) {
	old := s.headers.Load()
	if old != nil {
		if h, ok := (*old)[typ]; ok {
			return h, nil
		}
	}
	raw, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid,omitempty"`
		Type      string `json:"typ,omitempty"`
	}{string(s.alg), s.kid, typ})
	if err != nil {
		return "", err
	}
	h := base64.RawURLEncoding.EncodeToString(raw)
	more := map[string]string{typ: h}
	if old != nil {
		for k, v := range *old {
			more[k] = v
		}
	}
	if len(more) <= maxHeaders {
		s.headers.CompareAndSwap(old, &more) // who loses encodes once more
	}
	return h, nil
}

// appendSigned appends the compact JWS of the claims to dst.
func (s *signer) appendSigned(dst, claims []byte, typ string) ([]byte, error) {
	head, err := s.header(typ)
	if err != nil {
		return nil, err
	}
	enc := base64.RawURLEncoding
	from := len(dst)
	dst = slices.Grow(dst, len(head)+1+enc.EncodedLen(len(claims))+1+enc.EncodedLen(s.size()))
	dst = append(append(dst, head...), '.')
	dst = enc.AppendEncode(dst, claims)
	sig, err := s.signature(dst[from:])
	if err != nil {
		return nil, fault.Because(err, fault.Internal, "signing with %s failed", s.alg)
	}
	return enc.AppendEncode(append(dst, '.'), sig), nil
}

// size returns the length of a signature in bytes.
func (s *signer) size() int {
	if k, ok := s.priv.(*rsa.PrivateKey); ok {
		return k.Size()
	}
	return ed25519.SignatureSize // also r and s of P-256
}

func (s *signer) signature(input []byte) ([]byte, error) {
	switch k := s.priv.(type) {
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(input)
		der, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
		if err != nil {
			return nil, err
		}
		return rawSignature(der)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, input), nil
	case *rsa.PrivateKey:
		sum := sha256.Sum256(input)
		if s.alg == verify.PS256 {
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	default:
		return nil, fault.New(fault.Internal, "a key of type %T cannot sign tokens", k)
	}
}

// rawSignature turns the DER of a P-256 signature, SEQUENCE { r, s INTEGER } in
// short form, into r and s of 32 bytes each (RFC 7518 section 3.4).
func rawSignature(der []byte) ([]byte, error) {
	out := make([]byte, 64)
	rest := der
	if len(rest) < 2 || rest[0] != 0x30 || int(rest[1]) != len(rest)-2 {
		return nil, fault.New(fault.Internal, "a signature is not in the expected form")
	}
	rest = rest[2:]
	for i := range 2 {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return nil, fault.New(fault.Internal, "a signature is not in the expected form")
		}
		n := rest[2 : 2+int(rest[1])]
		rest = rest[2+int(rest[1]):]
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) > 32 {
			return nil, fault.New(fault.Internal, "a signature is not in the expected form")
		}
		copy(out[32*(i+1)-len(n):], n)
	}
	return out, nil
}
