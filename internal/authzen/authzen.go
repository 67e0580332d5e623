// Package authzen asks a decision point outside whether something may happen
// (OpenID AuthZEN Authorization API 1.0, as a client).
//
// An answer that is not understood, late, too large or missing is never a yes and
// never a no: it is an error, and whoever asked refuses. Answers are not kept: the
// next question may have another. The room must not know what is asked about, or
// where its token is kept; addresses are called through what it is given, which is a
// client that guards against addresses nobody meant.
package authzen

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

const (
	defaultConcurrent = 128
	maxReason         = 300 // bytes of what is kept of an answer's reason
)

// Caller calls addresses that a person has named. *safehttp.Client is one.
type Caller interface {
	Post(ctx context.Context, url string, header http.Header, body []byte) (answer []byte, contentType string, err error)
}

// Config is what a Client is made of. Endpoint, Timeout and HTTP are required.
type Config struct {
	Endpoint string // of the access evaluation API
	Token    string // sent as a bearer token; empty for none
	// Timeout is how long one question may take, waiting for its turn included.
	Timeout    time.Duration
	Concurrent int // questions under way at a time; 0 means 128
	HTTP       Caller
	Now        func() time.Time // nil means time.Now
}

// Client asks one decision point. It is safe for concurrent use.
type Client struct {
	cfg     Config
	breaker safehttp.Breaker
	slots   chan struct{}
	life    context.Context //nolint:containedctx // the life of the client itself
	end     context.CancelFunc
}

// New returns a Client. A configuration that cannot work is a fault of code Invalid.
func New(cfg Config) (*Client, error) {
	if cfg.Endpoint == "" || cfg.Timeout <= 0 || cfg.HTTP == nil {
		return nil, fault.New(fault.Invalid, "a decision point needs an address, a time and a way to call")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Concurrent <= 0 {
		cfg.Concurrent = defaultConcurrent
	}
	c := &Client{cfg: cfg, slots: make(chan struct{}, cfg.Concurrent)}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Close ends the questions under way. It does not wait.
func (c *Client) Close() { c.end() }

// Err returns why the last question was not answered, nil when it was or none was asked.
func (c *Client) Err() error { return c.breaker.Last() }

// Ask sends a question (AuthZEN 1.0 section 6.1, a JSON object) that is known by the
// id (section 10.1.3), and returns what was decided and the reason that was given, in
// one line and cut to a length; it is for administrators. It blocks for Config.Timeout at most. An
// error, a fault of code Unavailable, says that nothing was decided.
func (c *Client) Ask(ctx context.Context, id string, question []byte) (permitted bool, reason string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() //nolint:contextcheck // Close ends the call too
	if c.breaker.Open(c.cfg.Now()) {
		return false, "", notAskedNow(c.breaker.Last())
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return false, "", fault.Because(ctx.Err(), fault.Unavailable, "too many questions are waiting for it")
	}
	if !c.breaker.Enter(c.cfg.Now()) {
		return false, "", notAskedNow(c.breaker.Last())
	}
	permitted, reason, err = c.exchange(ctx, id, question)
	switch {
	case err == nil:
		c.breaker.Succeeded()
	case errors.Is(context.Cause(ctx), context.Canceled), aboutTheQuestion(err):
		// That whoever asked is gone says nothing about it; and one strange question must
		// not keep the others out.
		c.breaker.Left()
	default:
		c.breaker.Failed(c.cfg.Now(), err)
	}
	return permitted, reason, err
}

// aboutTheQuestion reports whether the question was refused, and another would
// perhaps not be.
func aboutTheQuestion(err error) bool {
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

func notAskedNow(last error) error {
	return fault.Because(last, fault.Unavailable, "it has not answered for a while, and is not asked all the time")
}

func (c *Client) exchange(ctx context.Context, id string, question []byte) (permitted bool, reason string, err error) {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Request-Id": {id}}
	if c.cfg.Token != "" {
		header["Authorization"] = []string{"Bearer " + c.cfg.Token}
	}
	body, contentType, err := c.cfg.HTTP.Post(ctx, c.cfg.Endpoint, header, question)
	if err != nil {
		return false, "", fault.Because(err, fault.Unavailable, "it did not answer")
	}
	media, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/json") {
		return false, "", fault.New(fault.Unavailable, "its answer is not application/json")
	}
	return read(body)
}

// read reads an answer (section 6.2) as strictly as a token is read: one object, no
// name twice, names byte for byte.
func read(body []byte) (permitted bool, reason string, err error) {
	t, err := verify.FromClaims(body, verify.ClaimNames{})
	if err != nil {
		return false, "", fault.Because(err, fault.Unavailable, "its answer cannot be read")
	}
	v, _ := t.Claim("decision")
	permitted, ok := v.(bool)
	if !ok {
		return false, "", fault.New(fault.Unavailable, "its answer has no decision that is true or false")
	}
	v, _ = t.Claim("context")
	return permitted, reasonOf(v), nil
}

// reasonOf finds the words of an answer's context: reason, or what the standard's
// examples call reason_admin and reason_user; each a text or a group of them.
func reasonOf(answerContext any) string {
	group, _ := answerContext.(map[string]any)
	for _, name := range []string{"reason", "reason_admin", "reason_user"} {
		switch v := group[name].(type) {
		case string:
			return oneLine(v)
		case map[string]any:
			first := "" // of the names in order, so that the same answer reads the same
			for key := range v {
				if _, text := v[key].(string); text && (first == "" || key < first) {
					first = key
				}
			}
			if s, text := v[first].(string); text {
				return oneLine(s)
			}
		}
	}
	return ""
}

// oneLine makes a stranger's words fit to be shown: no control characters, no more
// than maxReason bytes.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)), " ")
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
