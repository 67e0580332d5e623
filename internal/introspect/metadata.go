package introspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// metadataLife is how long the issuer's metadata is good.
const metadataLife = time.Hour

// metadata is what the issuer says about where it wants to be asked.
type metadata struct {
	turn  chan struct{} // one fetches at a time
	found atomic.Pointer[found]
}

type found struct {
	endpoint string
	until    time.Time
}

// endpoint returns the address to ask: the configured one, or the issuer's own
// word. What it said once is used while it says nothing.
func (c *Client) endpoint(ctx context.Context) (string, error) {
	if c.cfg.Endpoint != "" {
		return c.cfg.Endpoint, nil
	}
	if f := c.metadata.found.Load(); f != nil && c.cfg.Now().Before(f.until) {
		return f.endpoint, nil
	}
	select {
	case c.metadata.turn <- struct{}{}:
		defer func() { <-c.metadata.turn }()
	case <-ctx.Done():
		return "", c.unreachable("its metadata took too long", ctx.Err())
	}
	old := c.metadata.found.Load()
	if old != nil && c.cfg.Now().Before(old.until) {
		return old.endpoint, nil
	}
	endpoint, err := c.discover(ctx)
	switch {
	case err == nil:
		c.metadata.found.Store(&found{endpoint, c.cfg.Now().Add(metadataLife)})
		return endpoint, nil
	case old != nil:
		c.metadata.found.Store(&found{old.endpoint, c.cfg.Now().Add(time.Minute)})
		return old.endpoint, nil
	}
	return "", c.unreachable("its metadata does not say where to ask: set introspection_url", err)
}

// discover reads the metadata at the two places of RFC 8414 and OpenID Connect
// Discovery. A document of another issuer is refused and not looked past.
func (c *Client) discover(ctx context.Context) (string, error) {
	var failed error
	for _, address := range metadataURLs(c.cfg.Issuer) {
		raw, _, err := c.cfg.HTTP.Get(ctx, address)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		return readMetadata(raw, c.cfg.Issuer)
	}
	return "", failed
}

func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
		origin + path + "/.well-known/oauth-authorization-server",
	}
}

func readMetadata(raw []byte, issuer string) (string, error) {
	var doc struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"introspection_endpoint"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", errors.New("it is not the JSON that it should be")
	}
	if doc.Issuer != issuer {
		return "", errors.New("it is of another issuer")
	}
	at, err := url.Parse(doc.Endpoint)
	if err != nil || doc.Endpoint == "" {
		return "", errors.New("it has no introspection_endpoint")
	}
	home, err := url.Parse(issuer)
	if err != nil || at.Scheme != home.Scheme || !strings.EqualFold(at.Host, home.Host) || at.User != nil || at.Fragment != "" {
		return "", fmt.Errorf("its introspection_endpoint is on another host than the issuer, and the client secret is not sent there unless introspection_url says so")
	}
	return doc.Endpoint, nil
}
