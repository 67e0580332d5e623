package okta

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/access"
)

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

// onto lays what was sent over the actions of a rule.
func (s *signOnBody) onto(to *access.SignOn) {
	lay(&to.Access, s.Access)
	lay(&to.PrimaryFactor, s.Primary)
	lay(&to.RequireFactor, s.Require)
	lay(&to.FactorPromptMode, s.PromptMode)
	lay(&to.FactorMinutes, s.Lifetime)
	lay(&to.RememberDevice, s.Remember)
	lay(&to.IdleMinutes, s.Session.Idle)
	lay(&to.LifetimeMinutes, s.Session.Lifetime)
	lay(&to.PersistentCookie, s.Session.Persistent)
}

// signOnActions shows what a rule says of a sign-in.
func signOnActions(s *access.SignOn) object {
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
	return object{"signon": signOn}
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
		if t != access.PolicySignOn {
			return answer{}, unsupported("policyTypes", "must be OKTA_SIGN_ON: that is what is simulated")
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
		"status": matched(d.Rule != ""), "policyType": []string{access.PolicySignOn}, "evaluated": object{"policies": orEmpty(policies)},
		"undefined": object{"policies": []object{}}, "result": object{"policies": result, "access": d.Access},
	}
}
