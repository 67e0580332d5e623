package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/tenant"
)

// The bounds of a call: a person waits for it, and programs that do not answer must
// not take the server with them.
const (
	hookTime   = 3 * time.Second
	hookAnswer = 256 << 10
	hookCalls  = 64 // at a time
)

// hookExecuted is the event of a call, named as in Okta's System Log.
const hookExecuted = "inline_hook.executed"

// hooksConfig is what newHooks needs.
type hooksConfig struct {
	Private bool // private addresses and plain http are called, too
	Secrets hookProofs
	Audit   audit.Recorder
	Log     *slog.Logger
	Now     func() time.Time
}

// hooks calls inline hooks. It implements grant.Hooks and okta.Hooks.
type hooks struct {
	cfg    hooksConfig
	http   *safehttp.Client
	tokens *hookTokens
	free   chan struct{}
}

func newHooks(c hooksConfig) *hooks {
	h := &hooks{
		cfg: c, free: make(chan struct{}, hookCalls),
		http: safehttp.New(safehttp.Config{AllowPrivate: c.Private, Timeout: hookTime, MaxBody: hookAnswer}),
	}
	h.tokens = &hookTokens{proofs: c.Secrets, http: h.http, now: c.Now}
	return h
}

// Call implements grant.Hooks. Every call is in the system log, without what was said.
func (h *hooks) Call(ctx context.Context, hook *access.HookView, body []byte) (answer []byte, err error) {
	answer, err = h.call(ctx, hook, body)
	t, _ := tenant.From(ctx)
	outcome := audit.Outcome{Result: audit.Success}
	if err != nil {
		outcome = audit.Outcome{Result: audit.Failure, Reason: "the hook gave no answer that can be used"}
		h.cfg.Log.WarnContext(ctx, "an inline hook failed", "hook", hook.ID, "error", err)
	}
	h.cfg.Audit.Record(audit.Event{
		Tenant: t, Type: hookExecuted, Message: "Execute inline hook", Actor: audit.Entity{ID: "system", Type: "SystemPrincipal"},
		Targets: []audit.Entity{{ID: hook.ID, Type: "InlineHook", DisplayName: hook.Name}}, Outcome: outcome,
	})
	return answer, err
}

// send asks the program once.
func (h *hooks) send(ctx context.Context, hook *access.HookView, body []byte) (a safehttp.Answer, err error) {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	for _, f := range hook.Channel.Headers {
		header.Set(f.Key, f.Value)
	}
	name, value := hook.Channel.AuthHeader, ""
	switch {
	case hook.Channel.OAuth != nil:
		name = "Authorization"
		value, err = h.tokens.authorization(ctx, hook)
	case name != "":
		value, err = h.cfg.Secrets.HookSecret(ctx, hook.ID, hook.Channel.Sealed)
	}
	if err != nil {
		return a, err
	}
	if name != "" {
		header.Set(name, value)
	}
	return h.http.PostForAnswer(ctx, hook.Channel.URI, header, body)
}

func (h *hooks) call(ctx context.Context, hook *access.HookView, body []byte) ([]byte, error) {
	select {
	case h.free <- struct{}{}:
		defer func() { <-h.free }()
	default:
		return nil, fault.New(fault.Unavailable, "%d calls of hooks are on their way already", hookCalls)
	}
	ctx, cancel := context.WithTimeout(ctx, hookTime) // with the token that may be got for it
	defer cancel()
	a, err := h.send(ctx, hook, body)
	if err == nil && a.Status == http.StatusUnauthorized && hook.Channel.OAuth != nil {
		h.tokens.forget(hook.ID) // it may have been taken back: once more with another one
		a, err = h.send(ctx, hook, body)
	}
	switch {
	case err != nil:
		return nil, err
	case a.Status == http.StatusNoContent, a.Status == http.StatusOK && len(a.Body) == 0:
		return nil, nil
	case a.Status != http.StatusOK:
		return nil, fmt.Errorf("the hook answered with status %d", a.Status)
	}
	if kind, _, err := mime.ParseMediaType(a.ContentType); err != nil || kind != "application/json" || !json.Valid(a.Body) {
		return nil, fmt.Errorf("the hook answered with %.50q, which is not JSON", a.ContentType)
	}
	return a.Body, nil
}
