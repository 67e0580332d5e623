package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// Hooks asks programs outside.
type Hooks interface {
	// Call sends the body to the hook and returns its answer; nil when it has none. It
	// takes some seconds at most.
	Call(ctx context.Context, h *access.HookView, body []byte) ([]byte, error)
}

// The bounds of the lifetime that a hook may choose: Okta's.
const (
	minHookLifetime = 5 * time.Minute
	maxHookLifetime = 24 * time.Hour
)

// hookAnswer is what a token hook answers (Okta's com.okta.oauth2.tokens.transform).
type hookAnswer struct {
	Commands []struct {
		Type  string   `json:"type"`
		Value []hookOp `json:"value"`
	} `json:"commands"`
	Error *struct {
		Summary string `json:"errorSummary"`
	} `json:"error"`
}

// hookOp changes one claim, or the lifetime (RFC 6902, as far as Okta has it).
type hookOp struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// transform asks the hook of the rule that decided, and keeps what it changes for the
// signature of both tokens. A hook that says no is a refusal. One that gives no answer
// that can be used is one too, unless it is set to go on without.
func (m *Minter) transform(ctx context.Context, t *Target, dec *access.Decision, grantType string, d *draft, id *idToken) error {
	h := dec.Hook
	if h == nil {
		return nil
	}
	was := d.lifetime
	err := m.askHook(ctx, t, dec, grantType, d, id)
	var no hookRefusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return Refuse("inline_hook_refused", nil, no.text())
	case h.Failure == access.HookContinue:
		d.ops, d.lifetime = nil, was
		if id != nil {
			id.ops, id.lifetime = nil, 0
		}
		return nil
	}
	return Refuse("temporarily_unavailable", err)
}

// hookRefusal is the text of a hook that said no.
type hookRefusal string

// Error implements error.
func (r hookRefusal) Error() string { return "the hook refuses: " + string(r) }

// text is what the client is told: short, and of characters that RFC 6749 section 5.2
// allows.
func (r hookRefusal) text() string {
	const most = 200
	s := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, string(r))
	if s == "" {
		s = "The request is refused."
	}
	return s[:min(len(s), most)]
}

func (m *Minter) askHook(ctx context.Context, t *Target, dec *access.Decision, grantType string, d *draft, id *idToken) error {
	if m.hooks == nil {
		return errors.New("no hooks can be called here")
	}
	_, accessClaims, _, err := m.compose(t, d)
	if err != nil {
		return err
	}
	var idClaims []byte
	if id != nil {
		if idClaims, err = m.composeID(t, id); err != nil {
			return err
		}
	}
	body, err := json.Marshal(hookQuestion(t, dec, grantType, d, accessClaims, idClaims, m.now()))
	if err != nil {
		return err
	}
	raw, err := m.hooks.Call(tenant.With(ctx, t.Tenant), dec.Hook, body)
	if err != nil || len(bytes.TrimSpace(raw)) == 0 {
		return err // an empty answer changes nothing
	}
	var a hookAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("the answer of the hook is not the JSON that it should be: %w", err)
	}
	if a.Error != nil {
		return hookRefusal(a.Error.Summary)
	}
	for _, c := range a.Commands {
		switch {
		case c.Type == "com.okta.access.patch":
			d.ops = append(d.ops, c.Value...)
		case c.Type == "com.okta.identity.patch" && id != nil:
			id.ops = append(id.ops, c.Value...)
		case c.Type == "com.okta.identity.patch": // there is no such token
		default:
			return fmt.Errorf("the hook gives a command that is not known: %.100q", c.Type)
		}
	}
	// What cannot be done is found before anything is signed.
	if _, err = patched(accessClaims, d.ops, &d.lifetime); err == nil && id != nil {
		_, err = patched(idClaims, id.ops, &id.lifetime)
	}
	return err
}

