package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/tenant"
)

// hookProofs opens what this server proves itself with to the programs that are hooks, and
// to the authorization servers whose tokens they want.
type hookProofs interface {
	HookSecret(ctx context.Context, id, sealed string) (string, error)
	HookAssertion(ctx context.Context, key string) (*keys.Assertion, error)
}

const (
	// hookTokenMargin is how long before its end a token is not used any more.
	hookTokenMargin = 10 * time.Second
	// hookTokenLife is how long a token is kept whose end is not said.
	hookTokenLife = time.Minute
	mostHookToken = 16 << 10
	mostHookKept  = 1000
)

// hookTokens gets the tokens that inline hooks are called with, by client credentials
// (RFC 6749 section 4.4), and keeps them until they end.
type hookTokens struct {
	proofs hookProofs
	http   *safehttp.Client
	now    func() time.Time

	mu   sync.Mutex
	kept map[hookTokenKey]hookToken
}

// hookTokenKey is everything that a token depends on: another setting is another token.
type hookTokenKey struct {
	tenant tenant.ID
	hook   string
	oauth  access.HookOAuth
	sealed string
}

type hookToken struct {
	value string
	ends  time.Time
}

// authorization returns the Authorization header for a hook.
func (h *hookTokens) authorization(ctx context.Context, hook *access.HookView) (string, error) {
	t, _ := tenant.From(ctx)
	key := hookTokenKey{t, hook.ID, *hook.Channel.OAuth, hook.Channel.Sealed}
	h.mu.Lock()
	had, ok := h.kept[key]
	h.mu.Unlock()
	if ok && h.now().Before(had.ends) {
		return "Bearer " + had.value, nil
	}
	got, err := h.get(ctx, hook)
	if err != nil {
		return "", fmt.Errorf("get a token for the hook: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil || len(h.kept) >= mostHookKept {
		h.kept = map[hookTokenKey]hookToken{}
	}
	h.kept[key] = got
	return "Bearer " + got.value, nil
}

// forget drops the tokens of a hook: it has refused the last one.
func (h *hookTokens) forget(hook string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.kept {
		if k.hook == hook {
			delete(h.kept, k)
		}
	}
}

func (h *hookTokens) get(ctx context.Context, hook *access.HookView) (hookToken, error) {
	o := hook.Channel.OAuth
	form := url.Values{"grant_type": {access.GrantClientCredentials}, "client_id": {o.Client}}
	if o.Scope != "" {
		form.Set("scope", o.Scope)
	}
	if err := h.prove(ctx, hook, form); err != nil {
		return hookToken{}, err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	a, err := h.http.PostForAnswer(ctx, o.URL, header, []byte(form.Encode()))
	if err != nil {
		return hookToken{}, err
	}
	var got struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Life  int    `json:"expires_in"`
	}
	// What the server says else is not repeated: it may be the secret.
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &got) != nil || got.Token == "" || len(got.Token) > mostHookToken || !usableInHeader(got.Token) {
		return hookToken{}, fmt.Errorf("the token endpoint answered with status %d and no token that can be used", a.Status)
	}
	life := hookTokenLife
	if got.Life > 0 {
		life = min(time.Duration(got.Life), 24*3600) * time.Second
	}
	return hookToken{got.Token, h.now().Add(life - hookTokenMargin)}, nil
}

// prove adds the client's proof to the form: its secret, or an assertion that a hook key
// signs (RFC 7523 section 2.2).
func (h *hookTokens) prove(ctx context.Context, hook *access.HookView, form url.Values) error {
	o := hook.Channel.OAuth
	if o.Method == access.AuthSecretPost {
		secret, err := h.proofs.HookSecret(ctx, hook.ID, hook.Channel.Sealed)
		form.Set("client_secret", secret)
		return err
	}
	key, err := h.proofs.HookAssertion(ctx, o.Key)
	if err != nil {
		return err
	}
	now := h.now()
	claims, err := json.Marshal(map[string]any{
		"iss": o.Client, "sub": o.Client, "aud": o.URL, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": keys.Secret(128),
	})
	if err != nil {
		return err
	}
	assertion, err := key.Sign(claims)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return err
}

// usableInHeader reports whether a token is what a header can carry (RFC 6750 section 2.1).
func usableInHeader(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
