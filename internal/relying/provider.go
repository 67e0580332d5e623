package relying

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/fault"
)

// metadata is what is needed of an issuer's discovery document (OpenID Connect
// Discovery 1.0 section 3; RFC 9126 section 5; RFC 9207 section 3).
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	PAR           string   `json:"pushed_authorization_request_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Scopes        []string `json:"scopes_supported"`
	NamesIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
}

// Discovery is kept for an hour. After a failure it is tried again once in a while,
// and what was known goes on.
const (
	metadataLife  = time.Hour
	metadataRetry = 5 * time.Second
)

// provider keeps the metadata of an issuer. One caller at a time fetches.
type provider struct {
	turn chan struct{}

	mu    sync.Mutex
	known *metadata
	at    time.Time // when known was fetched, or when that was tried last
	err   error
}

func (v *provider) last() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// get returns the metadata. The error is a fault of code Unavailable.
func (v *provider) get(ctx context.Context, p *Party) (*metadata, error) {
	if m, err, done := v.fresh(p.cfg.Now()); done {
		return m, err
	}
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return nil, fault.Because(ctx.Err(), fault.Unavailable, "the issuer's metadata did not come in time")
	}
	if m, err, done := v.fresh(p.cfg.Now()); done {
		return m, err
	}
	m, err := fetchMetadata(ctx, p.cfg.HTTP, p.cfg.Issuer)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.err = p.cfg.Now(), err
	if err == nil {
		v.known = m
	}
	if v.known == nil {
		return nil, fault.Because(err, fault.Unavailable, "the issuer's metadata cannot be had")
	}
	return v.known, nil
}

func (v *provider) fresh(now time.Time) (*metadata, error, bool) { //nolint:revive // whether there is an answer comes last
	v.mu.Lock()
	defer v.mu.Unlock()
	age := now.Sub(v.at)
	switch {
	case v.known != nil && (v.err == nil && age < metadataLife || v.err != nil && age < metadataRetry):
		return v.known, nil, true
	case v.known == nil && v.err != nil && age < metadataRetry:
		return nil, fault.Because(v.err, fault.Unavailable, "the issuer's metadata cannot be had"), true
	}
	return nil, nil, false
}

func fetchMetadata(ctx context.Context, http Caller, issuer string) (*metadata, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, errors.New("the issuer is no URL")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	var failed error
	for _, at := range [...]string{origin + path + "/.well-known/openid-configuration", origin + "/.well-known/oauth-authorization-server" + path} {
		raw, _, err := http.Get(ctx, at)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		m := &metadata{}
		if err := json.Unmarshal(raw, m); err != nil {
			return nil, errors.New("the metadata is not the JSON that it should be")
		}
		return m, m.check(issuer, u.Scheme)
	}
	return nil, failed
}

// check refuses a document of another issuer (RFC 8414 section 3.3), and addresses
// to which a browser or a secret must not be sent.
func (m *metadata) check(issuer, scheme string) error {
	if m.Issuer != issuer {
		return errors.New("the metadata is of another issuer")
	}
	for _, e := range []struct {
		name     string
		address  *string
		required bool
	}{
		{"authorization_endpoint", &m.Authorization, true},
		{"token_endpoint", &m.Token, true},
		{"pushed_authorization_request_endpoint", &m.PAR, false},
		{"end_session_endpoint", &m.EndSession, false},
		{"revocation_endpoint", &m.Revocation, false},
		{"userinfo_endpoint", &m.Userinfo, false},
	} {
		if *e.address == "" && !e.required {
			continue
		}
		u, err := url.Parse(*e.address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || scheme != "http") {
			return fmt.Errorf("the metadata's %s is not an address to go to", e.name)
		}
	}
	return nil
}

// offers reports whether the list, as far as there is one, has the word.
func offers(list []string, word string) bool { return slices.Contains(list, word) }

// withQuery returns the address with parameters added to those that it has.
func withQuery(address string, q url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + q.Encode()
	}
	return address + "?" + q.Encode()
}
