package app

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"gatehouse/internal/settings"
	"gatehouse/internal/wire"
)

// certificate is a certificate that is read again when its file changes, so that
// a renewed one needs no restart.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	looked time.Time
	stamp  time.Time
	loaded *tls.Certificate
}

// lookAgain is how often the file is looked at.
const lookAgain = 10 * time.Second

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookAgain {
		return c.loaded, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.cert)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.stamp) {
		return c.loaded, nil
	}
	next, err := tls.LoadX509KeyPair(c.cert, c.key)
	switch {
	case err == nil:
		c.loaded = &next
		if info != nil {
			c.stamp = info.ModTime()
		}
	case c.loaded == nil:
		return nil, fmt.Errorf("the certificate %s cannot be used: %w", c.cert, err)
	}
	// While the new pair is half-written, the old one goes on.
	return c.loaded, nil
}

// gatewayTLS returns nil for a plain listener.
func gatewayTLS(g settings.Gateway) (*tls.Config, error) {
	if g.CertFile == "" {
		return nil, nil
	}
	c := &certificate{cert: g.CertFile, key: g.KeyFile}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	switch g.ClientCerts {
	case "required":
		conf.ClientAuth = tls.RequireAnyClientCert
	case "optional":
		conf.ClientAuth = tls.RequestClientCert
	}
	return conf, nil
}

func (a *App) wireLimits() wire.Limits {
	l := a.settings.Limits
	return wire.Limits{HeadBytes: l.HeaderBytes, Fields: l.HeaderFields, TargetBytes: l.TargetBytes}
}
