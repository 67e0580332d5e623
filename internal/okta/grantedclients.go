package okta

import (
	"slices"

	"gatehouse/internal/fault"
)

// listServerClients answers with the apps that have refresh tokens of a server.
func (a *api) listServerClients(c *call) (answer, error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	ids, err := a.Grants.Clients(c.Context(), "", o.ID)
	if err != nil {
		return answer{}, err
	}
	return a.grantedClients(c, ids, func(client string) object {
		return object{"tokens": ref(a.href("authorizationServers", serverPath(o), "clients", client, "tokens"), "GET", "DELETE")}
	})
}

// listUserClients answers with the apps that have grants or refresh tokens of a user.
func (a *api) listUserClients(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	ids, err := a.Grants.Clients(c.Context(), u.ID, "")
	if err != nil {
		return answer{}, err
	}
	consents, err := a.Access.ListConsents(c.Context(), u.ID, "")
	if err != nil {
		return answer{}, err
	}
	for _, o := range consents {
		ids = append(ids, o.Value.Client)
	}
	slices.Sort(ids)
	return a.grantedClients(c, slices.Compact(ids), func(client string) object {
		at := a.href("users", u.ID, "clients", client)
		return object{"grants": object{"href": at + "/grants"}, "tokens": object{"href": at + "/tokens"}}
	})
}

// grantedClients shows apps as Okta's OAuth2Client. One that has gone meanwhile is left out.
func (a *api) grantedClients(c *call, ids []string, links func(client string) object) (answer, error) {
	out := []object{}
	for _, id := range ids {
		o, err := a.Access.AppByClient(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return answer{}, err
		}
		x := object{"client_id": id, "client_name": o.Value.Label, "client_uri": orNull(o.Value.OIDC.ClientURI), "logo_uri": orNull(o.Value.OIDC.LogoURI)}
		l := links(id)
		l["client"] = object{"href": a.URL + ClientsPath + "/" + id, "title": o.Value.Label}
		x["_links"] = l
		out = append(out, x)
	}
	return ok(out)
}
