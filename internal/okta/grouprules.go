package okta

import (
	"net/http"

	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

// expressionType is the only language of conditions.
const expressionType = "urn:okta:expression:1.0"

// groupRuleBody is a group rule as it is sent.
type groupRuleBody struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Conditions struct {
		People struct {
			Users struct {
				Exclude []string `json:"exclude"`
			} `json:"users"`
			Groups struct {
				Exclude []string `json:"exclude"`
			} `json:"groups"`
		} `json:"people"`
		Expression struct {
			Value string `json:"value"`
			Type  string `json:"type"`
		} `json:"expression"`
	} `json:"conditions"`
	Actions struct {
		Assign struct {
			Groups []string `json:"groupIds"`
		} `json:"assignUserToGroups"`
	} `json:"actions"`
}

func (b *groupRuleBody) onto(r *directory.GroupRule) error {
	if b.Type != "" && b.Type != "group_rule" {
		return unsupported("type", "must be group_rule")
	}
	if t := b.Conditions.Expression.Type; t != "" && t != expressionType {
		return unsupported("conditions.expression.type", "must be "+expressionType)
	}
	r.Name, r.Expression, r.Groups = b.Name, b.Conditions.Expression.Value, b.Actions.Assign.Groups
	r.ExcludeUsers, r.ExcludeGroups = b.Conditions.People.Users.Exclude, b.Conditions.People.Groups.Exclude
	return nil
}

func (a *api) listGroupRules(c *call) (answer, error) {
	limit, err := c.limit(50, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := a.People.ListRules(c.Context(), c.FormValue("search"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return each(p, func(r ledger.Object[directory.GroupRule]) (object, error) { return a.shownRule(c, r) })
}

func (a *api) createGroupRule(c *call) (answer, error) {
	var b groupRuleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var r directory.GroupRule
	if err := b.onto(&r); err != nil {
		return answer{}, err
	}
	o, err := a.People.CreateRule(c.Context(), c.by(), r)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(groupRule(o))
}

func (a *api) getGroupRule(c *call) (answer, error) {
	o, err := a.People.Rule(c.Context(), c.arg("groupRuleId"))
	if err != nil {
		return answer{}, err
	}
	shown, err := a.shownRule(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(shown)
}

func (a *api) replaceGroupRule(c *call) (answer, error) {
	var b groupRuleBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.People.ChangeRule(c.Context(), c.by(), c.arg("groupRuleId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(groupRule(o))
}

// deleteGroupRule answers 202, as Okta does, and is done by then.
func (a *api) deleteGroupRule(c *call) (answer, error) {
	if err := a.People.DeleteRule(c.Context(), c.by(), c.arg("groupRuleId"), c.FormValue("removeUsers") == "true"); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: object{}}, nil
}

func (a *api) activateGroupRule(c *call) (answer, error) {
	if err := a.People.ActivateRule(c.Context(), c.by(), c.arg("groupRuleId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) deactivateGroupRule(c *call) (answer, error) {
	if err := a.People.DeactivateRule(c.Context(), c.by(), c.arg("groupRuleId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func groupRule(o ledger.Object[directory.GroupRule]) object {
	r := o.Value
	return object{
		"type": "group_rule", "id": o.ID, "status": r.Status, "name": r.Name, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"conditions": object{
			"people":     object{"users": object{"exclude": orEmpty(r.ExcludeUsers)}, "groups": object{"exclude": orEmpty(r.ExcludeGroups)}},
			"expression": object{"value": r.Expression, "type": expressionType},
		},
		"actions":        object{"assignUserToGroups": object{"groupIds": r.Groups}},
		"allGroupsValid": r.Status != directory.RuleInvalid,
	}
}
