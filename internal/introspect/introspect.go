// Package introspect asks an issuer what an opaque token stands for (RFC 7662),
// and remembers the answer for a short while. It gives facts, as a verify.Token,
// and no verdict on what they allow.
//
// An answer that is not understood, late, too large or missing is never a yes and
// never a no: it is issuer_unreachable. The room must not know requests, APIs or
// where its secret is kept; addresses are called through what it is given, which is
// a client that guards against addresses nobody meant.
package introspect

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// ReasonRevoked is the reason for a token that its issuer says is not active,
// and of which nothing says that it has merely expired.
const ReasonRevoked verify.Reason = "revoked"

// The bounds of a Client.
const (
	// MaxLife is how long an answer counts at most, whatever the token's exp says.
	MaxLife = 60 * time.Second
	// inactiveLife is how long it is remembered that a token is not active.
	inactiveLife = 10 * time.Second
	// leeway is the clock difference that exp and nbf forgive, as for signed tokens.
	leeway = verify.DefaultLeeway

	defaultTimeout    = 5 * time.Second
	defaultConcurrent = 64
	defaultTokens     = 65536
	defaultInactive   = 16384
	defaultBytes      = 64 << 20
)

// Caller calls addresses that a person has named. *safehttp.Client is one.
type Caller interface {
	Get(ctx context.Context, url string) (body []byte, contentType string, err error)
	Post(ctx context.Context, url string, header http.Header, body []byte) (answer []byte, contentType string, err error)
}

// Config is what a Client is made of. Issuer, ClientID, Secret and HTTP are
// required.
type Config struct {
	Issuer string // its URL; an answer with another iss is refused
	// Endpoint is the address that is asked. Empty means the introspection_endpoint
	// of the issuer's metadata (RFC 8414), which must be on the issuer's own host: the
	// client secret goes there.
	Endpoint string
	ClientID string // how the gateway names itself
	Auth     string // how it proves that; empty = AuthBasic
	Secret   string // for AuthBasic and AuthPost
	// Sign signs the claims of an assertion, and NewID makes a jti for it; for AuthKey.
	Sign  func(claims []byte) (string, error)
	NewID func() string
	// Keys are the issuer's, for answers that are signed (RFC 9701); nil = answers are
	// plain JSON. When there are keys, an answer that is not signed is none.
	Keys    verify.KeySource
	Claims  verify.ClaimNames // what the issuer calls its claims; zero = the usual names
	HTTP    Caller
	Now     func() time.Time // nil means time.Now
	Timeout time.Duration    // for one token, waiting for its turn included; 0 means 5 s
	// Life is how long an answer counts at most; 0 means MaxLife, and more is not possible.
	Life time.Duration
	// Concurrent bounds the calls at a time; 0 means 64.
	Concurrent int
	// Tokens and Inactive bound the answers kept of each sort; 0 means 65,536 and
	// 16,384. The text of active ones is bounded to 64 MiB besides.
	Tokens, Inactive int
}

// Client asks one issuer in the name of one client. Its cache is its own, so an
// answer of one issuer never counts for another (attack gateway 26). It is safe for
// concurrent use.
type Client struct {
	cfg      Config
	proof    proof
	cache    *cache
	breaker  safehttp.Breaker
	metadata metadata
	slots    chan struct{}
	life     context.Context //nolint:containedctx // the life of the client itself
	end      context.CancelFunc

	mu      sync.Mutex
	flights map[[sha256.Size]byte]*flight
}

// flight is one question on its way; all who ask the same wait for it.
type flight struct {
	done  chan struct{}
	token *verify.Token
	err   error
}

