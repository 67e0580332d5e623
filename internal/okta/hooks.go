package okta

import (
	"context"
	"encoding/json"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// Hooks calls inline hooks.
type Hooks interface {
	Call(ctx context.Context, h *access.HookView, body []byte) ([]byte, error)
}

// hookBody is an inline hook as it is sent. Its status is changed by its life cycle
// alone, whatever a body says: so does Okta.
type hookBody struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Version string `json:"version"`
	Channel *struct {
		Type    string `json:"type"`
		Version string `json:"version"`
		Config  struct {
			URI     string              `json:"uri"`
			Method  string              `json:"method"`
			Headers []access.HookHeader `json:"headers"`
			Auth    *hookAuth           `json:"authScheme"`
			Failure *string             `json:"failureMode"` // ours
			// Of a channel of the type OAUTH:
			Proof    string `json:"authType"`
			Client   string `json:"clientId"`
			Secret   string `json:"clientSecret"`
			Scope    string `json:"scope"`
			TokenURL string `json:"tokenUrl"`
			Key      string `json:"hookKeyId"`
		} `json:"config"`
	} `json:"channel"`
}

// hookAuth is the header by which a hook knows who calls.
type hookAuth struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

// onto lays what was sent over a hook. In a part, what is not sent stays.
func (b *hookBody) onto(h *access.InlineHook, part bool) error {
	for _, f := range []struct {
		to   *string
		sent string
	}{{&h.Name, b.Name}, {&h.Type, b.Type}, {&h.Version, b.Version}} {
		if f.sent != "" || !part {
			*f.to = f.sent
		}
	}
	if b.Channel == nil {
		if part {
			return nil
		}
		return unsupported("channel", "is missing: say where the hook is")
	}
	c := &b.Channel.Config
	switch {
	case b.Channel.Type != "" && b.Channel.Type != hookHTTP && b.Channel.Type != hookOAuth:
		return unsupported("channel.type", "must be HTTP or OAUTH")
	case c.Method != "" && c.Method != http.MethodPost:
		return unsupported("channel.config.method", "must be POST")
	case c.Auth != nil && c.Auth.Type != "" && c.Auth.Type != "HEADER":
		return unsupported("channel.config.authScheme.type", "must be HEADER")
	}
	sealed := h.Channel.Sealed
	h.Channel = access.HookChannel{Version: b.Channel.Version, URI: c.URI, Headers: c.Headers, Sealed: sealed}
	if c.Auth != nil {
		h.Channel.AuthHeader = c.Auth.Key
	}
	if b.Channel.Type == hookOAuth {
		h.Channel.OAuth = &access.HookOAuth{Method: c.Proof, Client: c.Client, Scope: c.Scope, URL: c.TokenURL, Key: c.Key}
	}
	if c.Failure != nil {
		h.Failure = *c.Failure
	}
	return nil
}

// The types of channels: with a header that does not change, and with a token that is got
// for it.
const (
	hookHTTP  = "HTTP"
	hookOAuth = "OAUTH"
)

// secret returns what was sent to be sealed.
func (b *hookBody) secret() string {
	switch {
	case b.Channel == nil:
		return ""
	case b.Channel.Type == hookOAuth:
		return b.Channel.Config.Secret
	case b.Channel.Config.Auth == nil:
		return ""
	}
	return b.Channel.Config.Auth.Value
}

// listHooks answers all hooks, or those of a type.
func (a *api) listHooks(c *call) (answer, error) {
	kind := c.FormValue("type")
	p, err := a.Access.ListHooks(c.Context(), c.FormValue("after"), 200, func(o ledger.Object[access.InlineHook]) bool {
		return kind == "" || o.Value.Type == kind
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.hook)
}

func (a *api) createHook(c *call) (answer, error) {
	var b hookBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var h access.InlineHook
	if err := b.onto(&h, false); err != nil {
		return answer{}, err
	}
	o, err := a.Access.CreateHook(c.Context(), c.by(), h, b.secret())
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.hook(o))
}

func (a *api) getHook(c *call) (answer, error) {
	o, err := a.Access.FindHook(c.Context(), c.arg("inlineHookId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.hook(o))
}

func (a *api) replaceHook(c *call) (answer, error) { return a.changeHook(c, false) }
func (a *api) updateHook(c *call) (answer, error)  { return a.changeHook(c, true) }

func (a *api) changeHook(c *call, part bool) (answer, error) {
	var b hookBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeHook(c.Context(), c.by(), c.arg("inlineHookId"), b.secret(), func(h *access.InlineHook) error { return b.onto(h, part) })
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.hook(o))
}

func (a *api) deleteHook(c *call) (answer, error) {
	if err := a.Access.DeleteHook(c.Context(), c.by(), c.arg("inlineHookId")); err != nil {
		return answer{}, inUse(err)
	}
	return nothing()
}

func (a *api) activateHook(c *call) (answer, error)   { return a.hookStatus(c, access.Active) }
func (a *api) deactivateHook(c *call) (answer, error) { return a.hookStatus(c, access.Inactive) }

func (a *api) hookStatus(c *call, s access.Status) (answer, error) {
	o, err := a.Access.ChangeHook(c.Context(), c.by(), c.arg("inlineHookId"), "", func(h *access.InlineHook) error {
		h.Status = s
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return ok(a.hook(o))
}

// executeHook sends the body to an active hook and answers what it answers.
func (a *api) executeHook(c *call) (answer, error) {
	o, err := a.Access.FindHook(c.Context(), c.arg("inlineHookId"))
	if err != nil {
		return answer{}, err
	}
	if o.Value.Status != access.Active {
		return answer{}, unsupported("status", "is INACTIVE: activate the inline hook first")
	}
	raw, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var sent any
	if err := decode(raw, &sent); err != nil {
		return answer{}, err
	}
	got, err := a.Hooks.Call(c.Context(), &access.HookView{ID: o.ID, InlineHook: o.Value}, raw)
	if err != nil {
		// Who may manage hooks is told that it did not work, and not what the address said.
		return answer{}, unsupported("channel.config.uri", "gave no answer that can be used; the system log has the call")
	}
	var out any = object{}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &out); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: out}, nil
}

// hook shows an inline hook; the value of its authorization header, and its client
// secret, are never shown.
func (a *api) hook(o ledger.Object[access.InlineHook]) object {
	h, other := o.Value, opposite(o.Value.Status)
	at := func(parts ...string) string { return a.href(append([]string{"inlineHooks", o.ID}, parts...)...) }
	config := object{"uri": h.Channel.URI, "headers": orEmpty(h.Channel.Headers), "method": http.MethodPost, "authScheme": nil, "failureMode": h.Failure}
	kind := hookHTTP
	if o := h.Channel.OAuth; o != nil {
		kind = hookOAuth
		config["authType"], config["clientId"], config["scope"], config["tokenUrl"] = o.Method, o.Client, o.Scope, o.URL
		if o.Key != "" {
			config["hookKeyId"] = o.Key
		}
	}
	if h.Channel.AuthHeader != "" {
		config["authScheme"] = object{"type": "HEADER", "key": h.Channel.AuthHeader}
	}
	links := object{"self": ref(at(), "GET", "PUT", "DELETE"), other: ref(at("lifecycle", other), "POST")}
	if h.Status == access.Active {
		links["execute"] = ref(at("execute"), "POST")
	} else {
		links["delete"] = ref(at(), "DELETE")
	}
	return object{
		"id": o.ID, "status": h.Status, "name": h.Name, "type": h.Type, "version": h.Version, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"channel": object{"type": kind, "version": h.Channel.Version, "config": config}, "_links": links,
	}
}
