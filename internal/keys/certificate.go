package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"time"
)

// Certificate is a self-signed certificate with its RSA key of 2,048 bits.
type Certificate struct {
	ID      string // SHA-256 of the public key (its SubjectPublicKeyInfo), in base64url
	DER     []byte // the certificate
	Private []byte // PKCS #8
}

// NewCertificate makes a certificate for a name that is good from now on until then.
func NewCertificate(name string, from, until time.Time) (Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return Certificate{}, err
	}
	sum := sha256.Sum256(public)
	return Certificate{ID: base64.RawURLEncoding.EncodeToString(sum[:]), DER: der, Private: private}, nil
}

// CertificateKey returns the numbers of the RSA key of a certificate (RFC 7518 section
// 6.3.1) and the certificate's thumbprint (RFC 7517 section 4.9), all in base64url.
func CertificateKey(der []byte) (n, e, thumbprint string, err error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", "", "", err
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return "", "", "", x509.ErrUnsupportedAlgorithm
	}
	sum := sha256.Sum256(der)
	b64 := base64.RawURLEncoding.EncodeToString
	return b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes()), b64(sum[:]), nil
}
