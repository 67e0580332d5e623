package app

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/grant"
	"gatehouse/internal/settings"
)

// identityTLS returns how the identity listener speaks TLS, nil where it does not. Any
// client certificate is taken: the handshake proves that the client has its key, and
// each app's settings say which is its own.
func identityTLS(s settings.Identity) (*tls.Config, error) {
	if s.CertFile == "" {
		return nil, nil
	}
	c := &certificate{cert: s.CertFile, key: s.KeyFile}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"http/1.1"}}
	if s.ClientCerts != "" {
		conf.ClientAuth = tls.RequestClientCert
	}
	return conf, nil
}

// clientCertificate makes the certificate of a connection from a trusted proxy the one
// that the proxy says its client has shown, so that everything after it asks one place.
// A trusted proxy's own certificate is never its client's; from others the header is
// nothing. It looks at the peer, and so stands before what puts the client's address
// into its place.
func clientCertificate(s settings.Identity, next http.Handler) http.Handler {
	if len(s.TrustedProxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		address := peer.Addr().Unmap().WithZone("")
		if err != nil || !slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) }) {
			next.ServeHTTP(w, r)
			return
		}
		var shown []*x509.Certificate
		if s.ClientCertHeader != "" {
			shown = gateway.ForwardedCertificates(s.ClientCertHeader, r.Header)
		}
		if r.TLS == nil && shown == nil {
			next.ServeHTTP(w, r)
			return
		}
		var state tls.ConnectionState
		if r.TLS != nil {
			state = *r.TLS
		}
		state.PeerCertificates, state.VerifiedChains = shown, nil
		seen := r.WithContext(r.Context())
		seen.TLS = &state
		next.ServeHTTP(w, seen)
	})
}

// identityCertificates returns what apps show there, nil when they cannot.
func (a *App) identityCertificates() (*grant.Certificates, error) {
	s := a.settings.Identity
	if s.ClientCerts == "" && s.ClientCertHeader == "" {
		return nil, nil //nolint:nilnil // nobody can show any
	}
	c := grant.CertificatesConfig{Revoked: a.node.revoked, Now: time.Now}
	if s.ClientCAFile != "" {
		ca, err := openCA("client_ca", s.ClientCAFile)
		if err != nil {
			return nil, err
		}
		c.Roots = ca.pool
	}
	if s.DeviceCAFile != "" {
		ca, err := openCA("device_ca", s.DeviceCAFile)
		if err != nil {
			return nil, err
		}
		c.Devices = ca.pool
	}
	return grant.NewCertificates(c), nil
}
