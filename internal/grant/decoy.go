package grant

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

// newDecoy returns an app that stands in for one that does not exist: it has a
// secret that nobody knows and keys that nobody has the private parts of, so
// that refusing an unknown client takes the work that refusing a known one with
// keys of the usual sizes takes. (A client id is no secret, RFC 6749 section 2.2;
// this only keeps them from being collected.)
func newDecoy() (_ *access.AppView, err error) {
	defer fault.Wrap(&err, "make the stand-in for unknown clients")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	// Nobody ever signs with it, so any odd number of the right size will do. It is
	// near the largest one, because a signature that is not below the modulus is
	// refused without any arithmetic.
	modulus := make([]byte, 256)
	_, _ = rand.Read(modulus[8:])
	copy(modulus, "\xff\xff\xff\xff\xff\xff\xff\xff")
	modulus[255] |= 1
	b64 := base64.RawURLEncoding.EncodeToString
	app := access.App{
		Label: "no such client", Status: access.Inactive, AuthMethod: access.AuthSecretBasic,
		Secrets: []access.AppSecret{{Hash: keys.Hash(keys.Secret(256)), Status: access.Active}},
		Keys: []access.AppKey{
			{ID: "ec", Status: access.Active, JWK: jwk(`{"kty":"EC","crv":"P-256","alg":"ES256","kid":"ec","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:]))},
			{ID: "rsa", Status: access.Active, JWK: jwk(`{"kty":"RSA","alg":"RS256","kid":"rsa","e":"AQAB","n":%q}`, b64(modulus))},
		},
	}
	v := access.NewAppView("", app)
	if v.PublicKeys() == nil {
		return nil, fault.New(fault.Internal, "the stand-in has no usable keys")
	}
	return v, nil
}

func jwk(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}
