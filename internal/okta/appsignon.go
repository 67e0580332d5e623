package okta

import (
	"encoding/json"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// createAppPolicy makes a policy for the sign-in to apps.
func (a *api) createAppPolicy(c *call, b *peoplePolicyBody, inactive bool) (answer, error) {
	if inactive {
		return answer{}, errAppPolicyStatus()
	}
	if err := b.ontoApp(&access.SignOnPolicy{}); err != nil {
		return answer{}, err
	}
	o, err := a.Access.CreateSignOnPolicy(c.Context(), c.by(), access.SignOnPolicy{Name: b.Name, Description: b.Description})
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.signOnPolicy(o))
}

func (a *api) replaceAppPolicy(c *call, b *peoplePolicyBody) (answer, error) {
	o, err := a.Access.ChangeSignOnPolicy(c.Context(), c.by(), c.arg("policyId"), b.ontoApp)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.signOnPolicy(o))
}

// ontoApp lays what was sent over a policy for apps.
func (b *peoplePolicyBody) ontoApp(p *access.SignOnPolicy) error {
	if b.Status == access.Inactive {
		return errAppPolicyStatus()
	}
	if b.Conditions != nil && (b.Conditions.People != nil || b.Conditions.Provider != nil) {
		return unsupported("conditions", "must be null: whom it is for is said by the rules")
	}
	p.Name, p.Description = b.Name, b.Description
	return nil
}

// appPolicyStatus answers that a policy for apps is always in force: what would hold for
// its apps otherwise is best said by another one.
func (a *api) appPolicyStatus(c *call, s access.Status) (answer, error) {
	if _, err := a.Access.FindSignOnPolicy(c.Context(), c.arg("policyId")); err != nil {
		return answer{}, err
	}
	if s != access.Active {
		return answer{}, errAppPolicyStatus()
	}
	return nothing()
}

func errAppPolicyStatus() error {
	return unsupported("status", "must be ACTIVE: give the apps another policy instead (PUT /api/v1/apps/{appId}/policies/{policyId})")
}

// appSignOnBody is what a rule demands of a sign-in to an app as it is sent.
type appSignOnBody struct {
	Access *string `json:"access"`
	Verify *struct {
		Type        string              `json:"type"`
		Mode        string              `json:"factorMode"`
		Again       string              `json:"reauthenticateIn"`
		Inactive    string              `json:"inactivityPeriod"`
		Constraints []appConstraintBody `json:"constraints"`
	} `json:"verificationMethod"`
	Keep json.RawMessage `json:"keepMeSignedIn"`
}

type appConstraintBody struct {
	Knowledge *struct {
		constraintBody
		Types []string `json:"types"`
	} `json:"knowledge"`
	Possession *struct {
		constraintBody
		Phishing   string   `json:"phishingResistant"`
		Hardware   string   `json:"hardwareProtection"`
		Bound      string   `json:"deviceBound"`
		Presence   string   `json:"userPresence"`
		Verifies   string   `json:"userVerification"`
		VerifiesBy []string `json:"userVerificationMethods"`
		Types      []string `json:"types"`
	} `json:"possession"`
}

// constraintBody is what both have.
type constraintBody struct {
	Again    string          `json:"reauthenticateIn"`
	Required *bool           `json:"required"`
	Methods  json.RawMessage `json:"authenticationMethods"`
	Without  json.RawMessage `json:"excludedAuthenticationMethods"`
	Older    json.RawMessage `json:"methods"`
}

func (b *constraintBody) refused(path string) error {
	for name, raw := range map[string]json.RawMessage{"authenticationMethods": b.Methods, "excludedAuthenticationMethods": b.Without, "methods": b.Older} {
		if sent := string(raw); sent != "" && sent != "null" && sent != "[]" {
			return unsupported(path+"."+name, "is not asked: say what is demanded by types and phishingResistant")
		}
	}
	return nil
}

const verifyPath = "actions.appSignOn.verificationMethod"

