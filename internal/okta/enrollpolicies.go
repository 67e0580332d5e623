package okta

import (
	"encoding/json"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
)

// enrollSettingsBody are the settings of a policy of the type MFA_ENROLL as they are sent,
// in the shape of authenticators or in the older one of factors.
type enrollSettingsBody struct {
	Type           string                       `json:"type"`
	Authenticators []enrolledAuthenticator      `json:"authenticators"`
	Factors        map[string]enrolledAllowance `json:"factors"`
}

type enrolledAuthenticator struct {
	Key         string          `json:"key"`
	Enroll      enrollSelf      `json:"enroll"`
	Constraints json.RawMessage `json:"constraints,omitempty"`
}

type enrolledAllowance struct {
	Enroll enrollSelf `json:"enroll"`
}

type enrollSelf struct {
	Self string `json:"self"`
}

// authenticators are Okta's keys for the factors that there are here: the first of a
// factor is the one by which it is shown.
func authenticators() []struct{ key, factor string } {
	return []struct{ key, factor string }{
		{"google_otp", directory.FactorTOTP},
		{"okta_email", directory.FactorEmail},
		{"webauthn", directory.FactorPasskey},
		{"security_question", directory.FactorQuestion},
		{"okta_otp", directory.FactorTOTP},
		{"fido_webauthn", directory.FactorPasskey},
		{"okta_question", directory.FactorQuestion},
	}
}

// readEnrollSettings lays what was sent over the factors; those that were not named stay.
func readEnrollSettings(raw json.RawMessage, to map[string]string) error {
	var b enrollSettingsBody
	if err := json.Unmarshal(raw, &b); err != nil {
		return unsupported("settings", "must be those of a policy of the type MFA_ENROLL")
	}
	if b.Type != "" && b.Type != "AUTHENTICATORS" && b.Type != "FACTORS" {
		return unsupported("settings.type", "must be AUTHENTICATORS or FACTORS")
	}
	named := map[string]bool{}
	for key, f := range b.Factors {
		b.Authenticators = append(b.Authenticators, enrolledAuthenticator{Key: key, Enroll: f.Enroll})
	}
	for _, sent := range b.Authenticators {
		if c := string(sent.Constraints); c != "" && c != "null" {
			return unsupported("settings.authenticators.constraints", "are not asked: leave them out")
		}
		if sent.Key == "okta_password" {
			continue // everybody has one, or none by how they were made
		}
		factor := ""
		for _, a := range authenticators() {
			if a.key == sent.Key {
				factor = a.factor
			}
		}
		switch {
		case factor == "" && sent.Enroll.Self == access.EnrollNotAllowed:
		case factor == "":
			return unsupported("settings", "has the authenticator "+sent.Key+", which there is not: say NOT_ALLOWED, or leave it out")
		case named[factor] && to[factor] != sent.Enroll.Self:
			return unsupported("settings", "says two things of "+strings.ReplaceAll(factor, "token:software:totp", "authenticator apps")+": google_otp and okta_otp, webauthn and fido_webauthn are the same here")
		default:
			to[factor], named[factor] = sent.Enroll.Self, true
		}
	}
	return nil
}

// enrollSettings shows them as Okta does.
func enrollSettings(factors map[string]string) object {
	var list []enrolledAuthenticator
	shown := map[string]bool{}
	for _, a := range authenticators() {
		if shown[a.factor] {
			continue
		}
		shown[a.factor] = true
		self := factors[a.factor]
		if self == "" {
			self = access.EnrollNotAllowed
		}
		list = append(list, enrolledAuthenticator{Key: a.key, Enroll: enrollSelf{Self: self}})
	}
	return object{"type": "AUTHENTICATORS", "authenticators": list}
}
