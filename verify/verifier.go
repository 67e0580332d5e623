package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Issuer is an authorization server whose access tokens are accepted.
type Issuer struct {
	// URL is the issuer identifier. The iss claim must equal it, byte for byte.
	URL string
	// Keys gives the issuer's keys: StaticKeys, RemoteKeys, or your own.
	Keys KeySource
	// Algorithms is the allow list. Empty means every asymmetric algorithm that
	// this package knows; each key still allows only those of its own type.
	Algorithms []Algorithm
	// Types are the accepted typ header values, case-insensitive and without
	// "application/"; "" stands for a missing one. Empty means
	// "at+jwt" (RFC 9068), "jwt" and "" (Okta, Entra, Keycloak).
	Types []string
	// Audience are the accepted audiences, of which aud must name one. Empty
	// means that the caller checks it with Token.HasAudience.
	Audience []string
	// Claims says what the issuer calls its claims; the zero value means the usual names.
	Claims ClaimNames
	// TokenEndpoint, when known, refuses tokens that are addressed to it:
	// those are client assertions (RFC 7523). RemoteKeys finds it by itself.
	TokenEndpoint string
}

// Config is what a Verifier is made of.
type Config struct {
	Issuers []Issuer
	// Leeway is the clock difference that exp, nbf and iat forgive. 0 means
	// DefaultLeeway; negative means none.
	Leeway time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// CacheSize bounds the number of cached tokens. 0 means DefaultCacheSize;
	// negative means no cache.
	CacheSize int
	// CacheBytes bounds the text of all cached tokens together. 0 means
	// DefaultCacheBytes.
	CacheBytes int64
	// CacheFor bounds how long a token is served from the cache before its
	// signature is checked again. 0 means DefaultCacheFor.
	CacheFor time.Duration
	// MaxTokenBytes bounds the token's text. 0 means DefaultMaxTokenBytes.
	MaxTokenBytes int
}

// The defaults of Config.
const (
	DefaultLeeway        = 30 * time.Second
	DefaultCacheSize     = 65536
	DefaultCacheBytes    = 64 << 20
	DefaultCacheFor      = time.Hour
	DefaultMaxTokenBytes = 16 << 10
)

// Verifier verifies access tokens of a fixed list of issuers. It is safe for
// concurrent use.
type Verifier struct {
	issuers  map[string]*issuer
	current  map[*issuer]struct{} // the same, to ask whether a cached token's issuer still counts
	leeway   time.Duration
	now      func() time.Time
	cacheFor time.Duration
	limit    int
	cache    *cache // nil: none
}

// issuer is one compiled Issuer. Its pointer is its identity in the cache: when
// any setting changes, so does the pointer.
type issuer struct {
	Issuer
	algorithms []Algorithm
	types      []string
}

// tokenEndpoints is what RemoteKeys knows besides keys.
type tokenEndpoints interface{ TokenEndpoint() string }

func (is *issuer) isTokenEndpoint(audience []string) bool {
	if is.TokenEndpoint != "" && slices.Contains(audience, is.TokenEndpoint) {
		return true
	}
	if s, ok := is.Keys.(tokenEndpoints); ok {
		found := s.TokenEndpoint()
		return found != "" && slices.Contains(audience, found)
	}
	return false
}

func (is *issuer) same(o *issuer) bool {
	return is.URL == o.URL && is.Keys == o.Keys && is.Claims.Equal(&o.Claims) && is.TokenEndpoint == o.TokenEndpoint &&
		slices.Equal(is.algorithms, o.algorithms) && slices.Equal(is.types, o.types) && slices.Equal(is.Audience, o.Audience)
}

// New returns a Verifier, or an error that says which setting is wrong.
func New(cfg Config) (*Verifier, error) {
	v := &Verifier{leeway: cfg.Leeway, now: cfg.Now, cacheFor: cfg.CacheFor, limit: cfg.MaxTokenBytes}
	if v.leeway == 0 {
		v.leeway = DefaultLeeway
	}
	v.leeway = max(v.leeway, 0)
	if v.now == nil {
		v.now = time.Now
	}
	if v.cacheFor <= 0 {
		v.cacheFor = DefaultCacheFor
	}
	if v.limit <= 0 {
		v.limit = DefaultMaxTokenBytes
	}
	size, bytes := cfg.CacheSize, cfg.CacheBytes
	if size == 0 {
		size = DefaultCacheSize
	}
	if bytes <= 0 {
		bytes = DefaultCacheBytes
	}
	if size > 0 {
		v.cache = newCache(size, bytes)
	}
	return v.With(cfg.Issuers)
}

