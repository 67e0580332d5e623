package okta

import (
	"encoding/json"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// The types of access policies and their rules.
const (
	policyType = "OAUTH_AUTHORIZATION_POLICY"
	ruleType   = "RESOURCE_ACCESS"
)

// policyBody is an access policy as it is sent.
type policyBody struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Status      access.Status `json:"status"`
	Priority    int           `json:"priority"`
	Conditions  *struct {
		Clients *access.Selection `json:"clients"`
	} `json:"conditions"`
}

// onto lays what was sent over a policy; conditions that were not sent stay.
func (b *policyBody) onto(p *access.Policy) error {
	p.Name, p.Description, p.Priority = b.Name, b.Description, b.Priority
	if b.Status != "" {
		p.Status = b.Status
	}
	if b.Conditions != nil && b.Conditions.Clients != nil {
		p.Conditions.Clients = *b.Conditions.Clients
	}
	return nil
}

func (a *api) listPolicies(c *call) (answer, error) {
	all, err := a.Access.ListPolicies(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(all))
	for i, o := range all {
		if out[i], err = a.policy(c, o); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: out, list: true}, nil
}

func (a *api) createPolicy(c *call) (answer, error) {
	var b policyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	server, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return answer{}, err
	}
	p := access.Policy{Server: server.ID}
	_ = b.onto(&p)
	id, err := a.Access.CreatePolicy(c.Context(), c.by(), p)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	o, err := a.Access.FindPolicy(c.Context(), server.ID, id)
	if err != nil {
		return answer{}, err
	}
	out, err := a.policy(c, o)
	if err != nil {
		return answer{}, err
	}
	return created(out)
}