// hookQuestion is what a token hook is asked, in Okta's shape.
func hookQuestion(t *Target, dec *access.Decision, grantType string, d *draft, accessClaims, idClaims []byte, now time.Time) map[string]any {
	type object = map[string]any
	scopes := object{}
	for _, s := range d.scopes {
		scopes[s] = object{"action": "GRANT"}
	}
	context := object{
		"protocol": object{
			"type": "OAUTH2.0", "request": object{"scope": strings.Join(d.scopes, " "), "client_id": d.app.ID, "grant_type": grantType},
			"issuer": object{"uri": t.Issuer()}, "client": object{"id": d.app.ID, "name": d.app.Label, "type": clientType(d.app)},
		},
		"policy": object{"id": dec.Policy, "rule": object{"id": dec.Rule}},
	}
	if p := d.who.person; p != nil {
		u := p.User.Profile
		context["user"] = object{"id": p.ID, "profile": object{"login": u.Login, "firstName": u.FirstName, "lastName": u.LastName, "email": u.Email}}
	}
	if d.session != "" {
		context["session"] = object{"id": d.session}
	}
	data := object{
		"context": context,
		"access":  object{"claims": json.RawMessage(accessClaims), "token": lifetimeOf(d.lifetime), "scopes": scopes},
	}
	if idClaims != nil {
		data["identity"] = object{"claims": json.RawMessage(idClaims), "token": lifetimeOf(idTokenLifetime)}
	}
	return object{
		"eventId": keys.ID("evt"), "eventTime": now.UTC().Format("2006-01-02T15:04:05.000Z"), "eventType": access.HookTokens, "eventTypeVersion": "1.0",
		"contentType": "application/json", "cloudEventVersion": "0.1", "source": t.Server.Endpoint(t.URL, "token"), "data": data,
	}
}

func lifetimeOf(d time.Duration) map[string]any {
	return map[string]any{"lifetime": map[string]any{"expiration": int64(d / time.Second)}}
}

func clientType(app *access.AppView) string {
	if app.Public() {
		return "PUBLIC"
	}
	return "CONFIDENTIAL"
}

// maxHookOps bounds what a hook may change of one token.
const maxHookOps = 200

// patched applies the operations to claims. A lifetime that they choose is written to
// lifetime; exp is changed with it when the claims are made.
func patched(claims []byte, ops []hookOp, lifetime *time.Duration) ([]byte, error) {
	if len(ops) == 0 {
		return claims, nil
	}
	if len(ops) > maxHookOps {
		return nil, errors.New("the hook changes too much")
	}
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(claims))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		return nil, err
	}
	for _, op := range ops {
		if op.Path == "/token/lifetime/expiration" {
			var seconds int64
			if err := json.Unmarshal(op.Value, &seconds); err != nil || op.Op != "replace" {
				return nil, errors.New("the hook can replace the lifetime by a number of seconds")
			}
			*lifetime = time.Duration(seconds) * time.Second
			if *lifetime < minHookLifetime || *lifetime > maxHookLifetime {
				return nil, fmt.Errorf("the hook wants a lifetime of %v; it can be from %v to %v", *lifetime, minHookLifetime, maxHookLifetime)
			}
			continue
		}
		if err := op.apply(all); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

// apply changes one claim, or a member of one that is an object. What the protocol
// says is not for hooks to change: who issued the token, for whom, for what.
func (op *hookOp) apply(all map[string]any) error {
	path, ok := strings.CutPrefix(op.Path, "/claims/")
	steps := strings.Split(path, "/")
	for i := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i])
	}
	if !ok || steps[0] == "" || len(path) > 1024 || access.ProtocolClaim(steps[0]) {
		return fmt.Errorf("the hook cannot change %.100q", op.Path)
	}
	at := all
	for _, s := range steps[:len(steps)-1] {
		if at, ok = at[s].(map[string]any); !ok {
			return fmt.Errorf("the hook changes %.100q, and there is no such object", op.Path)
		}
	}
	last := steps[len(steps)-1]
	_, there := at[last]
	if op.Op == "remove" && there {
		delete(at, last)
		return nil
	}
	if op.Op != "add" && (op.Op != "replace" || !there) {
		return fmt.Errorf("the hook cannot %.20q %.100q", op.Op, op.Path)
	}
	dec := json.NewDecoder(bytes.NewReader(op.Value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("the hook gives no value for %.100q: %w", op.Path, err)
	}
	at[last] = v
	return nil
}
