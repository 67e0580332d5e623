package verify

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
)

// TwinHash returns the TokenHash of the other text that is as good as an ECDSA token:
// whoever sees the signature (r, s) can make (r, n-s) of it, without the key, and every
// verifier takes it (FIPS 186-5 section 6.4.2). What is remembered of a token by the
// hash of its text, such as that it is revoked or used up, counts for both. Empty for
// what cannot be an ECDSA token, by the length of its signature.
func TwinHash(token []byte) string {
	cut := bytes.LastIndexByte(token, '.') + 1
	curve := curveOf(base64.RawURLEncoding.DecodedLen(len(token) - cut))
	if cut == 0 || curve == nil || bytes.Count(token, dot) != 2 {
		return ""
	}
	sig, ok := decodePart(nil, token[cut:])
	if !ok {
		return ""
	}
	n, half := curve.Params().N, sig[len(sig)/2:]
	s := new(big.Int).SetBytes(half)
	if s.Sign() == 0 || s.Cmp(n) >= 0 {
		return ""
	}
	s.Sub(n, s).FillBytes(half)
	return TokenHash(base64.RawURLEncoding.AppendEncode(bytes.Clone(token[:cut]), sig))
}

// curveOf returns the curve whose signatures have this many bytes, nil when none has.
func curveOf(signature int) elliptic.Curve {
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if signature == 2*((c.Params().BitSize+7)/8) {
			return c
		}
	}
	return nil
}