// onto lays what was sent over what a rule demands: a verification method replaces the
// one that was there.
func (b *appSignOnBody) onto(to *access.AppSignOn) error {
	lay(&to.Access, b.Access)
	if sent := string(b.Keep); sent != "" && sent != "null" {
		return unsupported("actions.appSignOn.keepMeSignedIn", "is not here: sign-on policies say how long sessions last")
	}
	v := b.Verify
	if v == nil {
		return nil
	}
	switch {
	case v.Type != "" && v.Type != "ASSURANCE":
		return unsupported(verifyPath+".type", "must be ASSURANCE")
	case len(v.Constraints) > 1:
		return unsupported(verifyPath+".constraints", "must be one: make a rule for each")
	}
	*to = access.AppSignOn{Access: to.Access, Mode: v.Mode, Again: v.Again, Inactive: v.Inactive}
	for i := range v.Constraints {
		if err := v.Constraints[i].onto(to); err != nil {
			return err
		}
	}
	return nil
}

func (b *appConstraintBody) onto(to *access.AppSignOn) error {
	if k := b.Knowledge; k != nil {
		const path = verifyPath + ".constraints.knowledge"
		if err := k.refused(path); err != nil {
			return err
		}
		if len(k.Types) > 1 || len(k.Types) == 1 && k.Types[0] != "PASSWORD" && k.Types[0] != "password" {
			return unsupported(path+".types", "must be PASSWORD: nothing else that people know is asked at the sign-in")
		}
		to.Password, to.PasswordAgain = k.Required == nil || *k.Required, k.Again
	}
	p := b.Possession
	if p == nil {
		return nil
	}
	const path = verifyPath + ".constraints.possession"
	if err := p.refused(path); err != nil {
		return err
	}
	for _, wrong := range []struct {
		sent       bool
		path, hint string
	}{
		{p.Hardware == "REQUIRED", "hardwareProtection", "cannot be shown: nobody vouches for the hardware of keys here"},
		{p.Bound == "REQUIRED", "deviceBound", "cannot be shown: passkeys may be on several devices of the person"},
		{p.Verifies == "REQUIRED" || len(p.VerifiesBy) > 0, "userVerification", "is not asked by itself: passkeys always verify the person, say phishingResistant"},
		{len(p.Types) > 0, "types", "is not asked: say phishingResistant for passkeys"},
	} {
		if wrong.sent {
			return unsupported(path+"."+wrong.path, wrong.hint)
		}
	}
	to.Phishing, to.PossessionAgain = p.Phishing == "REQUIRED", p.Again
	to.Possession = to.Phishing || p.Required == nil || *p.Required
	return nil
}

// appSignOnActions shows what a rule demands as Okta does.
func appSignOnActions(s *access.AppSignOn) object {
	method := object{"type": "ASSURANCE", "factorMode": s.Mode, "constraints": []object{}}
	if s.Again != "" {
		method["reauthenticateIn"] = s.Again
	}
	if s.Inactive != "" {
		method["inactivityPeriod"] = s.Inactive
	}
	constraint := object{}
	if s.Password {
		knowledge := object{"types": []string{"PASSWORD"}, "required": true}
		if s.PasswordAgain != "" {
			knowledge["reauthenticateIn"] = s.PasswordAgain
		}
		constraint["knowledge"] = knowledge
	}
	if s.Possession {
		possession := object{"required": true}
		if s.Phishing {
			possession["phishingResistant"] = "REQUIRED"
		}
		if s.PossessionAgain != "" {
			possession["reauthenticateIn"] = s.PossessionAgain
		}
		constraint["possession"] = possession
	}
	if len(constraint) > 0 {
		method["constraints"] = []object{constraint}
	}
	return object{"appSignOn": object{"access": s.Access, "verificationMethod": method}}
}

// getSignOnPolicy answers a policy for apps.
func (a *api) getSignOnPolicy(c *call) (answer, error) {
	o, err := a.Access.FindSignOnPolicy(c.Context(), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.signOnPolicy(o))
}

func (a *api) signOnPolicy(o ledger.Object[access.SignOnPolicy]) object {
	p := o.Value
	self := []string{"GET"}
	if !p.System {
		self = []string{"GET", "PUT", "DELETE"}
	}
	return object{
		"id": o.ID, "status": p.Status, "name": p.Name, "description": p.Description, "priority": p.Priority, "system": p.System,
		"conditions": nil, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "type": access.PolicyApp,
		"_embedded": object{"resourceType": "APP"}, "_links": object{
			"self":     ref(a.href("policies", o.ID), self...),
			"rules":    ref(a.href("policies", o.ID, "rules"), "GET", "POST"),
			"mappings": ref(a.href("policies", o.ID, "mappings"), "GET"),
		},
	}
}
