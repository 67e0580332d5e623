package access

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// HookTokens is the type of inline hooks that are called when tokens are minted.
const HookTokens = "com.okta.oauth2.tokens.transform"

// HookTypes are the types of inline hooks, as Okta names them. All can be managed
// and executed; HookTokens alone is called by the server itself.
func HookTypes() []string {
	return []string{
		HookTokens, "com.okta.import.transform", "com.okta.saml.tokens.transform", "com.okta.telephony.provider",
		"com.okta.user.credential.password.import", "com.okta.user.pre-registration",
	}
}

// What happens to a token request when the hook gives no answer that can be used.
const (
	HookRefuse   = "REFUSE"   // there is no token: what the hook would have taken away is not given
	HookContinue = "CONTINUE" // the token goes out as it was without the hook, as with Okta
)

// InlineHook is a program outside that is asked while something happens here.
type InlineHook struct {
	Name    string      `json:"name"`
	Type    string      `json:"type"`
	Version string      `json:"version"`
	Status  Status      `json:"status"`
	Channel HookChannel `json:"channel"`
	// Failure is HookRefuse or HookContinue. Okta's hooks do not have it.
	Failure string `json:"failure"`
}

// HookChannel is how the program is reached.
type HookChannel struct {
	Version string       `json:"version"`
	URI     string       `json:"uri"`
	Headers []HookHeader `json:"headers,omitempty"`
	// AuthHeader is the header in which the program is shown Sealed; empty for none.
	AuthHeader string `json:"authHeader,omitempty"`
	// OAuth is where the token is got that the program is shown; nil for none.
	OAuth *HookOAuth `json:"oauth,omitempty"`
	// Sealed is the value of AuthHeader, or the client secret of OAuth.
	Sealed string `json:"sealed,omitempty"`
}

// HookOAuth is how a token is got by client credentials (RFC 6749 section 4.4).
type HookOAuth struct {
	Method string `json:"method"` // AuthSecretPost or AuthPrivateKey
	Client string `json:"client"`
	Scope  string `json:"scope,omitempty"`
	URL    string `json:"url"`           // of the token endpoint
	Key    string `json:"key,omitempty"` // id of the HookKey, for AuthPrivateKey
}

// secretive reports whether the channel has a secret.
func (c *HookChannel) secretive() bool {
	return c.AuthHeader != "" || c.OAuth != nil && c.OAuth.Method == AuthSecretPost
}

// sends returns the addresses that a secret of the channel, or what it opens, goes to.
func (c *HookChannel) sends() [2]string {
	if c.OAuth == nil {
		return [2]string{c.URI}
	}
	return [2]string{c.URI, c.OAuth.URL}
}

// HookHeader is a header that is sent along.
type HookHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// InlineHooks are unique by name.
var InlineHooks = ledger.NewKind(ledger.Spec[InlineHook]{
	Name: "inline_hook", IDPrefix: "cal", Secrets: []string{"channel.sealed"},
	Keys: func(h InlineHook) []ledger.Key { return []ledger.Key{ledger.By("name", h.Name)} },
	Refs: func(h InlineHook) []ledger.Ref {
		if h.Channel.OAuth == nil || h.Channel.OAuth.Key == "" {
			return nil
		}
		return []ledger.Ref{{Field: "channel.config.hookKeyId", Kind: "hook_key", ID: h.Channel.OAuth.Key}}
	},
	Check: checkHook,
})

