package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/settings"
)

// clientCA are the authorities whose client certificates the gateway listener takes:
// a PEM file that is read again when it changes. A file that is no good leaves what was
// there.
type clientCA struct {
	path string

	mu     sync.Mutex
	looked time.Time
	stamp  time.Time
	loaded *x509.CertPool
}

// newClientCA returns nil when none are configured.
func newClientCA(g settings.Gateway) (*clientCA, error) {
	if g.ClientCAFile == "" {
		return nil, nil //nolint:nilnil // there are none
	}
	if g.CertFile == "" {
		return nil, fault.New(fault.Invalid, "client_ca has no effect on a listener without TLS: give it cert and key")
	}
	return openCA("client_ca", g.ClientCAFile)
}

// openCA reads the authorities of a PEM file; the setting is named when there are none.
func openCA(setting, path string) (*clientCA, error) {
	c := &clientCA{path: path}
	if c.pool() == nil {
		return nil, fault.New(fault.Invalid, "%s: the file %s holds no certificate in PEM form, or cannot be read", setting, c.path)
	}
	return c, nil
}

// pool returns the authorities as the file has them.
func (c *clientCA) pool() *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookAgain {
		return c.loaded
	}
	c.looked = time.Now()
	info, err := os.Stat(c.path)
	if err != nil || c.loaded != nil && info.ModTime().Equal(c.stamp) {
		return c.loaded
	}
	text, err := os.ReadFile(c.path)
	next := x509.NewCertPool()
	if err == nil && next.AppendCertsFromPEM(text) {
		c.loaded, c.stamp = next, info.ModTime()
	}
	return c.loaded
}

// verify implements tls.Config.VerifyConnection. Unlike the configuration's own check
// it is asked on a resumed session as well, by the authorities of today.
func (c *clientCA) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil // whether there must be one has been asked before
	}
	between := x509.NewCertPool()
	for _, link := range s.PeerCertificates[1:] {
		between.AddCert(link)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.pool(), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("no authority of the listener vouches for the client's certificate: %w", err)
	}
	return nil
}

// declaredCA stands for the authorities of a file that is only checked: nil when it
// has none.
func declaredCA(f *config.File) func() *x509.CertPool {
	if f.Server.Gateway.ClientCA == "" {
		return nil
	}
	return x509.NewCertPool
}
