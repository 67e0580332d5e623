package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// discovered is what is needed of an issuer's metadata.
type discovered struct {
	jwksURL       string
	tokenEndpoint string
}

// discover reads the metadata of OpenID Connect Discovery 1.0, or else of RFC
// 8414. A document that names another issuer is refused (RFC 8414 section 3.3)
// and not looked past: somebody answers for whom they are not.
func (r *RemoteKeys) discover() (discovered, error) {
	var failed error
	for _, address := range metadataURLs(r.cfg.Issuer) {
		raw, err := r.fetch(address)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		found, err := readMetadata(raw, r.cfg.Issuer)
		if err != nil {
			return discovered{}, &Error{Reason: ReasonIssuerUnreachable, Issuer: r.cfg.Issuer, Detail: "the issuer's metadata is not acceptable", Cause: err}
		}
		r.endpoint.Store(&found.tokenEndpoint)
		return found, nil
	}
	return discovered{}, &Error{Reason: ReasonIssuerUnreachable, Issuer: r.cfg.Issuer, Detail: "the issuer's metadata could not be fetched", Cause: failed}
}

// metadataURLs returns where the metadata may be: behind the issuer's path as
// OpenID Connect says, and before it as RFC 8414 says.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + path + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
	}
}

func readMetadata(raw []byte, issuer string) (discovered, error) {
	if len(raw) > maxSetBytes {
		return discovered{}, errors.New("it is larger than 1 MiB")
	}
	doc, err := decodeObject(string(raw))
	if err != nil {
		return discovered{}, err
	}
	if named, _ := doc["issuer"].(string); named != issuer {
		return discovered{}, fmt.Errorf("it names the issuer %q, but %q is configured", named[:min(len(named), 256)], issuer)
	}
	jwks, _ := doc["jwks_uri"].(string)
	if err := checkURL(jwks, issuer); err != nil {
		return discovered{}, fmt.Errorf("jwks_uri: %w", err)
	}
	token, _ := doc["token_endpoint"].(string)
	return discovered{jwksURL: jwks, tokenEndpoint: token}, nil
}

// checkURL refuses addresses that keys must not come from: anything but https,
// except that an issuer on plain http may have its keys there too.
func checkURL(address, issuer string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("its scheme is not https")
	case u.Scheme == "http" && strings.HasPrefix(issuer, "https:"):
		return errors.New("it is plain http, but the issuer is https")
	case u.Host == "":
		return errors.New("it names no host")
	case u.User != nil, u.Fragment != "":
		return errors.New("it has user information or a fragment")
	}
	return nil
}

// ownClient is the Fetcher of those who bring none.
type ownClient struct{ http http.Client }

func newOwnClient() *ownClient {
	return &ownClient{http.Client{
		Timeout: fetchTime,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableCompression:     true, // what is small must not unpack to something large
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           2,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *ownClient) close() { c.http.CloseIdleConnections() }

func (c *ownClient) fetch(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxSetBytes {
		return nil, errors.New("the answer is larger than 1 MiB")
	}
	return body, nil
}
