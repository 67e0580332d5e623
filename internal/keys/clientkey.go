package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
)

// ClientKey is a new RSA key of 2,048 bits by which this server proves itself to others.
type ClientKey struct {
	ID   string // a UUID (RFC 9562 section 5.4)
	N, E string // the public key's numbers in base64url (RFC 7518 section 6.3.1)
	PEM  []byte // PKCS #8, for ParseAssertionKey
}

// NewClientKey returns a new key.
func NewClientKey() (ClientKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return ClientKey{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return ClientKey{}, err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return ClientKey{
		ID: newUUID(), N: b64(key.N.Bytes()), E: b64(big.NewInt(int64(key.E)).Bytes()),
		PEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
