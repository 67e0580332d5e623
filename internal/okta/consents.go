package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// userConsents returns what the user of the path has agreed to, for the client of
// the path if it names one.
func (a *api) userConsents(c *call) ([]ledger.Object[access.UserConsent], error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return nil, err
	}
	app := ""
	if client := c.arg("clientId"); client != "" {
		o, err := a.Access.AppByClient(c.Context(), client)
		if err != nil {
			return nil, err
		}
		app = o.ID
	}
	return a.Access.ListConsents(c.Context(), u.ID, app)
}

// listUserConsents answers with one page: a person has few.
func (a *api) listUserConsents(c *call) (answer, error) {
	list, err := a.userConsents(c)
	if err != nil {
		return answer{}, err
	}
	return page(list, "", a.userConsent)
}

func (a *api) getUserConsent(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	o, err := a.Access.FindConsent(c.Context(), u.ID, c.arg("grantId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.userConsent(o))
}

// withdrawUserConsents takes back what the path names: everything of the user, what
// is for one client, or one scope. What was granted on its strength ends with it.
func (a *api) withdrawUserConsents(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	w := access.Withdrawal{User: u.ID, Client: c.arg("clientId"), Consent: c.arg("grantId")}
	if w.Consent != "" {
		if _, err := a.Access.FindConsent(c.Context(), u.ID, w.Consent); err != nil {
			return answer{}, err
		}
	}
	gone, err := a.Access.Withdraw(c.Context(), c.by(), w)
	if err != nil {
		return answer{}, err
	}
	ended := map[string]bool{}
	for _, o := range gone {
		if client := o.Value.Client; !ended[client] {
			if err := a.Sessions.RevokeGrants(c.Context(), u.ID, client); err != nil {
				return answer{}, err
			}
			ended[client] = true
		}
	}
	return nothing()
}

// userConsent is Okta's OAuth2ScopeConsentGrant.
func (a *api) userConsent(o ledger.Object[access.UserConsent]) object {
	v := o.Value
	issuer := a.URL
	if v.Path != "" {
		issuer += "/oauth2/" + v.Path
	}
	return object{
		"id": o.ID, "status": "ACTIVE", "created": stamp(o.Created), "createdBy": object{"id": v.User, "type": "User"},
		"lastUpdated": stamp(o.Updated), "issuer": issuer, "clientId": v.Client, "userId": v.User, "scopeId": v.Scope, "source": v.Source,
		"_links": object{
			"self": ref(a.href("users", v.User, "grants", o.ID), "GET", "DELETE"),
			"app":  object{"href": a.href("apps", v.App)}, "client": object{"href": a.URL + "/oauth2/v1/clients/" + v.Client},
			"scope": object{"href": a.href("authorizationServers", v.Server, "scopes", v.Scope), "title": v.Name},
			"user":  object{"href": a.href("users", v.User)}, "authorizationServer": object{"href": a.href("authorizationServers", v.Server)},
		},
	}
}