// New returns a Client. A configuration that cannot work is a fault of code Invalid.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.Issuer == "" || cfg.ClientID == "" || cfg.HTTP == nil:
		return nil, fault.New(fault.Invalid, "introspection needs an issuer, a client id and a way to call")
	}
	proof, err := newProof(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	setDefault(&cfg.Timeout, defaultTimeout)
	setDefault(&cfg.Life, MaxLife)
	setDefault(&cfg.Concurrent, defaultConcurrent)
	setDefault(&cfg.Tokens, defaultTokens)
	setDefault(&cfg.Inactive, defaultInactive)
	cfg.Life = min(cfg.Life, MaxLife)
	c := &Client{
		cfg: cfg, proof: proof,
		cache: newCache(cfg.Tokens, cfg.Inactive, defaultBytes), slots: make(chan struct{}, cfg.Concurrent),
		flights: map[[sha256.Size]byte]*flight{}, metadata: metadata{turn: make(chan struct{}, 1)},
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Close ends the calls under way: they give issuer_unreachable. It does not wait.
func (c *Client) Close() { c.end() }

// Cached returns what is known of the token without asking anybody: a token, or
// the error with which it is refused. It does not allocate or block.
func (c *Client) Cached(raw []byte) (t *verify.Token, known bool, err error) {
	e := c.cache.find(sha256.Sum256(raw))
	if e == nil || c.cfg.Now().UnixNano() >= e.until {
		return nil, false, nil
	}
	return e.token, true, e.err
}

// Ask returns what the token stands for, or a *verify.Error: revoked,
// token_expired, token_not_yet_valid, unknown_issuer, token_type_not_accepted, or
// issuer_unreachable when nobody can say. The audience is the caller's to check. It
// blocks for Config.Timeout at most. Of several that ask about a token at once,
// one asks the issuer.
func (c *Client) Ask(ctx context.Context, raw []byte) (*verify.Token, error) {
	key := sha256.Sum256(raw)
	c.mu.Lock()
	if e := c.cache.find(key); e != nil && c.cfg.Now().UnixNano() < e.until {
		c.mu.Unlock()
		return e.token, e.err
	}
	f, follows := c.flights[key]
	if !follows {
		f = &flight{done: make(chan struct{}), err: c.unreachable("the question was not answered", nil)}
		c.flights[key] = f
	}
	c.mu.Unlock()
	if !follows {
		c.fly(ctx, key, raw, f)
		return f.token, f.err
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, c.unreachable("the caller did not wait for the answer", ctx.Err())
	}
}

// fly asks the issuer for all who wait. A caller who goes away must not take the
// answer from the others, so its context does not end the call.
func (c *Client) fly(ctx context.Context, key [sha256.Size]byte, raw []byte, f *flight) {
	defer func() {
		c.mu.Lock()
		delete(c.flights, key)
		c.mu.Unlock()
		close(f.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() //nolint:contextcheck // Close ends the call too
	e, err := c.call(ctx, key, raw)
	if err != nil {
		f.err = err
		return
	}
	c.cache.put(key, e, c.cfg.Now().UnixNano())
	f.token, f.err = e.token, e.err
}

// call asks the issuer once. An error means that it did not say.
func (c *Client) call(ctx context.Context, key [sha256.Size]byte, raw []byte) (*entry, error) {
	if c.breaker.Open(c.cfg.Now()) {
		return nil, c.unreachable("it has not answered for a while, and is not asked all the time", c.breaker.Last())
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, c.unreachable("too many questions are waiting for it", ctx.Err())
	}
	if !c.breaker.Enter(c.cfg.Now()) {
		return nil, c.unreachable("it has not answered for a while, and is not asked all the time", c.breaker.Last())
	}
	e, err := c.exchange(ctx, key, raw)
	switch {
	case err == nil:
		c.breaker.Succeeded()
	case aboutTheToken(err):
		// One strange token must not keep the others out.
		c.breaker.Left()
	default:
		c.breaker.Failed(c.cfg.Now(), err)
	}
	return e, err
}

// aboutTheToken reports whether the issuer refused the question and would perhaps
// not refuse another one.
func aboutTheToken(err error) bool {
	var status safehttp.StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch int(status) {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (c *Client) exchange(ctx context.Context, key [sha256.Size]byte, raw []byte) (*entry, error) {
	endpoint, err := c.endpoint(ctx)
	if err != nil {
		return nil, err
	}
	form := "token=" + url.QueryEscape(string(raw)) + "&token_type_hint=access_token"
	header := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Accept":       {"application/json"},
	}
	want := "application/json"
	if c.cfg.Keys != nil {
		want = "application/" + signedAnswer
		header["Accept"] = []string{want}
	}
	more, err := c.add(header, endpoint)
	if err != nil {
		return nil, c.unreachable("the question could not be signed", err)
	}
	form += more
	asked := c.cfg.Now() // what is true at the issuer may change from here on
	body, contentType, err := c.cfg.HTTP.Post(ctx, endpoint, header, []byte(form))
	if err != nil {
		return nil, c.unreachable("it did not answer the question about the token", err)
	}
	media, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), want) {
		return nil, c.unreachable("its answer is not "+want, nil)
	}
	if c.cfg.Keys != nil {
		if body, err = c.open(ctx, body); err != nil {
			return nil, err
		}
	}
	return c.read(body, asked, c.cache.find(key))
}

// unreachable says that nobody can say what the token stands for.
func (c *Client) unreachable(detail string, cause error) *verify.Error {
	return &verify.Error{Reason: verify.ReasonIssuerUnreachable, Issuer: c.cfg.Issuer, Detail: "introspection: " + detail, Cause: cause}
}

// Err returns why the issuer's last answer was none, nil when it was one or it was
// never asked.
func (c *Client) Err() error { return c.breaker.Last() }