// With returns a Verifier of other issuers that shares this one's cache, clock
// and limits. Cached tokens of an issuer stay valid when its settings are the
// same, its Keys being the same value; so a change of configuration does not
// make every token cold. This Verifier goes on working.
func (v *Verifier) With(issuers []Issuer) (*Verifier, error) {
	w := *v
	w.issuers = make(map[string]*issuer, len(issuers))
	w.current = make(map[*issuer]struct{}, len(issuers))
	for _, in := range issuers {
		is, err := compile(in)
		if err != nil {
			return nil, err
		}
		if w.issuers[is.URL] != nil {
			return nil, fmt.Errorf("verify: issuer %q is listed twice", is.URL)
		}
		if old := v.issuers[is.URL]; old != nil && old.same(is) {
			is = old
		}
		w.issuers[is.URL] = is
		w.current[is] = struct{}{}
	}
	return &w, nil
}

func compile(in Issuer) (*issuer, error) {
	is := &issuer{Issuer: in, algorithms: slices.Clone(in.Algorithms), types: defaultTypes}
	is.Audience = slices.Clone(in.Audience)
	if in.URL == "" {
		return nil, errors.New("verify: an issuer has no URL")
	}
	if in.Keys == nil {
		return nil, fmt.Errorf("verify: issuer %q has no Keys", in.URL)
	}
	if !reflect.TypeOf(in.Keys).Comparable() {
		return nil, fmt.Errorf("verify: issuer %q: Keys of type %T cannot be compared; use a pointer", in.URL, in.Keys)
	}
	for _, a := range in.Algorithms {
		if !a.Known() {
			return nil, fmt.Errorf("verify: issuer %q: algorithm %q is not supported; use some of %v", in.URL, string(a), Algorithms())
		}
	}
	if len(is.algorithms) == 0 {
		is.algorithms = Algorithms()
	}
	if len(in.Types) > 0 {
		is.types = make([]string, len(in.Types))
		for i, t := range in.Types {
			is.types[i] = normalType(t)
		}
	}
	return is, nil
}

// VerifyCached returns the token when it has been verified before and is still
// valid now. It neither allocates nor blocks. Not found says nothing about the
// token: call Verify, which may have to check a signature and may wait for the
// issuer; a limit per peer on that is the caller's.
func (v *Verifier) VerifyCached(raw []byte) (*Token, bool) {
	return v.Cached(raw, v.now())
}

// Cached is VerifyCached for a caller who knows the time already.
func (v *Verifier) Cached(raw []byte, at time.Time) (*Token, bool) {
	e := v.cache.find(raw)
	if e == nil {
		return nil, false
	}
	now := at.UnixNano()
	if !e.live(now) || now < e.from {
		return nil, false
	}
	if _, ok := v.current[e.issuer]; !ok {
		return nil, false
	}
	return e.token, true
}

// Verify returns what the token says, or an *Error. raw is the compact JWS
// alone; it is not kept. The audience is checked only for an issuer
// that has Issuer.Audience.
func (v *Verifier) Verify(ctx context.Context, raw []byte) (*Token, error) {
	if t, ok := v.VerifyCached(raw); ok {
		return t, nil
	}
	mark := v.cache.mark()
	if len(raw) > v.limit {
		return nil, fail(ReasonMalformed, "longer than the limit")
	}
	jws, err := parse(raw)
	if err != nil {
		return nil, err
	}
	m, err := decodeObject(jws.text)
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Detail: "claims", Cause: err}
	}
	// The claims are not trusted yet; they choose which issuer's keys to ask, and what
	// is too old is refused before a signature check is paid for it.
	t, bad := readClaims(m, v.namesFor(m))
	if bad != nil {
		return nil, bad
	}
	is := v.issuers[t.Issuer]
	if is == nil {
		return nil, fail(ReasonUnknownIssuer, "iss is not a configured issuer")
	}
	t.Issuer = is.URL
	now := v.now()
	if e := v.judge(is, jws, t, now); e != nil {
		e.Issuer = is.URL
		return nil, e
	}
	key, e := signer(ctx, is, jws)
	if e != nil {
		e.Issuer = is.URL
		return nil, e
	}
	t.KeyID, t.Algorithm = jws.KeyID, jws.Algorithm
	return v.remember(raw, t, key, is, now, mark), nil
}

