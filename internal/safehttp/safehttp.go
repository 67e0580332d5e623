// Package safehttp is the only HTTP client for addresses that a person or a
// token names. It resolves the name itself, checks every address at dial time
// and connects to the very address that it checked, follows no redirect, uses
// no proxy, keeps no cookie, and bounds time and size. It must not know why an
// address is fetched, and its errors repeat nothing of the answer.
package safehttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/fault"
)

const (
	defaultTimeout = 5 * time.Second
	defaultMaxBody = 1 << 20
	defaultMaxIdle = 8
	maxHeader      = 64 << 10
	maxURL         = 8 << 10
)

// Resolver finds the addresses of a host name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what a Client is made of. The zero value allows https to public
// addresses.
type Config struct {
	// AllowPrivate also allows loopback, private and shared ranges, and plain
	// http: for addresses that the operator's own file names. Link-local
	// addresses and those where clouds keep their metadata stay refused.
	AllowPrivate bool
	Timeout      time.Duration  // of a whole call; 0 means 5 s
	MaxBody      int64          // bytes of an answer; 0 means 1 MiB
	MaxIdle      int            // idle connections kept to one host; 0 means 8
	Resolver     Resolver       // nil means net.DefaultResolver
	Roots        *x509.CertPool // nil means the system's
}

// StatusError is in the chain of the error of a call that was answered with
// another status than 200: the status. Callers for whom a 400 means something else
// than a 500 find it with errors.As.
type StatusError int

// Error says the status.
func (e StatusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// Client makes the calls. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http http.Client
}

// New returns a Client.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.MaxIdle <= 0 {
		cfg.MaxIdle = defaultMaxIdle
	}
	c := &Client{cfg: cfg}
	c.http = http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would resolve the name anew
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    cfg.Timeout,
			DisableCompression:     true, // what is small must not unpack to something large
			MaxIdleConnsPerHost:    cfg.MaxIdle,
			MaxIdleConns:           8 * cfg.MaxIdle,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Get returns the body and the content type of a 200 answer. The error is a
// fault: Invalid for an address that is no URL, Denied for one that is not
// allowed, TooLarge, Timeout, else Unavailable.
func (c *Client) Get(ctx context.Context, url string) (body []byte, contentType string, err error) {
	return c.call(ctx, http.MethodGet, url, nil, http.NoBody)
}

// Fetch is Get without the content type; it fits verify.Fetcher.
func (c *Client) Fetch(ctx context.Context, url string) ([]byte, error) {
	body, _, err := c.Get(ctx, url)
	return body, err
}

// Post sends body with the header fields and returns the body and the content
// type of a 200 answer; errors are as with Get.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (answer []byte, contentType string, err error) {
	return c.call(ctx, http.MethodPost, url, header, bytes.NewReader(body))
}

// Answer is what came back, whatever its status is.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// PostForAnswer is Post for callers to whom a status other than 200 is an answer,
// such as the errors of an OAuth server (RFC 6749 section 5.2). Redirects are not
// followed here either. Errors are as with Get, but for those about the status.
func (c *Client) PostForAnswer(ctx context.Context, url string, header http.Header, body []byte) (Answer, error) {
	return c.send(ctx, http.MethodPost, url, header, bytes.NewReader(body), true)
}

// GetForAnswer is Get with headers, for callers that want to see every status.
func (c *Client) GetForAnswer(ctx context.Context, url string, header http.Header) (Answer, error) {
	return c.send(ctx, http.MethodGet, url, header, nil, true)
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, method, address string, header http.Header, body io.Reader) ([]byte, string, error) {
	a, err := c.send(ctx, method, address, header, body, false)
	return a.Body, a.ContentType, err
}

// send makes a call. Unless anyStatus, an answer of another status than 200 is an
// error, and its body is not read.
func (c *Client) send(ctx context.Context, method, address string, header http.Header, body io.Reader, anyStatus bool) (a Answer, err error) {
	if err := c.checkURL(address); err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return a, fault.Because(err, fault.Invalid, "the address is not a URL")
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept-Encoding", "identity")
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return a, asFault(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK && !anyStatus {
		return a, fault.Because(StatusError(res.StatusCode), fault.Unavailable, "the address answered with status %d; 200 is needed, and redirects are not followed", res.StatusCode)
	}
	if coding := res.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return a, fault.New(fault.Unavailable, "the address answered with a compressed body, which was not asked for")
	}
	if res.ContentLength > c.cfg.MaxBody {
		return a, c.tooLarge()
	}
	a = Answer{Status: res.StatusCode, ContentType: res.Header.Get("Content-Type")}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxBody+1)); err != nil {
		return Answer{}, asFault(ctx, err)
	}
	if int64(len(a.Body)) > c.cfg.MaxBody {
		return Answer{}, c.tooLarge()
	}
	return a, nil
}

func (c *Client) tooLarge() error {
	return fault.New(fault.TooLarge, "the answer is larger than %d bytes", c.cfg.MaxBody)
}

// asFault hides what the network said behind a text of ours; the cause is for the log.
func asFault(ctx context.Context, err error) error {
	if f := fault.Of(err); f != nil {
		return f
	}
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return fault.Because(err, fault.Timeout, "the address did not answer in time")
	}
	return fault.Because(err, fault.Unavailable, "the address could not be reached")
}

func (c *Client) checkURL(address string) error {
	if len(address) > maxURL {
		return fault.New(fault.Invalid, "the address is too long")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fault.New(fault.Invalid, "the address is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return fault.New(fault.Denied, "the address is not https")
	case u.Scheme == "http" && !c.cfg.AllowPrivate:
		return fault.New(fault.Denied, "the address is plain http; only https is allowed")
	case u.Hostname() == "" || u.Opaque != "":
		return fault.New(fault.Invalid, "the address names no host")
	case u.User != nil:
		return fault.New(fault.Denied, "the address has user information")
	}
	return nil
}

// dial resolves the host and connects to an address that has been checked. One
// bad address among several refuses all of them: an honest name has none.
func (c *Client) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address is not a URL")
	}
	addrs := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, ip)
	} else if addrs, err = c.cfg.Resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the host name could not be resolved")
	}
	for _, ip := range addrs {
		if why := Refused(ip, c.cfg.AllowPrivate); why != "" {
			return nil, fault.New(fault.Denied, "the address leads to %s, which is not allowed", why)
		}
	}
	failed := errors.New("the host name has no address")
	for _, ip := range addrs {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}
