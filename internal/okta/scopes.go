package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// scopeBody is a scope as it is sent.
type scopeBody struct {
	Name            *string        `json:"name"`
	DisplayName     string         `json:"displayName"`
	Description     string         `json:"description"`
	Consent         access.Consent `json:"consent"`
	MetadataPublish string         `json:"metadataPublish"`
	Default         bool           `json:"default"`
	Optional        bool           `json:"optional"`
}

func (b *scopeBody) onto(s *access.Scope) error {
	if b.Name != nil {
		s.Name = *b.Name
	}
	s.DisplayName, s.Description, s.Consent, s.MetadataPublish = b.DisplayName, b.Description, b.Consent, b.MetadataPublish
	s.Default, s.Optional = b.Default, b.Optional
	return nil
}

func (a *api) listScopes(c *call) (answer, error) {
	all, err := a.Access.ListScopes(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	return page(all, "", func(o ledger.Object[access.Scope]) object { return a.scope(c, o) })
}

func (a *api) createScope(c *call) (answer, error) {
	var b scopeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var s access.Scope
	_ = b.onto(&s)
	o, err := a.Access.AddScope(c.Context(), c.by(), c.arg("authServerId"), s)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return created(a.scope(c, o))
}

func (a *api) getScope(c *call) (answer, error) {
	o, err := a.Access.FindScope(c.Context(), c.arg("authServerId"), c.arg("scopeId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.scope(c, o))
}

func (a *api) replaceScope(c *call) (answer, error) {
	var b scopeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeScope(c.Context(), c.by(), c.arg("authServerId"), c.arg("scopeId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.scope(c, o))
}

func (a *api) deleteScope(c *call) (answer, error) {
	if err := a.Access.DeleteScope(c.Context(), c.by(), c.arg("authServerId"), c.arg("scopeId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) scope(c *call, o ledger.Object[access.Scope]) object {
	s := o.Value
	return object{
		"id": o.ID, "name": s.Name, "displayName": s.DisplayName, "description": s.Description, "system": s.System,
		"metadataPublish": s.MetadataPublish, "consent": s.Consent, "optional": s.Optional, "apiResourceId": nil, "default": s.Default,
		"_links": object{"self": ref(a.href("authorizationServers", c.arg("authServerId"), "scopes", o.ID), "GET", "PUT", "DELETE")},
	}
}
