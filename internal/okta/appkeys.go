package okta

import (
	"encoding/json"
	"net/http"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func (a *api) listAppKeys(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(o.Value.Keys))
	for i, k := range o.Value.Keys {
		out[i] = a.appKey(o.ID, k)
	}
	return ok(out)
}

func (a *api) getAppKey(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	for _, k := range o.Value.Keys {
		if keyID(k) == c.arg("keyId") {
			return ok(a.appKey(o.ID, k))
		}
	}
	return answer{}, errNoKey()
}

func errNoKey() error { return fault.New(fault.NotFound, "the app has no such key") }

// addAppKey adds a public key to those of an app.
func (a *api) addAppKey(c *call) (answer, error) {
	var raw json.RawMessage
	if err := c.read(&raw); err != nil {
		return answer{}, err
	}
	made, err := a.Access.AddAppKey(c.Context(), c.by(), c.arg("appId"), raw)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: a.appKey(c.arg("appId"), made)}, nil
}

// deleteAppKey removes an inactive public key of an app.
func (a *api) deleteAppKey(c *call) (answer, error) {
	err := a.changeKey(c, func(list []access.AppKey, i int) ([]access.AppKey, error) {
		if list[i].Status == access.Active {
			return nil, fault.New(fault.Denied, "the key is active: deactivate it first").WithReason(access.ReasonActive)
		}
		return slices.Delete(list, i, i+1), nil
	})
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateAppKey(c *call) (answer, error)   { return a.keyStatus(c, access.Active) }
func (a *api) deactivateAppKey(c *call) (answer, error) { return a.keyStatus(c, access.Inactive) }

func (a *api) keyStatus(c *call, s access.Status) (answer, error) {
	err := a.changeKey(c, func(list []access.AppKey, i int) ([]access.AppKey, error) {
		list[i].Status = s
		return list, nil
	})
	if err != nil {
		return answer{}, err
	}
	return a.getAppKey(c)
}

// changeKey changes the keys of an app at the place of the one that the path names.
func (a *api) changeKey(c *call, change func(list []access.AppKey, i int) ([]access.AppKey, error)) error {
	_, err := a.Access.ChangeApp(c.Context(), c.by(), c.arg("appId"), access.AppChange{Change: func(x *access.App) error {
		i := slices.IndexFunc(x.Keys, func(k access.AppKey) bool { return keyID(k) == c.arg("keyId") })
		if i < 0 {
			return errNoKey()
		}
		var err error
		x.Keys, err = change(x.Keys, i)
		return err
	}})
	return err
}

func (a *api) appKey(app string, k access.AppKey) object {
	out, other := jwk(k), opposite(k.Status)
	at := func(parts ...string) string {
		return a.href(append([]string{"apps", app, "credentials", "jwks", keyID(k)}, parts...)...)
	}
	links := object{"self": ref(at(), "GET"), other: ref(at("lifecycle", other), "POST")}
	if k.Status == access.Inactive {
		links["delete"] = ref(at(), "DELETE")
	}
	out["created"], out["lastUpdated"], out["_links"] = stamp(k.Created), stamp(k.Created), links
	return out
}