func (a *api) getPolicy(c *call) (answer, error) {
	o, err := a.Access.FindPolicy(c.Context(), c.arg("authServerId"), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	return a.showPolicy(c, o)
}

func (a *api) replacePolicy(c *call) (answer, error) {
	var b policyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangePolicy(c.Context(), c.by(), c.arg("authServerId"), c.arg("policyId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return a.showPolicy(c, o)
}

func (a *api) deletePolicy(c *call) (answer, error) {
	if err := a.Access.DeletePolicy(c.Context(), c.by(), c.arg("authServerId"), c.arg("policyId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activatePolicy(c *call) (answer, error)   { return a.policyStatus(c, access.Active) }
func (a *api) deactivatePolicy(c *call) (answer, error) { return a.policyStatus(c, access.Inactive) }

func (a *api) policyStatus(c *call, s access.Status) (answer, error) {
	o, err := a.Access.FindPolicy(c.Context(), c.arg("authServerId"), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	if err := a.Access.SetPolicyStatus(c.Context(), c.by(), o.ID, s); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) showPolicy(c *call, o ledger.Object[access.Policy]) (answer, error) {
	out, err := a.policy(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// policy shows a policy, with its apps by their client ids.
func (a *api) policy(c *call, o ledger.Object[access.Policy]) (object, error) {
	p := o.Value
	clients, err := a.Access.ClientIDs(c.Context(), orEmpty(p.Conditions.Clients.Include))
	if err != nil {
		return nil, err
	}
	at := func(parts ...string) string {
		return a.href(append([]string{"authorizationServers", c.arg("authServerId"), "policies", o.ID}, parts...)...)
	}
	other := opposite(p.Status)
	return object{
		"id": o.ID, "type": policyType, "status": p.Status, "name": p.Name, "description": orNull(p.Description),
		"priority": p.Priority, "system": p.System, "conditions": object{"clients": object{"include": clients}},
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"_links": object{
			"self":  ref(at(), "GET", "PUT", "DELETE"),
			"rules": ref(at("rules"), "GET"),
			other:   ref(at("lifecycle", other), "POST"),
		},
	}, nil
}

// opposite is the transition that the status leaves open.
func opposite(s access.Status) string {
	if s == access.Active {
		return "deactivate"
	}
	return "activate"
}

// ruleBody is an access rule as it is sent.
type ruleBody struct {
	Name       string        `json:"name"`
	Status     access.Status `json:"status"`
	Priority   int           `json:"priority"`
	Conditions struct {
		People     *access.People    `json:"people"`
		GrantTypes *access.Selection `json:"grantTypes"`
		Scopes     *access.Selection `json:"scopes"`
		// Network is ours, in the shape that Okta's sign-on rules have. A null takes it
		// out; a body without it, as a client of Okta's sends, leaves it.
		Network   json.RawMessage `json:"network"`
		RiskScore json.RawMessage `json:"riskScore"` // the same
		Device    json.RawMessage `json:"device"`    // the same
		// What nothing here asks would not be enforced.
		Risk     json.RawMessage `json:"risk"`
		Platform json.RawMessage `json:"platform"`
	} `json:"conditions"`
	Actions struct {
		Token struct {
			Access     int `json:"accessTokenLifetimeMinutes"`
			Refresh    int `json:"refreshTokenLifetimeMinutes"`
			Window     int `json:"refreshTokenWindowMinutes"`
			InlineHook *struct {
				ID string `json:"id"`
			} `json:"inlineHook"`
		} `json:"token"`
	} `json:"actions"`
}

// onto lays what was sent over a rule; conditions that were not sent stay, and so
// do those that Okta does not have.
func (b *ruleBody) onto(r *access.Rule) error {
	r.Name, r.Priority = b.Name, b.Priority
	if b.Status != "" {
		r.Status = b.Status
	}
	if b.Conditions.People != nil {
		r.Conditions.People = *b.Conditions.People
	}
	if b.Conditions.GrantTypes != nil {
		r.Conditions.GrantTypes = *b.Conditions.GrantTypes
	}
	if b.Conditions.Scopes != nil {
		r.Conditions.Scopes = *b.Conditions.Scopes
	}
	for path, raw := range map[string]json.RawMessage{"platform": b.Conditions.Platform, "risk": b.Conditions.Risk} {
		if len(raw) > 0 && string(raw) != "null" {
			return unsupported("conditions."+path, "is not asked by access rules: leave it out")
		}
	}
	if len(b.Conditions.Network) > 0 {
		var n *access.NetworkCondition
		if err := json.Unmarshal(b.Conditions.Network, &n); err != nil {
			return unsupported("conditions.network", "must be an object with connection, include and exclude")
		}
		r.Conditions.Network = n
	}
	if len(b.Conditions.RiskScore) > 0 {
		var score struct {
			Level string `json:"level"`
		}
		if err := json.Unmarshal(b.Conditions.RiskScore, &score); err != nil {
			return unsupported("conditions.riskScore", "must be an object with level")
		}
		if r.Conditions.Risk = score.Level; score.Level == "ANY" {
			r.Conditions.Risk = ""
		}
	}
	if len(b.Conditions.Device) > 0 {
		d, err := deviceCondition(b.Conditions.Device)
		if err != nil {
			return err
		}
		r.Conditions.Device = d
	}
	t := &r.Actions.Token
	t.AccessTokenMinutes, t.RefreshTokenMinutes, t.RefreshWindowMinutes = b.Actions.Token.Access, b.Actions.Token.Refresh, b.Actions.Token.Window
	t.InlineHook = ""
	if h := b.Actions.Token.InlineHook; h != nil {
		t.InlineHook = h.ID
	}
	return nil
}

func (a *api) listRules(c *call) (answer, error) {
	all, err := a.Access.ListRules(c.Context(), c.arg("authServerId"), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	return page(all, "", func(o ledger.Object[access.Rule]) object { return a.rule(c, o) })
}

func (a *api) createRule(c *call) (answer, error) {
	var b ruleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	policy, err := a.Access.FindPolicy(c.Context(), c.arg("authServerId"), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	r := access.Rule{Policy: policy.ID}
	if err := b.onto(&r); err != nil {
		return answer{}, err
	}
	id, err := a.Access.CreateRule(c.Context(), c.by(), r)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	o, err := a.Access.FindRule(c.Context(), c.arg("authServerId"), policy.ID, id)
	if err != nil {
		return answer{}, err
	}
	return created(a.rule(c, o))
}

func (a *api) getRule(c *call) (answer, error) {
	o, err := a.Access.FindRule(c.Context(), c.arg("authServerId"), c.arg("policyId"), c.arg("ruleId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.rule(c, o))
}

func (a *api) replaceRule(c *call) (answer, error) {
	var b ruleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeRule(c.Context(), c.by(), c.arg("authServerId"), c.arg("policyId"), c.arg("ruleId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.rule(c, o))
}

func (a *api) deleteRule(c *call) (answer, error) {
	if err := a.Access.DeleteRule(c.Context(), c.by(), c.arg("authServerId"), c.arg("policyId"), c.arg("ruleId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateRule(c *call) (answer, error)   { return a.ruleStatus(c, access.Active) }
func (a *api) deactivateRule(c *call) (answer, error) { return a.ruleStatus(c, access.Inactive) }

func (a *api) ruleStatus(c *call, s access.Status) (answer, error) {
	o, err := a.Access.FindRule(c.Context(), c.arg("authServerId"), c.arg("policyId"), c.arg("ruleId"))
	if err != nil {
		return answer{}, err
	}
	if err := a.Access.SetRuleStatus(c.Context(), c.by(), o.ID, s); err != nil {
		return answer{}, err
	}
	return nothing()
}

// selected shows the users or groups of a rule as Okta does: what is empty on
// both sides is an empty exclusion.
func selected(s access.Selection) object {
	o := object{}
	if len(s.Include) > 0 {
		o["include"] = s.Include
	}
	if len(s.Exclude) > 0 || len(s.Include) == 0 {
		o["exclude"] = orEmpty(s.Exclude)
	}
	return o
}

func (a *api) rule(c *call, o ledger.Object[access.Rule]) object {
	r := o.Value
	at := func(parts ...string) string {
		return a.href(append([]string{"authorizationServers", c.arg("authServerId"), "policies", r.Policy, "rules", o.ID}, parts...)...)
	}
	other := opposite(r.Status)
	conditions := object{
		"people":     object{"users": selected(r.Conditions.People.Users), "groups": selected(r.Conditions.People.Groups)},
		"grantTypes": object{"include": orEmpty(r.Conditions.GrantTypes.Include)},
		"scopes":     object{"include": orEmpty(r.Conditions.Scopes.Include)},
	}
	token := object{
		"accessTokenLifetimeMinutes":  r.Actions.Token.AccessTokenMinutes,
		"refreshTokenLifetimeMinutes": r.Actions.Token.RefreshTokenMinutes,
		"refreshTokenWindowMinutes":   r.Actions.Token.RefreshWindowMinutes,
	}
	if id := r.Actions.Token.InlineHook; id != "" {
		token["inlineHook"] = object{"id": id}
	}
	if n := r.Conditions.Network; n != nil {
		conditions["network"] = n
	}
	if level := r.Conditions.Risk; level != "" {
		conditions["riskScore"] = object{"level": level}
	}
	if d := r.Conditions.Device; d != nil {
		conditions["device"] = d
	}
	return object{
		"id": o.ID, "type": ruleType, "status": r.Status, "name": r.Name, "priority": r.Priority, "system": r.System,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"conditions": conditions,
		"actions":    object{"token": token},
		"_links": object{
			"self": ref(at(), "GET", "PUT", "DELETE"),
			other:  ref(at("lifecycle", other), "POST"),
		},
	}
}
