package okta

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The types of policies that there are here, and of the rules of the first.
const (
	signOnType     = "OKTA_SIGN_ON"  // when sessions may be begun, and how long they last
	appPolicyType  = "ACCESS_POLICY" // of apps: there is one, and it has no rules
	signOnRuleType = "SIGN_ON"
)

// listAnyPolicies answers the policies of a type.
func (a *api) listAnyPolicies(c *call) (answer, error) {
	switch c.FormValue("type") {
	case appPolicyType:
		all, err := a.Access.ListSignOnPolicies(c.Context())
		if err != nil {
			return answer{}, err
		}
		return page(all, "", a.signOnPolicy)
	case signOnType:
		all, err := a.Access.ListSessionPolicies(c.Context())
		if err != nil {
			return answer{}, err
		}
		return page(all, "", a.sessionPolicy)
	}
	return answer{}, unsupported("type", "must be OKTA_SIGN_ON or ACCESS_POLICY: other policies are not available")
}

// sessionPolicyBody is a policy of the type OKTA_SIGN_ON as it is sent.
type sessionPolicyBody struct {
	Type        string        `json:"type"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Status      access.Status `json:"status"`
	Priority    int           `json:"priority"`
	Conditions  *struct {
		People *access.People `json:"people"`
	} `json:"conditions"`
}

// onto lays what was sent over a policy; conditions that were not sent stay.
func (b *sessionPolicyBody) onto(p *access.SessionPolicy) error {
	if b.Type != signOnType {
		return unsupported("type", "must be OKTA_SIGN_ON: other policies cannot be made here")
	}
	p.Name, p.Description, p.Priority = b.Name, b.Description, b.Priority
	if b.Status != "" {
		p.Status = b.Status
	}
	if b.Conditions != nil && b.Conditions.People != nil {
		p.Conditions.People = *b.Conditions.People
	}
	return nil
}

func (a *api) createSessionPolicy(c *call) (answer, error) {
	var b sessionPolicyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	p := access.SessionPolicy{Conditions: access.SessionPolicyFits{People: access.People{Groups: access.Selection{Include: []string{access.Everyone}}}}}
	if err := b.onto(&p); err != nil {
		return answer{}, err
	}
	if c.FormValue("activate") == "false" {
		p.Status = access.Inactive
	}
	o, err := a.Access.CreateSessionPolicy(c.Context(), c.by(), p)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.sessionPolicy(o))
}

// getAnyPolicy answers a policy of any type.
func (a *api) getAnyPolicy(c *call) (answer, error) {
	o, err := a.Access.FindSessionPolicy(c.Context(), c.arg("policyId"))
	if fault.Is(err, fault.NotFound) {
		return a.getSignOnPolicy(c)
	}
	if err != nil {
		return answer{}, err
	}
	return ok(a.sessionPolicy(o))
}

func (a *api) replaceSessionPolicy(c *call) (answer, error) {
	var b sessionPolicyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeSessionPolicy(c.Context(), c.by(), c.arg("policyId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.sessionPolicy(o))
}

func (a *api) deleteSessionPolicy(c *call) (answer, error) {
	if err := a.Access.DeleteSessionPolicy(c.Context(), c.by(), c.arg("policyId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateSessionPolicy(c *call) (answer, error) {
	return a.sessionPolicyStatus(c, access.Active)
}

func (a *api) deactivateSessionPolicy(c *call) (answer, error) {
	return a.sessionPolicyStatus(c, access.Inactive)
}

func (a *api) sessionPolicyStatus(c *call, s access.Status) (answer, error) {
	_, err := a.Access.ChangeSessionPolicy(c.Context(), c.by(), c.arg("policyId"), func(p *access.SessionPolicy) error {
		p.Status = s
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) sessionPolicy(o ledger.Object[access.SessionPolicy]) object {
	p := o.Value
	at := func(parts ...string) string { return a.href(append([]string{"policies", o.ID}, parts...)...) }
	links := object{"self": ref(at(), "GET", "PUT", "DELETE"), "rules": ref(at("rules"), "GET", "POST")}
	if !p.System {
		other := opposite(p.Status)
		links[other] = ref(at("lifecycle", other), "POST")
	}
	return object{
		"id": o.ID, "type": signOnType, "status": p.Status, "name": p.Name, "description": orNull(p.Description), "priority": p.Priority, "system": p.System,
		"conditions": object{"people": object{"groups": object{"include": p.Conditions.People.Groups.Include}}},
		"created":    stamp(o.Created), "lastUpdated": stamp(o.Updated), "_links": links,
	}
}

// sessionRuleBody is a rule of the type SIGN_ON as it is sent.
type sessionRuleBody struct {
	Type       string        `json:"type"`
	Name       string        `json:"name"`
	Status     access.Status `json:"status"`
	Priority   int           `json:"priority"`
	Conditions struct {
		People  *access.People           `json:"people"`
		Network *access.NetworkCondition `json:"network"`
		Auth    *struct {
			Type string `json:"authType"`
		} `json:"authContext"`
		Score *struct {
			Level string `json:"level"`
		} `json:"riskScore"`
		Provider *struct {
			Provider string `json:"provider"`
		} `json:"identityProvider"`
		// What nothing here asks would not be enforced.
		Risk json.RawMessage `json:"risk"`
	} `json:"conditions"`
	Actions struct {
		SignOn *signOnBody `json:"signon"`
	} `json:"actions"`
}

// signOnBody is what a rule says of a sign-in; what is not sent stays.
type signOnBody struct {
	Access     *string `json:"access"`
	Primary    *string `json:"primaryFactor"`
	Require    *bool   `json:"requireFactor"`
	PromptMode *string `json:"factorPromptMode"`
	Lifetime   *int    `json:"factorLifetime"`
	Remember   *bool   `json:"rememberDeviceByDefault"`
	Session    struct {
		Idle       *int  `json:"maxSessionIdleMinutes"`
		Lifetime   *int  `json:"maxSessionLifetimeMinutes"`
		Persistent *bool `json:"usePersistentCookie"`
	} `json:"session"`
}

// lay puts what was sent in the place of what is there.
func lay[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

func (b *sessionRuleBody) onto(r *access.SessionRule) error {
	if b.Type != "" && b.Type != signOnRuleType {
		return unsupported("type", "must be SIGN_ON: the policy has no other rules")
	}
	r.Name, r.Priority = b.Name, b.Priority
	if b.Status != "" {
		r.Status = b.Status
	}
	if err := b.conditions(&r.Conditions); err != nil {
		return err
	}
	s := b.Actions.SignOn
	if s == nil {
		return nil
	}
	to := &r.Actions
	lay(&to.Access, s.Access)
	lay(&to.PrimaryFactor, s.Primary)
	lay(&to.RequireFactor, s.Require)
	lay(&to.FactorPromptMode, s.PromptMode)
	lay(&to.FactorMinutes, s.Lifetime)
	lay(&to.RememberDevice, s.Remember)
	lay(&to.IdleMinutes, s.Session.Idle)
	lay(&to.LifetimeMinutes, s.Session.Lifetime)
	lay(&to.PersistentCookie, s.Session.Persistent)
	return nil
}

// conditions lays what was sent over the conditions; what was not sent stays.
func (b *sessionRuleBody) conditions(to *access.SessionRuleFits) error {
	from := &b.Conditions
	if from.Score != nil {
		to.Risk = from.Score.Level
		if to.Risk == "ANY" {
			to.Risk = ""
		}
	}
	if from.Provider != nil && from.Provider.Provider != "ANY" {
		return unsupported("conditions.identityProvider", "is not asked by sign-on rules: leave it out, or say ANY")
	}
	if len(from.Risk) > 0 && string(from.Risk) != "null" && string(from.Risk) != `{"behaviors":[]}` {
		return unsupported("conditions.risk", "is not asked by sign-on rules: leave it out")
	}
	lay(&to.People, from.People)
	if from.Network != nil {
		to.Network = from.Network
	}
	if from.Auth != nil {
		to.AuthType = from.Auth.Type
	}
	return nil
}

// listAnyRules answers the rules of a policy of any type.
func (a *api) listAnyRules(c *call) (answer, error) {
	all, err := a.Access.ListSessionRules(c.Context(), c.arg("policyId"))
	if fault.Is(err, fault.NotFound) {
		return a.listSignOnRules(c)
	}
	if err != nil {
		return answer{}, err
	}
	return page(all, "", a.sessionRule)
}

func (a *api) createSessionRule(c *call) (answer, error) {
	var b sessionRuleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	r := access.SessionRule{Policy: c.arg("policyId"), Actions: access.DefaultSignOn()}
	if err := b.onto(&r); err != nil {
		return answer{}, err
	}
	if c.FormValue("activate") == "false" {
		r.Status = access.Inactive
	}
	o, err := a.Access.CreateSessionRule(c.Context(), c.by(), r)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.sessionRule(o))
}

func (a *api) getSessionRule(c *call) (answer, error) {
	o, err := a.Access.FindSessionRule(c.Context(), c.arg("policyId"), c.arg("ruleId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.sessionRule(o))
}

func (a *api) replaceSessionRule(c *call) (answer, error) {
	var b sessionRuleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeSessionRule(c.Context(), c.by(), c.arg("policyId"), c.arg("ruleId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.sessionRule(o))
}

func (a *api) deleteSessionRule(c *call) (answer, error) {
	if err := a.Access.DeleteSessionRule(c.Context(), c.by(), c.arg("policyId"), c.arg("ruleId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateSessionRule(c *call) (answer, error) {
	return a.sessionRuleStatus(c, access.Active)
}

func (a *api) deactivateSessionRule(c *call) (answer, error) {
	return a.sessionRuleStatus(c, access.Inactive)
}

func (a *api) sessionRuleStatus(c *call, s access.Status) (answer, error) {
	_, err := a.Access.ChangeSessionRule(c.Context(), c.by(), c.arg("policyId"), c.arg("ruleId"), func(r *access.SessionRule) error {
		r.Status = s
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) sessionRule(o ledger.Object[access.SessionRule]) object {
	r := o.Value
	at := func(parts ...string) string {
		return a.href(append([]string{"policies", r.Policy, "rules", o.ID}, parts...)...)
	}
	links := object{"self": ref(at(), "GET", "PUT", "DELETE")}
	if !r.System {
		other := opposite(r.Status)
		links[other] = ref(at("lifecycle", other), "POST")
	}
	people := object{"users": selected(r.Conditions.People.Users)}
	if g := r.Conditions.People.Groups; len(g.Include)+len(g.Exclude) > 0 {
		people["groups"] = selected(g)
	}
	var network any = object{"connection": access.ConnectionAnywhere}
	if r.Conditions.Network != nil {
		network = r.Conditions.Network
	}
	s := &r.Actions
	signOn := object{
		"access": s.Access, "primaryFactor": s.PrimaryFactor, "requireFactor": s.RequireFactor, "rememberDeviceByDefault": s.RememberDevice,
		"session": object{"maxSessionIdleMinutes": s.IdleMinutes, "maxSessionLifetimeMinutes": s.LifetimeMinutes, "usePersistentCookie": s.PersistentCookie},
	}
	if s.RequireFactor {
		signOn["factorPromptMode"] = s.FactorPromptMode
		if s.FactorMinutes > 0 {
			signOn["factorLifetime"] = s.FactorMinutes
		}
	}
	return object{
		"id": o.ID, "type": signOnRuleType, "status": r.Status, "name": r.Name, "priority": r.Priority, "system": r.System,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "_links": links,
		"conditions": object{
			"people": people, "network": network, "authContext": object{"authType": r.Conditions.AuthType},
			"riskScore": object{"level": cmp.Or(r.Conditions.Risk, "ANY")}, "identityProvider": object{"provider": "ANY"},
		},
		"actions": object{"signon": signOn},
	}
}

// simulatePolicies answers what the sign-on policies would say to a sign-in: Okta's
// simulation, in which each rule that was considered has the reason why it did or did
// not match.
func (a *api) simulatePolicies(c *call) (answer, error) {
	var b struct {
		Types   []string `json:"policyTypes"`
		Context struct {
			User struct {
				ID string `json:"id"`
			} `json:"user"`
			Groups struct {
				IDs []string `json:"ids"`
			} `json:"groups"`
			IP    string          `json:"ip"`
			Zones json.RawMessage `json:"zones"`
			Risk  struct {
				Level string `json:"level"`
			} `json:"risk"`
			Device json.RawMessage `json:"device"`
		} `json:"policyContext"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	for _, t := range b.Types {
		if t != signOnType {
			return answer{}, unsupported("policyTypes", "must be OKTA_SIGN_ON: other policies have no rules here")
		}
	}
	for name, raw := range map[string]json.RawMessage{"zones": b.Context.Zones, "device": b.Context.Device} {
		if len(raw) > 0 && string(raw) != "null" {
			return answer{}, unsupported("policyContext."+name, "is not asked by sign-on rules: say ip for where the sign-in comes from")
		}
	}
	in := access.SignIn{Groups: b.Context.Groups.IDs, Risk: b.Context.Risk.Level}
	if in.Risk != "" && !slices.Contains(access.RiskLevels(), in.Risk) {
		return answer{}, unsupported("policyContext.risk.level", "must be one of "+strings.Join(access.RiskLevels(), ", "))
	}
	if b.Context.IP != "" {
		if err := in.Address.UnmarshalText([]byte(b.Context.IP)); err != nil {
			return answer{}, unsupported("policyContext.ip", "must be an address such as 203.0.113.7")
		}
		in.Address = in.Address.Unmap()
	}
	if id := b.Context.User.ID; id != "" {
		u, err := a.findUser(c, id)
		if err != nil {
			return answer{}, err
		}
		groups, err := a.People.GroupsOf(c.Context(), u.ID)
		if err != nil {
			return answer{}, err
		}
		in.User = u.ID
		for _, g := range groups {
			in.Groups = append(in.Groups, g.ID)
		}
	}
	trace, decision, err := a.Access.PreviewSignIn(c.Context(), in)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: []object{simulation(trace, &decision)}}, nil
}

