package gateway

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"gatehouse/internal/wire"
)

// Headers in which a proxy that ends TLS says which certificate the client has
// shown. Without a setting none is believed, and from strangers none ever is; they
// reach no upstream in any case.
const (
	CertHeaderClientCert = "client-cert"                 // RFC 9440, with Client-Cert-Chain
	CertHeaderForwarded  = "x-forwarded-client-cert"     // Envoy's
	CertHeaderNginx      = "ssl-client-cert"             // $ssl_client_escaped_cert of nginx: PEM, percent-encoded
	CertHeaderTraefik    = "x-forwarded-tls-client-cert" // what pem of Traefik's passTLSClientCert sets
	chainHeader          = "client-cert-chain"
	maxForwardedCerts    = 4096 // that are remembered parsed
	maxChain             = 8    // certificates behind the client's own
)

// forwardedCerts reads certificates out of headers. What was parsed once is
// remembered, by its text.
type forwardedCerts struct {
	header string // lower-case; "" = none is believed

	mu   sync.RWMutex
	seen map[[sha256.Size]byte]forwardedCert
}

type forwardedCert struct {
	list       []*x509.Certificate
	thumbprint string
}

// certificates returns what the trusted peer says, and the thumbprint of the first.
// Anything but one line of the right form is no certificate.
func (f *forwardedCerts) certificates(ex *Exchange) ([]*x509.Certificate, string) {
	if f.header == "" {
		return nil, ""
	}
	var own, chain []byte
	for i := range ex.req.Fields {
		field := &ex.req.Fields[i]
		switch {
		case field.Kind != wire.ClientCert && field.Kind != wire.XForwardedOther:
		case wire.EqualFold(field.Name, f.header):
			if own != nil {
				return nil, ""
			}
			own = field.Value
		case f.header == CertHeaderClientCert && wire.EqualFold(field.Name, chainHeader):
			if chain != nil {
				return nil, ""
			}
			chain = field.Value
		}
	}
	if len(own) == 0 {
		return nil, ""
	}
	h := sha256.New()
	h.Write(own)
	h.Write([]byte{0})
	h.Write(chain)
	key := [sha256.Size]byte(h.Sum(nil))
	f.mu.RLock()
	c, known := f.seen[key]
	f.mu.RUnlock()
	if !known {
		c = parseForwarded(f.header, own, chain)
		f.keep(key, c)
	}
	return c.list, c.thumbprint
}

func (f *forwardedCerts) keep(key [sha256.Size]byte, c forwardedCert) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) >= maxForwardedCerts || f.seen == nil {
		f.seen = map[[sha256.Size]byte]forwardedCert{}
	}
	f.seen[key] = c
}

// ForwardedCertificates returns the certificates that a trusted proxy names in the
// header, one of the CertHeader constants: the client's own first. Anything but one
// line of the right form is none. It is for listeners other than the gateway's.
func ForwardedCertificates(header string, h http.Header) []*x509.Certificate {
	own, chain := h.Values(header), h.Values(chainHeader)
	if header != CertHeaderClientCert {
		chain = nil
	}
	if len(own) != 1 || len(chain) > 1 || own[0] == "" {
		return nil
	}
	return parseForwarded(header, []byte(own[0]), []byte(strings.Join(chain, ""))).list
}

func parseForwarded(header string, own, chain []byte) forwardedCert {
	var ders [][]byte
	var ok bool
	switch header {
	case CertHeaderClientCert:
		ders, ok = parseClientCert(own, chain)
	case CertHeaderNginx:
		ders, ok = parseEscapedPEM(string(own))
	case CertHeaderTraefik:
		ders, ok = parseBare(string(own))
	default:
		ders, ok = parseXFCC(string(own))
	}
	if !ok {
		return forwardedCert{}
	}
	list := parseAll(ders)
	if list == nil {
		return forwardedCert{}
	}
	return forwardedCert{list, thumbprintOf(ders[0])}
}

// parseAll returns certificates, nil when one of them is none.
func parseAll(ders [][]byte) []*x509.Certificate {
	var out []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		out = append(out, c)
	}
	return out
}

// PEMCertificates returns the certificates of a text in PEM form, percent-encoded or
// not: a client's own first, then those in between. Anything else is none.
func PEMCertificates(text string) []*x509.Certificate {
	ders, ok := parseEscapedPEM(text)
	if !ok {
		return nil
	}
	return parseAll(ders)
}

// parseEscapedPEM reads PEM that may be percent-encoded: no byte of PEM itself is a
// percent sign.
func parseEscapedPEM(v string) (ders [][]byte, ok bool) {
	text, err := url.PathUnescape(v)
	if err != nil {
		return nil, false
	}
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 && len(ders) <= maxChain {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, false
		}
		ders, rest = append(ders, block.Bytes), bytes.TrimSpace(rest)
	}
	return ders, len(ders) > 0 && len(rest) == 0
}

// parseBare reads PEM of which only the base64 is left, percent-encoded or not; several
// are parted by commas.
func parseBare(v string) (ders [][]byte, ok bool) {
	text, err := url.PathUnescape(v)
	if err != nil {
		return nil, false
	}
	members := strings.Split(text, ",")
	if len(members) > maxChain+1 {
		return nil, false
	}
	for _, m := range members {
		der, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(m))
		if err != nil || len(der) == 0 {
			return nil, false
		}
		ders = append(ders, der)
	}
	return ders, true
}

// parseClientCert reads Client-Cert, a byte sequence, and Client-Cert-Chain, a list
// of them, which may be missing (RFC 9440 section 2; RFC 8941 section 3.3.5).
func parseClientCert(own, chain []byte) (ders [][]byte, ok bool) {
	first, ok := byteSequence(own)
	if !ok {
		return nil, false
	}
	ders = append(ders, first)
	if len(bytes.TrimSpace(chain)) == 0 {
		return ders, true
	}
	members := bytes.Split(chain, []byte(","))
	if len(members) > maxChain {
		return nil, false
	}
	for _, m := range members {
		der, ok := byteSequence(bytes.Trim(m, " \t"))
		if !ok {
			return nil, false
		}
		ders = append(ders, der)
	}
	return ders, true
}

// byteSequence decodes ":base64:".
func byteSequence(v []byte) ([]byte, bool) {
	if len(v) < 3 || v[0] != ':' || v[len(v)-1] != ':' || bytes.ContainsAny(v, "\r\n") {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(string(v[1 : len(v)-1]))
	return der, err == nil && len(der) > 0
}

// parseXFCC reads Envoy's X-Forwarded-Client-Cert: elements parted by commas, each of
// pairs parted by semicolons, whose values may be in quotes. The last element is the
// trusted proxy's own word; what stands before it came from further away.
func parseXFCC(v string) (ders [][]byte, ok bool) {
	elements, ok := splitQuoted(v, ',')
	if !ok {
		return nil, false
	}
	pairs, ok := splitQuoted(elements[len(elements)-1], ';')
	if !ok {
		return nil, false
	}
	found := ""
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "cert") {
			continue
		}
		if found != "" {
			return nil, false
		}
		found = strings.ReplaceAll(strings.Trim(strings.TrimSpace(value), `"`), `\"`, `"`)
	}
	ders, ok = parseEscapedPEM(found)
	return ders, ok && len(ders) == 1
}

// splitQuoted splits at the separator where it stands outside of quotes. ok is false
// when a quote is not closed.
func splitQuoted(s string, sep byte) (parts []string, ok bool) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:]), !quoted
}
