package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// claimBody is a claim as it is sent.
type claimBody struct {
	Name        string        `json:"name"`
	Status      access.Status `json:"status"`
	ClaimType   string        `json:"claimType"`
	ValueType   string        `json:"valueType"`
	Value       string        `json:"value"`
	GroupFilter string        `json:"group_filter_type"`
	Always      bool          `json:"alwaysIncludeInToken"`
	Conditions  struct {
		Scopes []string `json:"scopes"`
	} `json:"conditions"`
}

func (b *claimBody) onto(x *access.Claim) error {
	x.Name, x.Status, x.ClaimType, x.ValueType, x.Value = b.Name, b.Status, b.ClaimType, b.ValueType, b.Value
	x.GroupFilter, x.AlwaysInclude, x.Scopes = b.GroupFilter, b.Always, b.Conditions.Scopes
	return nil
}

func (a *api) listClaims(c *call) (answer, error) {
	all, err := a.Access.ListClaims(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	return page(all, "", func(o ledger.Object[access.Claim]) object { return a.claim(c, o) })
}

func (a *api) createClaim(c *call) (answer, error) {
	var b claimBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var x access.Claim
	_ = b.onto(&x)
	o, err := a.Access.AddClaim(c.Context(), c.by(), c.arg("authServerId"), x)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return created(a.claim(c, o))
}

func (a *api) getClaim(c *call) (answer, error) {
	o, err := a.Access.FindClaim(c.Context(), c.arg("authServerId"), c.arg("claimId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.claim(c, o))
}

func (a *api) replaceClaim(c *call) (answer, error) {
	var b claimBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeClaim(c.Context(), c.by(), c.arg("authServerId"), c.arg("claimId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.claim(c, o))
}

func (a *api) deleteClaim(c *call) (answer, error) {
	if err := a.Access.DeleteClaim(c.Context(), c.by(), c.arg("authServerId"), c.arg("claimId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) claim(c *call, o ledger.Object[access.Claim]) object {
	x := o.Value
	shown := object{
		"id": o.ID, "name": x.Name, "status": x.Status, "claimType": x.ClaimType, "valueType": x.ValueType,
		"conditions": object{"scopes": orEmpty(x.Scopes)}, "system": x.System, "alwaysIncludeInToken": x.AlwaysInclude, "apiResourceId": nil,
		"_links": object{"self": ref(a.href("authorizationServers", c.arg("authServerId"), "claims", o.ID), "GET", "PUT", "DELETE")},
	}
	if x.ValueType != access.ValueSystem {
		shown["value"] = x.Value
	}
	if x.GroupFilter != "" {
		shown["group_filter_type"] = x.GroupFilter
	}
	return shown
}
