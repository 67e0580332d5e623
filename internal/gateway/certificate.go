package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
)

// clientCertificate returns the certificate whose key the client has proven to hold
// in the handshake of this connection, nil when there is none. That of a trusted
// proxy is the proxy's, and never the client's.
func (ex *Exchange) clientCertificate() *x509.Certificate {
	if ex.trusted || ex.req.TLS == nil || len(ex.req.TLS.PeerCertificates) == 0 {
		return nil
	}
	return ex.req.TLS.PeerCertificates[0]
}

// thumbprintOf returns x5t#S256 of a certificate (RFC 8705 section 3.1).
func thumbprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// holdsCertificate asks that the client has the certificate of the thumbprint.
func (ex *Exchange) holdsCertificate(thumbprint string) error {
	c := ex.clientCertificate()
	switch {
	case c == nil:
		return errNoClientCert
	case subtle.ConstantTimeCompare([]byte(thumbprintOf(c)), []byte(thumbprint)) != 1:
		return errOtherCert
	}
	return nil
}
