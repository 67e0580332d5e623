package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
)

// clientCertificate returns the certificates of the client, its own first, nil when
// there are none. They are those of this connection's handshake, in which the client
// has proven to hold the key; or, from a trusted proxy, those that it says it has
// seen, if it may. A trusted proxy's own certificate is never the client's.
func (ex *Exchange) clientCertificate() []*x509.Certificate {
	if ex.shown {
		return ex.certificates
	}
	ex.shown = true
	switch {
	case ex.trusted:
		ex.certificates, ex.thumbprint = ex.gw.forwarded.certificates(ex)
	case ex.req.TLS != nil:
		ex.certificates = ex.req.TLS.PeerCertificates
	}
	if len(ex.certificates) > 0 && ex.thumbprint == "" {
		ex.thumbprint = thumbprintOf(ex.certificates[0].Raw)
	}
	ex.certificate = ex.thumbprint
	return ex.certificates
}

// thumbprintOf returns x5t#S256 of a certificate in DER (RFC 8705 section 3.1).
func thumbprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// holdsCertificate asks that the client has the certificate of the thumbprint.
func (ex *Exchange) holdsCertificate(thumbprint string) error {
	switch {
	case len(ex.clientCertificate()) == 0:
		return errNoClientCert
	case subtle.ConstantTimeCompare([]byte(ex.certificate), []byte(thumbprint)) != 1:
		return errOtherCert
	}
	return nil
}