// simulation shows an evaluation as Okta does; reason and detail are ours.
func simulation(trace []access.Considered, d *access.SignInDecision) object {
	matched := func(m bool) string {
		if m {
			return "MATCH"
		}
		return "NOT_MATCH"
	}
	var policies []object
	for i := range trace {
		step := &trace[i]
		o := object{"id": step.Policy, "name": step.PolicyName, "status": matched(step.Matched), "reason": step.Reason, "conditions": []object{}}
		if step.Detail != "" {
			o["detail"] = step.Detail
		}
		if step.Rule == "" {
			o["rules"] = []object{}
			policies = append(policies, o)
			continue
		}
		o["id"], o["name"] = step.Rule, step.RuleName
		last := policies[len(policies)-1]
		rules, _ := last["rules"].([]object)
		last["rules"] = append(rules, o)
		last["status"] = matched(step.Matched) // a policy counts when one of its rules does
	}
	result := []object{}
	if d.Rule != "" {
		result = append(result, object{
			"id": d.Policy, "name": d.PolicyName, "status": "MATCH", "conditions": []object{},
			"rules": []object{{"id": d.Rule, "name": d.RuleName, "status": "MATCH", "conditions": []object{}}},
		})
	}
	return object{
		"status": matched(d.Rule != ""), "policyType": []string{signOnType}, "evaluated": object{"policies": orEmpty(policies)},
		"undefined": object{"policies": []object{}}, "result": object{"policies": result, "access": d.Access},
	}
}
