package okta

import (
	"encoding/json"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// policyTypes are the types of policies that there are here.
func policyTypes() []string {
	return []string{access.PolicySignOn, access.PolicyPassword, access.PolicyEnroll, access.PolicyApp}
}

// ruleTypeOf returns what the rules of a type of policies are called.
func ruleTypeOf(policy string) string {
	if policy == access.PolicySignOn {
		return "SIGN_ON"
	}
	return policy
}

// listAnyPolicies answers the policies of a type.
func (a *api) listAnyPolicies(c *call) (answer, error) {
	switch kind := c.FormValue("type"); kind {
	case access.PolicyApp:
		all, err := a.Access.ListSignOnPolicies(c.Context())
		if err != nil {
			return answer{}, err
		}
		return page(all, "", a.signOnPolicy)
	case access.PolicySignOn, access.PolicyPassword, access.PolicyEnroll:
		all, err := a.Access.ListPeoplePolicies(c.Context(), kind)
		if err != nil {
			return answer{}, err
		}
		return page(all, "", a.peoplePolicy)
	}
	return answer{}, unsupported("type", "must be one of "+strings.Join(policyTypes(), ", ")+": other policies are not available")
}

// peoplePolicyBody is a policy about people as it is sent.
type peoplePolicyBody struct {
	Type        string        `json:"type"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Status      access.Status `json:"status"`
	Priority    int           `json:"priority"`
	Conditions  *struct {
		People   *access.People `json:"people"`
		Provider *struct {
			Provider string `json:"provider"`
		} `json:"authProvider"`
	} `json:"conditions"`
	Settings json.RawMessage `json:"settings"`
}

// onto lays what was sent over a policy; conditions and settings that were not sent stay.
func (b *peoplePolicyBody) onto(p *access.PeoplePolicy) error {
	if b.Type != p.TypeName() {
		return unsupported("type", "must be "+p.TypeName()+", which the policy is of")
	}
	p.Name, p.Description, p.Priority = b.Name, b.Description, b.Priority
	if b.Status != "" {
		p.Status = b.Status
	}
	if b.Conditions != nil {
		lay(&p.Conditions.People, b.Conditions.People)
		if from := b.Conditions.Provider; from != nil && from.Provider != "OKTA" && from.Provider != "ANY" {
			return unsupported("conditions.authProvider.provider", "must be OKTA: passwords that a directory server keeps are its business")
		}
	}
	if sent := string(b.Settings); sent == "" || sent == "null" {
		return nil
	}
	switch p.Type {
	case access.PolicyPassword:
		return readPasswordSettings(b.Settings, p.Password)
	case access.PolicyEnroll:
		return readEnrollSettings(b.Settings, p.Enroll)
	}
	return unsupported("settings", "are not of this type of policy")
}

func (a *api) createPeoplePolicy(c *call) (answer, error) {
	var b peoplePolicyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	inactive := c.FormValue("activate") == "false"
	p := access.PeoplePolicy{Conditions: access.PeoplePolicyFits{People: access.People{Groups: access.Selection{Include: []string{access.Everyone}}}}}
	switch b.Type {
	case access.PolicyApp:
		return a.createAppPolicy(c, &b, inactive)
	case access.PolicyPassword:
		settings := access.DefaultPasswordSettings()
		p.Type, p.Password = b.Type, &settings
	case access.PolicyEnroll:
		p.Type, p.Enroll = b.Type, access.AnyEnrollment()
	case access.PolicySignOn:
	default:
		return answer{}, unsupported("type", "must be one of "+strings.Join(policyTypes(), ", ")+": other policies cannot be made here")
	}
	if err := b.onto(&p); err != nil {
		return answer{}, err
	}
	if inactive {
		p.Status = access.Inactive
	}
	o, err := a.Access.CreatePeoplePolicy(c.Context(), c.by(), p)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.peoplePolicy(o))
}

// getAnyPolicy answers a policy of any type.
func (a *api) getAnyPolicy(c *call) (answer, error) {
	o, err := a.Access.FindPeoplePolicy(c.Context(), c.arg("policyId"))
	if fault.Is(err, fault.NotFound) {
		return a.getSignOnPolicy(c)
	}
	if err != nil {
		return answer{}, err
	}
	return ok(a.peoplePolicy(o))
}

func (a *api) replacePeoplePolicy(c *call) (answer, error) {
	var b peoplePolicyBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if b.Type == access.PolicyApp {
		return a.replaceAppPolicy(c, &b)
	}
	o, err := a.Access.ChangePeoplePolicy(c.Context(), c.by(), c.arg("policyId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.peoplePolicy(o))
}

func (a *api) deletePeoplePolicy(c *call) (answer, error) {
	err := a.Access.DeletePeoplePolicy(c.Context(), c.by(), c.arg("policyId"))
	if fault.Is(err, fault.NotFound) {
		err = a.Access.DeleteSignOnPolicy(c.Context(), c.by(), c.arg("policyId"))
	}
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activatePeoplePolicy(c *call) (answer, error) {
	return a.peoplePolicyStatus(c, access.Active)
}

func (a *api) deactivatePeoplePolicy(c *call) (answer, error) {
	return a.peoplePolicyStatus(c, access.Inactive)
}

func (a *api) peoplePolicyStatus(c *call, s access.Status) (answer, error) {
	_, err := a.Access.ChangePeoplePolicy(c.Context(), c.by(), c.arg("policyId"), func(p *access.PeoplePolicy) error {
		p.Status = s
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return a.appPolicyStatus(c, s)
	}
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) peoplePolicy(o ledger.Object[access.PeoplePolicy]) object {
	p := o.Value
	at := func(parts ...string) string { return a.href(append([]string{"policies", o.ID}, parts...)...) }
	links := object{"self": ref(at(), "GET", "PUT", "DELETE"), "rules": ref(at("rules"), "GET", "POST")}
	if !p.System {
		other := opposite(p.Status)
		links[other] = ref(at("lifecycle", other), "POST")
	}
	conditions := object{"people": object{"groups": object{"include": p.Conditions.People.Groups.Include}}}
	out := object{
		"id": o.ID, "type": p.TypeName(), "status": p.Status, "name": p.Name, "description": orNull(p.Description), "priority": p.Priority, "system": p.System,
		"conditions": conditions, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "_links": links,
	}
	switch p.Type {
	case access.PolicyPassword:
		conditions["authProvider"] = object{"provider": "OKTA"}
		out["settings"] = passwordSettings(p.Password)
	case access.PolicyEnroll:
		out["settings"] = enrollSettings(p.Enroll)
	}
	return out
}
