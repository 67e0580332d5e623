package okta

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// serverBody is an authorization server as it is sent.
type serverBody struct {
	Name        *string  `json:"name"`
	Description *string  `json:"description"`
	Audiences   []string `json:"audiences"`
	IssuerMode  *string  `json:"issuerMode"`
	// Extension is what Okta's clients do not know, and so leave as it is.
	Extension   *access.ServerExtension `json:"gatehouse"`
	Credentials *struct {
		Signing struct {
			RotationMode string `json:"rotationMode"`
		} `json:"signing"`
	} `json:"credentials"`
}

// onto lays what was sent over a server. What Okta's clients do not know of it
// stays.
func (b *serverBody) onto(s *access.Server) error {
	if b.Name != nil {
		s.Name = *b.Name
	}
	s.Description = ""
	if b.Description != nil {
		s.Description = *b.Description
	}
	s.Audiences = b.Audiences
	if b.Extension != nil {
		s.Extension = *b.Extension
	}
	s.IssuerMode = ""
	if b.IssuerMode != nil {
		s.IssuerMode = *b.IssuerMode
	}
	if b.Credentials != nil {
		s.Credentials.Signing.RotationMode = b.Credentials.Signing.RotationMode
	}
	return nil
}

// path is how a server is addressed: a default one by its name.
func serverPath(o ledger.Object[access.Server]) string {
	if o.Value.Default {
		return o.Value.Name
	}
	return o.ID
}

func (a *api) listServers(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(c.FormValue("q"))
	p, err := a.Access.ListServers(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.Server]) bool {
		if q == "" || strings.Contains(strings.ToLower(o.Value.Name), q) {
			return true
		}
		for _, audience := range o.Value.Audiences {
			if strings.Contains(strings.ToLower(audience), q) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return answer{}, err
	}
	shown := make([]object, len(p.Items))
	for i, o := range p.Items {
		if shown[i], err = a.server(c, o); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: shown, list: true, next: p.Next}, nil
}

func (a *api) createServer(c *call) (answer, error) {
	var b serverBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var s access.Server
	_ = b.onto(&s)
	o, err := a.Access.CreateServer(c.Context(), c.by(), s)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	shown, err := a.server(c, o)
	if err != nil {
		return answer{}, err
	}
	return created(shown)
}

func (a *api) getServer(c *call) (answer, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	return a.showServer(c, o)
}

func (a *api) showServer(c *call, o ledger.Object[access.Server]) (answer, error) {
	shown, err := a.server(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(shown)
}

func (a *api) replaceServer(c *call) (answer, error) {
	var b serverBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeServer(c.Context(), c.by(), c.arg("authServerId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return a.showServer(c, o)
}

func (a *api) deleteServer(c *call) (answer, error) {
	if err := a.Access.DeleteServer(c.Context(), c.by(), c.arg("authServerId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateServer(c *call) (answer, error)   { return a.serverStatus(c, access.Active) }
func (a *api) deactivateServer(c *call) (answer, error) { return a.serverStatus(c, access.Inactive) }

func (a *api) serverStatus(c *call, s access.Status) (answer, error) {
	if err := a.Access.SetServerStatus(c.Context(), c.by(), c.arg("authServerId"), s); err != nil {
		return answer{}, err
	}
	return nothing()
}

// server shows an authorization server.
func (a *api) server(c *call, o ledger.Object[access.Server]) (object, error) {
	s, path := o.Value, serverPath(o)
	signing := object{"rotationMode": s.Credentials.Signing.RotationMode}
	view, err := a.Access.ServerView(c.Context(), o.ID)
	if err != nil {
		return nil, err
	}
	list, _, err := a.Keys.SigningKeys(c.Context(), view)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		switch k.State {
		case keys.Active:
			signing["kid"], signing["lastRotated"] = k.ID, stamp(k.Activates)
			if s.Credentials.Signing.RotationMode == access.RotationAuto {
				signing["nextRotation"] = stamp(k.Activates.Add(rotation))
			}
		case keys.Next:
			if s.Credentials.Signing.RotationMode == access.RotationAuto && !k.Activates.IsZero() {
				signing["nextRotation"] = stamp(k.Activates)
			}
		case keys.Expired, keys.Revoked:
		}
	}
	at := func(parts ...string) string {
		return a.href(append([]string{"authorizationServers", path}, parts...)...)
	}
	lifecycle, word := "deactivate", s.Status == access.Active
	if !word {
		lifecycle = "activate"
	}
	metadata := func(name string) object {
		o := ref(view.Issuer(a.URL)+"/.well-known/"+name, "GET")
		o["name"] = name
		return o
	}
	out := object{
		"id": o.ID, "name": s.Name, "description": orNull(s.Description), "audiences": orEmpty(s.Audiences),
		"issuer": view.Issuer(a.URL), "issuerMode": s.IssuerMode, "status": s.Status, "default": s.Default,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"credentials": object{"signing": signing},
		"_links": object{
			"rotateKey": ref(at("credentials", "lifecycle", "keyRotate"), "POST"),
			"metadata":  []object{metadata("oauth-authorization-server"), metadata("openid-configuration")},
			"keys":      ref(at("credentials", "keys"), "GET"),
			"claims":    ref(at("claims"), "GET", "POST"),
			"policies":  ref(at("policies"), "GET", "POST"),
			"scopes":    ref(at("scopes"), "GET", "POST"),
			"self":      ref(at(), "GET", "DELETE", "PUT"),
			lifecycle:   ref(at("lifecycle", lifecycle), "POST"),
		},
	}
	if !reflect.ValueOf(s.Extension).IsZero() {
		out["gatehouse"] = s.Extension
	}
	return out, nil
}

// rotation is how long a key signs where keys are rotated automatically and the
// next one is not made yet.
const rotation = 90 * 24 * time.Hour

func (a *api) listKeys(c *call) (answer, error) {
	all, err := a.publicKeys(c)
	if err != nil {
		return answer{}, err
	}
	return ok(orEmpty(all))
}

func (a *api) getKey(c *call) (answer, error) {
	all, err := a.publicKeys(c)
	if err != nil {
		return answer{}, err
	}
	for _, k := range all {
		if k["kid"] == c.arg("keyId") {
			return ok(k)
		}
	}
	return answer{}, fault.New(fault.NotFound, "the authorization server has no such key")
}

func (a *api) rotateKeys(c *call) (answer, error) {
	var b struct {
		Use string `json:"use"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if b.Use != "sig" {
		return answer{}, fault.New(fault.Invalid, "use").WithFields(fault.Field{Path: "use", Message: "must be sig"})
	}
	if err := a.Access.RotateKeys(c.Context(), c.by(), c.arg("authServerId")); err != nil {
		return answer{}, err
	}
	return a.listKeys(c)
}

// publicKeys shows the public keys of a server with their states.
func (a *api) publicKeys(c *call) ([]object, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return nil, err
	}
	view, err := a.Access.ServerView(c.Context(), o.ID)
	if err != nil {
		return nil, err
	}
	infos, jwks, err := a.Keys.SigningKeys(c.Context(), view)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []object `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	states := map[any]keys.State{}
	for _, k := range infos {
		states[k.ID] = k.State
	}
	for _, k := range set.Keys {
		kid, _ := k["kid"].(string)
		k["status"] = states[kid]
		k["_links"] = object{"self": ref(a.href("authorizationServers", serverPath(o), "credentials", "keys", kid), "GET")}
	}
	return set.Keys, nil
}
