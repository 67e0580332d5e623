package okta

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// listAssociated answers the servers that a server trusts, or, with trusted=false,
// those that it does not.
func (a *api) listAssociated(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	want, q := c.FormValue("trusted") != "false", strings.ToLower(c.FormValue("q"))
	p, err := a.Access.ListServers(c.Context(), c.FormValue("after"), limit, func(s ledger.Object[access.Server]) bool {
		named := strings.Contains(strings.ToLower(s.Value.Name), q) ||
			slices.ContainsFunc(s.Value.Audiences, func(x string) bool { return strings.Contains(strings.ToLower(x), q) })
		return s.ID != o.ID && named && slices.Contains(o.Value.Associated, s.ID) == want
	})
	if err != nil {
		return answer{}, err
	}
	return a.showServers(c, p.Items, p.Next)
}

func (a *api) showServers(c *call, list []ledger.Object[access.Server], next string) (answer, error) {
	out := make([]object, len(list))
	for i, s := range list {
		var err error
		if out[i], err = a.server(c, s); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: out, list: true, next: next}, nil
}

func (a *api) associate(c *call) (answer, error) {
	var b struct {
		Trusted []string `json:"trusted"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if err := a.Access.Associate(c.Context(), c.by(), c.arg("authServerId"), b.Trusted, nil); err != nil {
		return answer{}, err
	}
	var list []ledger.Object[access.Server]
	for _, id := range b.Trusted {
		o, err := a.Access.FindServer(c.Context(), id)
		if err != nil {
			return answer{}, err
		}
		list = append(list, o)
	}
	return a.showServers(c, list, "")
}

func (a *api) dissociate(c *call) (answer, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	id := c.arg("associatedServerId")
	if !slices.Contains(o.Value.Associated, id) {
		return answer{}, fault.New(fault.NotFound, "the server is not associated with %s", id)
	}
	if err := a.Access.Associate(c.Context(), c.by(), o.ID, nil, []string{id}); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) listServerKeys(c *call) (answer, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	return page(o.Value.EncryptionKeys, "", func(k access.ServerKey) object { return a.serverKey(c, k) })
}

func (a *api) addServerKey(c *call) (answer, error) {
	var b json.RawMessage
	raw, err := c.body()
	if err != nil {
		return answer{}, err
	}
	if err := decode(raw, &b); err != nil {
		return answer{}, err
	}
	var asked struct {
		Status access.Status `json:"status"`
	}
	if err := decode(raw, &asked); err != nil {
		return answer{}, err
	}
	if asked.Status == access.Active {
		return answer{}, unsupported("status", "cannot be ACTIVE yet: add the key, then activate it")
	}
	k, err := a.Access.AddServerKey(c.Context(), c.by(), c.arg("authServerId"), b)
	if err != nil {
		return answer{}, err
	}
	return created(a.serverKey(c, k))
}

func (a *api) getServerKey(c *call) (answer, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	k, err := o.Value.ServerKey(c.arg("keyId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.serverKey(c, k))
}

func (a *api) deleteServerKey(c *call) (answer, error) {
	if err := a.Access.DeleteServerKey(c.Context(), c.by(), c.arg("authServerId"), c.arg("keyId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateServerKey(c *call) (answer, error) {
	return a.serverKeyStatus(c, access.Active)
}

func (a *api) deactivateServerKey(c *call) (answer, error) {
	return a.serverKeyStatus(c, access.Inactive)
}

func (a *api) serverKeyStatus(c *call, s access.Status) (answer, error) {
	k, err := a.Access.SetServerKeyStatus(c.Context(), c.by(), c.arg("authServerId"), c.arg("keyId"), s)
	if err != nil {
		return answer{}, err
	}
	return ok(a.serverKey(c, k))
}

func (a *api) serverKey(c *call, k access.ServerKey) object {
	out, other := object{}, opposite(k.Status)
	_ = json.Unmarshal(k.JWK, &out) // it was made by the service
	at := func(parts ...string) string {
		return a.href(append([]string{"authorizationServers", c.arg("authServerId"), "resourceservercredentials", "keys", k.ID}, parts...)...)
	}
	out["id"], out["use"], out["status"] = k.ID, "enc", k.Status
	out["created"], out["lastUpdated"] = stamp(k.Created), stamp(k.Updated)
	links := object{"self": ref(at(), "GET"), other: ref(at("lifecycle", other), "POST")}
	if k.Status == access.Inactive {
		links["delete"] = ref(at(), "DELETE")
	}
	out["_links"] = links
	return out
}