// reservedHookHeaders say how the call is made, and are nobody's to choose.
var reservedHookHeaders = [...]string{"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "te", "trailer", "upgrade", "expect"}

func checkHook(h InlineHook) error {
	var c checks
	c.name("name", h.Name, 255)
	c.oneOf("type", h.Type, HookTypes()...)
	c.oneOf("status", string(h.Status), string(Active), string(Inactive))
	c.oneOf("channel.config.failureMode", h.Failure, HookRefuse, HookContinue)
	c.that(h.Version != "" && len(h.Version) <= 20, "version", "is empty or longer than 20 bytes")
	c.that(hookAddress(h.Channel.URI), "channel.config.uri", "must be an https address without user and fragment")
	h.Channel.checkOAuth(&c)
	c.that(len(h.Channel.Headers) <= 20, "channel.config.headers", "has more than 20 headers")
	for _, f := range h.Channel.Headers {
		c.that(headerName(f.Key), "channel.config.headers", quoted(f.Key)+" is not a header that may be set")
		c.that(len(f.Value) <= 1024 && !strings.ContainsFunc(f.Value, notHeader), "channel.config.headers", quoted(f.Key)+" has a value that cannot be sent")
	}
	c.that(h.Channel.AuthHeader == "" || headerName(h.Channel.AuthHeader), "channel.config.authScheme.key", quoted(h.Channel.AuthHeader)+" is not a header that may be set")
	return c.err("inline hook %s is not valid", quoted(h.Name))
}

// hookAddress reports whether a hook may be, or may get its token, there.
func hookAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.Fragment == "" && len(address) <= 1024
}

func (c *HookChannel) checkOAuth(to *checks) {
	o := c.OAuth
	if o == nil {
		return
	}
	const at = "channel.config."
	to.oneOf(at+"authType", o.Method, AuthSecretPost, AuthPrivateKey)
	to.that(c.AuthHeader == "", at+"authScheme", "must be null for a channel of the type OAUTH")
	to.that(o.Client != "" && len(o.Client) <= 255 && !strings.ContainsFunc(o.Client, notHeader), at+"clientId", "is 1 to 255 printable characters")
	to.that(len(o.Scope) <= 1024 && !strings.ContainsFunc(o.Scope, notHeader), at+"scope", "is longer than 1024 characters, or has some that cannot be sent")
	to.that(hookAddress(o.URL), at+"tokenUrl", "must be an https address without user and fragment")
	to.that((o.Method == AuthPrivateKey) == (o.Key != ""), at+"hookKeyId", "is the key for private_key_jwt, and for nothing else")
}

