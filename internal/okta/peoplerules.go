package okta

import (
	"cmp"
	"encoding/json"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// sessionRuleBody is a rule of a policy about people as it is sent.
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
		Device json.RawMessage `json:"device"` // a null takes it out
		// What nothing here asks would not be enforced.
		Risk     json.RawMessage `json:"risk"`
		Platform json.RawMessage `json:"platform"`
		UserType json.RawMessage `json:"userType"`
		Script   json.RawMessage `json:"elCondition"`
	} `json:"conditions"`
	Actions struct {
		SignOn *signOnBody    `json:"signon"`
		App    *appSignOnBody `json:"appSignOn"`
		Enroll *struct {
			Self string `json:"self"`
		} `json:"enroll"`
		passwordActionsBody
	} `json:"actions"`
}

// lay puts what was sent in the place of what is there.
func lay[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

func (b *sessionRuleBody) onto(r *access.SessionRule) error {
	if want := ruleTypeOf(r.TypeName()); b.Type != "" && b.Type != want {
		return unsupported("type", "must be "+want+": the policy has no other rules")
	}
	r.Name, r.Priority = b.Name, b.Priority
	if b.Status != "" {
		r.Status = b.Status
	}
	if err := b.conditions(r); err != nil {
		return err
	}
	switch {
	case r.Password != nil:
		return b.Actions.passwordActionsBody.onto(r.Password)
	case r.Enroll != "":
		if b.Actions.Enroll != nil {
			r.Enroll = b.Actions.Enroll.Self
		}
	case r.App != nil:
		if b.Actions.App != nil {
			return b.Actions.App.onto(r.App)
		}
	case b.Actions.SignOn != nil:
		b.Actions.SignOn.onto(&r.Actions)
	}
	return nil
}

// conditions lays what was sent over the conditions; what was not sent stays.
func (b *sessionRuleBody) conditions(r *access.SessionRule) error {
	from, to := &b.Conditions, &r.Conditions
	risky := r.Type == "" || r.Type == access.PolicyApp
	if from.Score != nil {
		to.Risk = from.Score.Level
		if to.Risk == "ANY" {
			to.Risk = ""
		}
		if !risky && to.Risk != "" {
			return unsupported("conditions.riskScore", "is not asked by rules of this type: leave it out")
		}
	}
	if from.Provider != nil && from.Provider.Provider != "ANY" {
		return unsupported("conditions.identityProvider", "is not asked by rules of policies: leave it out, or say ANY")
	}
	for _, raw := range []struct {
		path, empty string
		sent        json.RawMessage
	}{
		{"risk", `{"behaviors":[]}`, from.Risk},
		{"platform", `{"include":[]}`, from.Platform},
		{"userType", `{"include":[],"exclude":[]}`, from.UserType},
		{"elCondition", `{}`, from.Script},
	} {
		if sent := string(raw.sent); sent != "" && sent != "null" && strings.ReplaceAll(sent, " ", "") != raw.empty {
			return unsupported("conditions."+raw.path, "is not asked by rules of policies: leave it out")
		}
	}
	if len(from.Device) > 0 {
		d, err := deviceCondition(from.Device)
		if err != nil {
			return err
		}
		if d != nil && r.Type != access.PolicyApp {
			return unsupported("conditions.device", "is not asked by rules of this type: leave it out")
		}
		to.Device = d
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
	kind, err := a.Access.PolicyType(c.Context(), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	r := access.NewSessionRule(c.arg("policyId"), kind)
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
	conditions := object{"people": people, "network": network}
	var actions object
	switch {
	case r.Password != nil:
		actions = passwordActions(r.Password)
	case r.Enroll != "":
		actions = object{"enroll": object{"self": r.Enroll}}
	case r.App != nil:
		conditions["riskScore"] = object{"level": cmp.Or(r.Conditions.Risk, "ANY")}
		if d := r.Conditions.Device; d != nil {
			conditions["device"] = d
		}
		actions = appSignOnActions(r.App)
	default:
		conditions["authContext"] = object{"authType": r.Conditions.AuthType}
		conditions["riskScore"] = object{"level": cmp.Or(r.Conditions.Risk, "ANY")}
		conditions["identityProvider"] = object{"provider": "ANY"}
		actions = signOnActions(&r.Actions)
	}
	return object{
		"id": o.ID, "type": ruleTypeOf(r.TypeName()), "status": r.Status, "name": r.Name, "priority": r.Priority, "system": r.System,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "_links": links, "conditions": conditions, "actions": actions,
	}
}
