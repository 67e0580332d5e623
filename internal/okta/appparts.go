package okta

import (
	"gatehouse/internal/access"
)

// groupsClaimBody is the groups claim of the ID tokens of an app, as Terraform
// sends it to an address that Okta does not document.
type groupsClaimBody struct {
	ValueType string `json:"valueType"`
	Name      string `json:"name"`
	Value     string `json:"value"`
	Filter    string `json:"filterType"`
	Mode      string `json:"issuerMode"`
}

func (a *api) getGroupsClaim(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	out := groupsClaim(o.Value)
	out["issuer"], out["audience"] = a.URL, o.Value.Client(o.ID)
	return ok(out)
}

func (a *api) setGroupsClaim(c *call) (answer, error) {
	var b groupsClaimBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeApp(c.Context(), c.by(), c.arg("appId"), access.AppChange{Change: func(x *access.App) error {
		if b.Mode != "" {
			x.OIDC.IssuerMode = b.Mode
		}
		x.OIDC.GroupsClaim = nil
		if b.Name != "" {
			x.OIDC.GroupsClaim = &access.GroupsClaim{ValueType: b.ValueType, Name: b.Name, Value: b.Value, Filter: b.Filter}
		}
		return nil
	}})
	if err != nil {
		return answer{}, err
	}
	return ok(groupsClaim(o.Value))
}

func groupsClaim(x access.App) object {
	mode := x.OIDC.IssuerMode
	if mode == "" {
		mode = access.IssuerOrgURL
	}
	out := object{"issuer": nil, "orgUrl": nil, "customUrl": nil, "audience": nil, "issuerMode": mode}
	if g := x.OIDC.GroupsClaim; g != nil {
		out["valueType"], out["name"], out["value"] = g.ValueType, g.Name, g.Value
		if g.Filter != "" {
			out["filterType"] = g.Filter
		}
	}
	return out
}