// headerName reports whether a hook may set a header of the name (RFC 9110 section
// 5.1, tokens).
func headerName(s string) bool {
	if s == "" || len(s) > 100 || slices.Contains(reservedHookHeaders[:], strings.ToLower(s)) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// notHeader reports whether a character may not be in the value of a header.
func notHeader(r rune) bool { return r < ' ' || r > '~' }

func (h InlineHook) fill() InlineHook {
	if h.Status == "" {
		h.Status = Active
	}
	if h.Failure == "" {
		h.Failure = HookRefuse
	}
	if h.Channel.Version == "" {
		h.Channel.Version = "1.0.0"
	}
	return h
}

func hookPlace(t tenant.ID, id string) keys.Place {
	return keys.Place{Tenant: t, Kind: InlineHooks.Name(), ID: id, Field: "channel.sealed"}
}

// ListHooks returns a page of hooks for which match reports true.
func (s *Service) ListHooks(ctx context.Context, after string, limit int, match func(ledger.Object[InlineHook]) bool) (p ledger.Page[InlineHook], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = InlineHooks.Select(tx, ledger.Query{After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// FindHook returns a hook by id, or fault.NotFound.
func (s *Service) FindHook(ctx context.Context, id string) (o ledger.Object[InlineHook], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = InlineHooks.Get(tx, id)
		return err
	})
	return o, err
}

// CreateHook adds a hook with the value of its authorization header, if it has one.
func (s *Service) CreateHook(ctx context.Context, actor ledger.Actor, h InlineHook, secret string) (o ledger.Object[InlineHook], err error) {
	defer fault.Wrap(&err, "make inline hook %q", h.Name)
	err = s.update(ctx, actor, "make inline hook "+h.Name, func(tx *ledger.Tx) error {
		h := h.fill()
		if o, err = InlineHooks.Create(tx, h); err != nil || !h.Channel.secretive() {
			return err
		}
		return s.sealHook(tx, &o, secret)
	})
	return o, err
}

// ChangeHook applies change to a hook. A secret that is empty stays what it was.
func (s *Service) ChangeHook(ctx context.Context, actor ledger.Actor, id, secret string, change func(*InlineHook) error) (o ledger.Object[InlineHook], err error) {
	defer fault.Wrap(&err, "change inline hook %q", id)
	err = s.update(ctx, actor, "change inline hook "+id, func(tx *ledger.Tx) error {
		if o, err = InlineHooks.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		if o.Value.Type != was.Type {
			return fault.New(fault.Invalid, "the inline hook is not valid").WithFields(fault.Field{Path: "type", Message: "cannot be changed"})
		}
		if was.Channel.sends() != o.Value.Channel.sends() && secret == "" && o.Value.Channel.secretive() {
			// Else who may change hooks could have a secret sent to themselves.
			return fault.New(fault.Invalid, "the inline hook is not valid").WithFields(fault.Field{Path: "channel.config.authScheme.value", Message: "must be sent again with another uri"})
		}
		o.Value = o.Value.fill()
		if !o.Value.Channel.secretive() {
			o.Value.Channel.Sealed = ""
		}
		if secret != "" || o.Value.Channel.secretive() && o.Value.Channel.Sealed == "" {
			return s.sealHook(tx, &o, secret)
		}
		o, err = InlineHooks.Put(tx, o)
		return err
	})
	return o, err
}

// sealHook writes the hook with its secret.
func (s *Service) sealHook(tx *ledger.Tx, o *ledger.Object[InlineHook], secret string) (err error) {
	switch {
	case secret == "" || len(secret) > 4096 || strings.ContainsFunc(secret, notHeader):
		return fault.New(fault.Invalid, "the inline hook is not valid").
			WithFields(fault.Field{Path: "channel.config.authScheme.value", Message: "is empty, too long, or cannot be sent in a header"})
	case s.sealer == nil:
		return fault.New(fault.Unavailable, "this process keeps no secrets of hooks")
	}
	if o.Value.Channel.Sealed, err = s.sealer.Seal([]byte(secret), hookPlace(tx.Tenant(), o.ID)); err != nil {
		return err
	}
	*o, err = InlineHooks.Put(tx, *o)
	return err
}

// HookSecret returns the value of a hook's authorization header.
func (s *Service) HookSecret(ctx context.Context, id, sealed string) (string, error) {
	if s.sealer == nil {
		return "", fault.New(fault.Unavailable, "this process keeps no secrets of hooks")
	}
	t, _ := tenant.From(ctx)
	plain, err := s.sealer.Open(sealed, hookPlace(t, id))
	return string(plain), err
}

// DeleteHook removes an inactive hook that no rule names.
func (s *Service) DeleteHook(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete inline hook %q", id)
	return s.update(ctx, actor, "delete inline hook "+id, func(tx *ledger.Tx) error {
		o, err := InlineHooks.Get(tx, id)
		if err != nil {
			return err
		}
		if o.Value.Status == Active {
			return fault.New(fault.Denied, "the inline hook is active: deactivate it first").WithReason(ReasonActive)
		}
		return InlineHooks.Delete(tx, id, 0)
	})
}

// HookView is an inline hook, ready to be called.
type HookView struct {
	ID string
	InlineHook
}

// hookOfTokens makes sure that the hook of a rule is there, and one that is asked
// about tokens.
func hookOfTokens(tx *ledger.Tx, r *Rule) error {
	id := r.Actions.Token.InlineHook
	if id == "" {
		return nil
	}
	o, err := InlineHooks.Get(tx, id)
	if fault.Is(err, fault.NotFound) || err == nil && o.Value.Type != HookTokens {
		return fault.New(fault.Invalid, "access rule %s is not valid", quoted(r.Name)).
			WithFields(fault.Field{Path: "actions.token.inlineHook", Message: "is not an inline hook of the type " + HookTokens})
	}
	return err
}