// namesFor returns what the issuer that the claims name calls its claims.
func (v *Verifier) namesFor(m map[string]any) *ClaimNames {
	iss, _ := m["iss"].(string)
	if is := v.issuers[iss]; is != nil {
		return &is.Claims
	}
	return &ClaimNames{}
}

// judge applies every rule but the signature.
func (v *Verifier) judge(is *issuer, jws *JWS, t *Token, now time.Time) *Error {
	if !slices.Contains(is.algorithms, jws.Algorithm) {
		return fail(ReasonUnknownKey, "alg is not on the issuer's list")
	}
	t.Type = normalType(jws.Type)
	if what := notAccess(is, t); what != "" {
		return fail(ReasonTokenType, what)
	}
	if !now.Before(time.Unix(t.Expires, 0).Add(v.leeway)) {
		return fail(ReasonExpired, "exp has passed")
	}
	if now.Before(time.Unix(t.NotBefore, 0).Add(-v.leeway)) {
		return fail(ReasonNotYetValid, "nbf is in the future")
	}
	if now.Before(time.Unix(t.IssuedAt, 0).Add(-v.leeway)) {
		return fail(ReasonNotYetValid, "iat is in the future")
	}
	if len(is.Audience) > 0 && !t.HasAudience(is.Audience...) {
		return fail(ReasonWrongAudience, "aud names none of the accepted audiences")
	}
	return nil
}

// refetcher is a KeySource that can look for new material under a known kid.
type refetcher interface {
	refetch(ctx context.Context, old *Key, alg Algorithm) (*Key, error)
}

// signer returns the key that signed, or why there is none.
func signer(ctx context.Context, is *issuer, jws *JWS) (*Key, *Error) {
	key, err := is.Keys.Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil {
		return nil, keyError(err)
	}
	if jws.Verify(key) {
		return key, nil
	}
	if source, ok := is.Keys.(refetcher); ok {
		if key, err = source.refetch(ctx, key, jws.Algorithm); err == nil && key != nil && jws.Verify(key) {
			return key, nil
		}
	}
	return nil, fail(ReasonBadSignature, "the signature is not by the issuer's key")
}

func keyError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		c := *e
		return &c
	}
	return &Error{Reason: ReasonIssuerUnreachable, Detail: "the keys could not be had", Cause: err}
}

// remember puts a verified token into the cache and returns the one to hand
// out: of two requests that verify the same token at once, both get the same pointer.
func (v *Verifier) remember(raw []byte, t *Token, key *Key, is *issuer, now time.Time, mark uint64) *Token {
	if v.cache == nil {
		return t
	}
	until := time.Unix(t.Expires, 0).Add(v.leeway)
	if most := now.Add(v.cacheFor); most.Before(until) {
		until = most
	}
	from := time.Unix(max(t.NotBefore, t.IssuedAt), 0).Add(-v.leeway)
	e := &entry{raw: bytes.Clone(raw), token: t, key: key, issuer: is, until: until.UnixNano(), from: from.UnixNano()}
	return v.cache.put(e, mark, now.UnixNano()).token
}

// Drop forgets the cached tokens for which match returns true and returns how
// many they were. A verification that runs meanwhile is not cached. A dropped
// token that is presented again is verified again: who revokes must also keep a list. match must
// not call the Verifier.
func (v *Verifier) Drop(match func(*Token) bool) int { return v.cache.drop(match) }

// Purge forgets all cached tokens.
func (v *Verifier) Purge() { v.cache.drop(func(*Token) bool { return true }) }

// CacheStats are figures of the cache, for metrics.
type CacheStats struct {
	Tokens int   // cached now
	Bytes  int64 // text of those
}

// CacheStats returns the figures of the cache, which verifiers made by With share.
func (v *Verifier) CacheStats() CacheStats { return v.cache.stats() }
