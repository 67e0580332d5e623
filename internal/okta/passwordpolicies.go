package okta

import (
	"encoding/json"

	"gatehouse/internal/access"
)

// passwordSettingsBody are the settings of a policy of the type PASSWORD as they are sent;
// what is not sent stays.
type passwordSettingsBody struct {
	Password struct {
		Complexity struct {
			MinLength  *int      `json:"minLength"`
			MinLower   *int      `json:"minLowerCase"`
			MinUpper   *int      `json:"minUpperCase"`
			MinNumber  *int      `json:"minNumber"`
			MinSymbol  *int      `json:"minSymbol"`
			NoLogin    *bool     `json:"excludeUsername"`
			NoNames    *[]string `json:"excludeAttributes"`
			Dictionary struct {
				Common struct {
					Exclude bool `json:"exclude"`
				} `json:"common"`
			} `json:"dictionary"`
			MaxSame int    `json:"maxConsecutiveCharacters"`
			Script  string `json:"oelStatement"`
		} `json:"complexity"`
		Age struct {
			MaxDays  *int `json:"maxAgeDays"`
			WarnDays *int `json:"expireWarnDays"`
			Min      *int `json:"minAgeMinutes"`
			History  *int `json:"historyCount"`
		} `json:"age"`
		Lockout struct {
			Attempts *int     `json:"maxAttempts"`
			Unlock   *int     `json:"autoUnlockMinutes"`
			Show     bool     `json:"showLockoutFailures"`
			Channels []string `json:"userLockoutNotificationChannels"`
		} `json:"lockout"`
		Breached json.RawMessage `json:"breachedProtection"`
	} `json:"password"`
	Recovery struct {
		Factors struct {
			Email *struct {
				Status     access.Status `json:"status"`
				Properties struct {
					Token struct {
						Minutes *int `json:"tokenLifetimeMinutes"`
					} `json:"recoveryToken"`
				} `json:"properties"`
			} `json:"okta_email"`
			Question *recoveryFactorBody `json:"recovery_question"`
			SMS      *recoveryFactorBody `json:"okta_sms"`
			Call     *recoveryFactorBody `json:"okta_call"`
		} `json:"factors"`
	} `json:"recovery"`
	Delegation struct {
		Options struct {
			SkipUnlock bool `json:"skipUnlock"`
		} `json:"options"`
	} `json:"delegation"`
}

type recoveryFactorBody struct {
	Status access.Status `json:"status"`
}

func (b *recoveryFactorBody) active() bool { return b != nil && b.Status == access.Active }

// refused says what of the settings would not be enforced.
func (b *passwordSettingsBody) refused() error {
	p, f := &b.Password, &b.Recovery.Factors
	for _, wrong := range []struct {
		sent       bool
		path, hint string
	}{
		{p.Complexity.Dictionary.Common.Exclude, "password.complexity.dictionary", "is not here: server.people.breached_passwords names a list, which holds for everybody"},
		{p.Complexity.MaxSame != 0, "password.complexity.maxConsecutiveCharacters", "is not asked of passwords"},
		{p.Complexity.Script != "", "password.complexity.oelStatement", "is not asked of passwords"},
		{p.Lockout.Show, "password.lockout.showLockoutFailures", "must be false: it would tell strangers who exists"},
		{len(p.Lockout.Channels) > 0, "password.lockout.userLockoutNotificationChannels", "must be empty: nobody is told"},
		{len(p.Breached) > 0 && string(p.Breached) != "null" && string(p.Breached) != "{}", "password.breachedProtection", "is not here: server.people.breached_passwords names a list"},
		{f.SMS.active(), "recovery.factors.okta_sms", "must be INACTIVE: there are no text messages"},
		{f.Call.active(), "recovery.factors.okta_call", "must be INACTIVE: there are no calls"},
		{b.Delegation.Options.SkipUnlock, "delegation.options.skipUnlock", "must be false: directory servers unlock their own accounts"},
	} {
		if wrong.sent {
			return unsupported("settings."+wrong.path, wrong.hint)
		}
	}
	return nil
}

