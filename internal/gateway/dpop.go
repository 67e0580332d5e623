package gateway

import (
	"bytes"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// How far the time in a proof may lie from ours. Behind is the time that a request
// may take, and the difference of two clocks; ahead is the latter alone.
const (
	proofBehind = time.Minute
	proofAhead  = 30 * time.Second
)

// proof checks the DPoP proof of the request (RFC 9449 section 4.3): cheap things
// first, then the signature, and that it is used once last, so that nobody can fill
// the memory for that without a token and its key.
func (s *sender) proof(ex *Exchange) error {
	ex.proofError = codeProof
	raw, err := proofLine(ex)
	if err != nil {
		return err
	}
	p, err := verify.ParseProof(raw)
	if err != nil {
		return Refuse(ReasonProofInvalid, err, "%s", detailOf(err))
	}
	switch {
	case p.Thumbprint != ex.token.KeyThumbprint:
		return errProofKey
	case p.Method != string(ex.req.Method):
		return errProofMethod
	case !s.place.names(ex, p.URL):
		return errProofURL
	case p.TokenHash != ex.memo.hash:
		return errProofToken
	}
	until, err := s.fresh(ex, p)
	if err != nil {
		return err
	}
	if err := ex.signed(p); err != nil {
		return err
	}
	switch ex.gw.replays.take(replayID(p.Thumbprint, p.ID), ex.started, until, ex.dry) {
	case seenBefore:
		return errProofSeen
	case seenFull:
		return errProofsFull
	case seenNever:
	}
	ex.proofError = ""
	return nil
}

func proofLine(ex *Exchange) ([]byte, error) {
	var raw []byte
	for i := range ex.req.Fields {
		if ex.req.Fields[i].Kind != wire.DPoP {
			continue
		}
		if raw != nil {
			return nil, errTwoProofs
		}
		raw = ex.req.Fields[i].Value
	}
	if len(raw) == 0 {
		return nil, errNoProof
	}
	return raw, nil
}

// fresh returns until when the proof is fresh. With a nonce, our own clock says so
// and the caller's does not matter. One is asked for as well where a proof may have
// been used before this process began, and nobody knows any more.
func (s *sender) fresh(ex *Exchange, p *verify.Proof) (until time.Time, err error) {
	issued := time.Unix(p.IssuedAt, 0)
	forgot := ex.gw.replays.forgot(issued)
	if s.demand != spec.ProofDPoPNew && !forgot {
		if age := ex.started.Sub(issued); age > proofBehind || age < -proofAhead {
			return until, errProofTime
		}
		return issued.Add(proofBehind), nil
	}
	at, ok := ex.gw.nonces.made(p.Nonce, ex.started)
	if !ok {
		ex.proofError, ex.freshNonce = codeNonce, ex.gw.nonces.make(ex.started)
		if forgot && s.demand != spec.ProofDPoPNew {
			return until, errProofForgot
		}
		return until, errProofNonce
	}
	if ex.started.Sub(at) > nonceRenew {
		ex.freshNonce = ex.gw.nonces.make(ex.started)
	}
	return at.Add(nonceLife), nil
}

// signed checks the signature. The key is kept with the token that is bound to it.
// Who sends others' tokens with proofs of their own making costs a check each time, so
// that counts as forging tokens does.
func (ex *Exchange) signed(p *verify.Proof) error {
	c := &ex.gw.config
	limit := c.Limiter.JoinAddr(ex.gw.forgery, ex.ClientIP())
	if res := c.Limiter.Peek(ex.started, limit, c.Forgeries); !res.Allowed {
		ex.retryAfter = res.RetryAfter
		return errForged
	}
	key := ex.memo.proofKey
	if key == nil || key.Algorithm() != p.Algorithm {
		var err error
		if key, err = p.Key(); err != nil {
			return Refuse(ReasonProofInvalid, err, "%s", detailOf(err))
		}
		next := *ex.memo
		next.proofKey = key
		ex.token.Slot().Store(&next)
		ex.memo = &next
	}
	if p.Verify(key) {
		return nil
	}
	if !ex.dry {
		c.Limiter.Take(ex.started, limit, c.Forgeries, 1)
	}
	return errProofForged
}

// publicPlace is how callers address an API: what the operator says, or else what
// the request says. Where neither the API's host nor its url is configured, a proof that
// a caller has made for another server would do here as well, together with the
// token; so configurations that demand proofs name one.
type publicPlace struct {
	origin string // of url: scheme and authority, without a default port; "" = the request's own
	path   string // of url
	hosted bool   // the router has matched the Host line
}

func newPublicPlace(a *spec.API) (*publicPlace, error) {
	p := &publicPlace{hosted: a.Host != ""}
	if a.URL == "" {
		return p, nil
	}
	u, err := spec.ParseURL(a.URL)
	if err != nil {
		return nil, err
	}
	host, why := canonicalHost(nil, []byte(u.Host))
	if why != "" {
		return nil, fault.New(fault.Invalid, "url: %s", why)
	}
	p.origin = originOf(u.Scheme, host, []byte(u.Host))
	p.path = strings.TrimSuffix(u.EscapedPath(), "/")
	return p, nil
}

// originOf writes scheme, canonical host and port; a port that the scheme implies is
// left out (RFC 3986 section 6.2.3).
func originOf(scheme string, host, authority []byte) string {
	port := ""
	if i := bytes.LastIndexByte(authority, ':'); i > bytes.LastIndexByte(authority, ']') {
		port = string(authority[i+1:])
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + string(host)
	}
	return scheme + "://" + string(host) + ":" + port
}

// names reports whether the address in a proof (htu) is that of the request. Both
// are normalized as RFC 3986 section 6.2 has it; query and fragment do not count.
func (p *publicPlace) names(ex *Exchange, htu string) bool {
	origin, path, ok := splitAddress(htu)
	if !ok {
		return false
	}
	calledOrigin, calledPath, ok := p.called(ex)
	return ok && origin == calledOrigin && path == calledPath
}

// called returns origin and path by which the caller has called the operation.
func (p *publicPlace) called(ex *Exchange) (origin, path string, ok bool) {
	if p.origin != "" {
		return p.origin, rooted(p.path + string(ex.path[ex.base:])), true
	}
	proto, host, _ := ex.outside()
	if p.hosted {
		host = ex.req.Host // the router looked at it
	}
	canonical, why := canonicalHost(nil, host)
	return originOf(proto, canonical, host), string(ex.path), why == ""
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// splitAddress returns the origin and the canonical path of an http or https URL.
func splitAddress(text string) (origin, path string, ok bool) {
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		text = text[:i]
	}
	scheme, rest, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return "", "", false
	}
	authority, below := rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, below = rest[:i], rest[i:]
	}
	host, why := canonicalHost(nil, []byte(authority))
	if why != "" {
		return "", "", false
	}
	canonical, _, why := canonicalPath(nil, []byte(below))
	if why != "" {
		return "", "", false
	}
	return originOf(scheme, host, []byte(authority)), string(canonical), true
}