// readPasswordSettings lays what was sent over the settings.
func readPasswordSettings(raw json.RawMessage, to *access.PasswordSettings) error {
	var b passwordSettingsBody
	if err := json.Unmarshal(raw, &b); err != nil {
		return unsupported("settings", "must be those of a policy of the type PASSWORD")
	}
	if err := b.refused(); err != nil {
		return err
	}
	c, age, lock, f := &b.Password.Complexity, &b.Password.Age, &b.Password.Lockout, &b.Recovery.Factors
	for _, number := range []struct{ to, sent *int }{
		{&to.MinLength, c.MinLength},
		{&to.MinLower, c.MinLower},
		{&to.MinUpper, c.MinUpper},
		{&to.MinNumber, c.MinNumber},
		{&to.MinSymbol, c.MinSymbol},
		{&to.MaxAgeDays, age.MaxDays},
		{&to.WarnDays, age.WarnDays},
		{&to.MinAgeMinutes, age.Min},
		{&to.History, age.History},
		{&to.MaxAttempts, lock.Attempts},
		{&to.UnlockMinutes, lock.Unlock},
	} {
		lay(number.to, number.sent)
	}
	lay(&to.NoLogin, c.NoLogin)
	lay(&to.NoNames, c.NoNames)
	if f.Email != nil {
		to.NoLetter = f.Email.Status == access.Inactive
		lay(&to.LinkMinutes, f.Email.Properties.Token.Minutes)
	}
	if f.Question != nil {
		to.NoQuestion = f.Question.Status == access.Inactive
	}
	return nil
}

// passwordSettings shows them as Okta does.
func passwordSettings(s *access.PasswordSettings) object {
	status := func(off bool) access.Status {
		if off {
			return access.Inactive
		}
		return access.Active
	}
	return object{
		"password": object{
			"complexity": object{
				"minLength": s.MinLength, "minLowerCase": s.MinLower, "minUpperCase": s.MinUpper, "minNumber": s.MinNumber, "minSymbol": s.MinSymbol,
				"excludeUsername": s.NoLogin, "excludeAttributes": orEmpty(s.NoNames), "dictionary": object{"common": object{"exclude": false}},
			},
			"age":     object{"maxAgeDays": s.MaxAgeDays, "expireWarnDays": s.WarnDays, "minAgeMinutes": s.MinAgeMinutes, "historyCount": s.History},
			"lockout": object{"maxAttempts": s.MaxAttempts, "autoUnlockMinutes": s.UnlockMinutes, "showLockoutFailures": false, "userLockoutNotificationChannels": []string{}},
		},
		"recovery": object{"factors": object{
			"okta_email":        object{"status": status(s.NoLetter), "properties": object{"recoveryToken": object{"tokenLifetimeMinutes": s.LinkMinutes}}},
			"recovery_question": object{"status": status(s.NoQuestion), "properties": object{"complexity": object{"minLength": 4}}},
			"okta_sms":          object{"status": access.Inactive},
			"okta_call":         object{"status": access.Inactive},
		}},
		"delegation": object{"options": object{"skipUnlock": false}},
	}
}

// passwordActionsBody are the actions of a rule of the type PASSWORD as they are sent.
type passwordActionsBody struct {
	Change *allowance `json:"passwordChange"`
	Reset  *allowance `json:"selfServicePasswordReset"`
	Unlock *allowance `json:"selfServiceUnlock"`
}

type allowance struct {
	Access      string          `json:"access"`
	Requirement json.RawMessage `json:"requirement,omitempty"`
}

func (b *passwordActionsBody) onto(to *access.PasswordActions) error {
	for _, one := range []struct {
		path string
		sent *allowance
		to   *string
	}{
		{"passwordChange", b.Change, &to.Change}, {"selfServicePasswordReset", b.Reset, &to.Reset}, {"selfServiceUnlock", b.Unlock, &to.Unlock},
	} {
		if one.sent == nil {
			continue
		}
		if len(one.sent.Requirement) > 0 && string(one.sent.Requirement) != "null" {
			return unsupported("actions."+one.path+".requirement", "is not asked: settings.recovery.factors say how")
		}
		*one.to = one.sent.Access
	}
	return nil
}

func passwordActions(a *access.PasswordActions) object {
	return object{
		"passwordChange": allowance{Access: a.Change}, "selfServicePasswordReset": allowance{Access: a.Reset}, "selfServiceUnlock": allowance{Access: a.Unlock},
	}
}
