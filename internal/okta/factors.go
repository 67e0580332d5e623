package okta

import (
	"encoding/base64"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// factorOf returns the user and the factor that a path names.
func (a *api) factorOf(c *call) (user string, o ledger.Object[directory.Factor], err error) {
	if user, err = a.userID(c); err != nil {
		return user, o, err
	}
	o, err = a.People.FindFactor(c.Context(), user, c.arg("factorId"))
	return user, o, err
}

func (a *api) listFactors(c *call) (answer, error) {
	user, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.People.ListFactors(c.Context(), user)
	if err != nil {
		return answer{}, err
	}
	return page(all, "", a.factor)
}

func (a *api) getFactor(c *call) (answer, error) {
	_, o, err := a.factorOf(c)
	if err != nil {
		return answer{}, err
	}
	return ok(a.factor(o))
}

// listCatalog answers which factors a user can have, and which they have.
func (a *api) listCatalog(c *call) (answer, error) {
	user, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	all, err := a.People.ListFactors(c.Context(), user)
	if err != nil {
		return answer{}, err
	}
	out := []object{}
	for _, f := range []struct{ kind, provider string }{
		{directory.FactorQuestion, "OKTA"}, {directory.FactorTOTP, "OKTA"}, {directory.FactorTOTP, "GOOGLE"}, {directory.FactorEmail, "OKTA"}, {directory.FactorPasskey, "FIDO"},
	} {
		status := "NOT_SETUP"
		for _, o := range all {
			if o.Value.Type == f.kind && o.Value.Provider == f.provider {
				status = o.Value.Status
			}
		}
		links := object{}
		if f.kind != directory.FactorPasskey { // one is made in the person's browser
			links["enroll"] = ref(a.href("users", user, "factors"), "POST")
		}
		if f.kind == directory.FactorQuestion {
			links["questions"] = ref(a.href("users", user, "factors", "questions"), "GET")
		}
		out = append(out, object{
			"factorType": f.kind, "provider": f.provider, "vendorName": f.provider, "enrollment": "OPTIONAL", "status": status, "_links": links,
		})
	}
	return ok(out)
}

func (a *api) listQuestions(c *call) (answer, error) {
	if _, err := a.userID(c); err != nil {
		return answer{}, err
	}
	return page(directory.StandardQuestions(), "", func(q directory.StandardQuestion) object {
		return object{"question": q.Key, "questionText": q.Text}
	})
}

func (a *api) enrollFactor(c *call) (answer, error) {
	var b struct {
		Type     string `json:"factorType"`
		Provider string `json:"provider"`
		Profile  struct {
			Question string `json:"question"`
			Answer   string `json:"answer"`
			Email    string `json:"email"`
		} `json:"profile"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	if b.Type == directory.FactorEmail {
		switch {
		case c.FormValue("activate") == "true":
			return answer{}, unsupported("activate", "must be left out: codes by e-mail are active when one of them has come back")
		case !a.Links.CanSend():
			return answer{}, errNoMail()
		}
	}
	o, secret, err := a.People.EnrollFactor(c.Context(), c.by(), user, directory.NewFactor{
		Type: b.Type, Provider: b.Provider, Question: b.Profile.Question, Answer: b.Profile.Answer, Email: b.Profile.Email,
	})
	if err != nil {
		return answer{}, taken(err, "factorType")
	}
	if b.Type == directory.FactorEmail {
		if err := a.Links.SendCode(c.Context(), user, o.ID); err != nil {
			return answer{}, err
		}
	}
	out := a.factor(o)
	if secret != "" {
		out["_embedded"] = object{"activation": object{"timeStep": 30, "sharedSecret": secret, "encoding": "base32", "keyLength": 6}}
	}
	return ok(out)
}

// codeBody is a code or an answer as it is sent.
type codeBody struct {
	Code   string `json:"passCode"`
	Answer string `json:"answer"`
}

func (a *api) activateFactor(c *call) (answer, error) {
	var b codeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	o, err := a.People.ActivateFactor(c.Context(), c.by(), user, c.arg("factorId"), b.Code)
	if err != nil {
		return answer{}, err
	}
	return ok(a.factor(o))
}

func (a *api) verifyFactor(c *call) (answer, error) {
	var b codeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, o, err := a.factorOf(c)
	if err != nil {
		return answer{}, err
	}
	if o.Value.Type == directory.FactorEmail && b.Code == "" {
		return a.sendChallenge(c, user, o)
	}
	given := b.Code
	if o.Value.Type == directory.FactorQuestion {
		given = b.Answer
	}
	if err := a.People.VerifyFactor(c.Context(), user, o.ID, given); err != nil {
		return answer{}, err
	}
	return ok(object{"factorResult": "SUCCESS"})
}

// sendChallenge sends a code, to be verified with the next call.
func (a *api) sendChallenge(c *call, user string, o ledger.Object[directory.Factor]) (answer, error) {
	switch {
	case o.Value.Status != directory.FactorActive:
		return answer{}, fault.New(fault.Denied, "the factor is not active yet").WithReason(directory.ReasonFactor)
	case !a.Links.CanSend():
		return answer{}, errNoMail()
	}
	if err := a.Links.SendCode(c.Context(), user, o.ID); err != nil {
		return answer{}, err
	}
	at := a.href("users", user, "factors", o.ID, "verify")
	return ok(object{
		"factorResult": "CHALLENGE", "profile": object{"email": o.Value.Email}, "expiresAt": stamp(a.Now().Add(directory.EmailCodeTime)),
		"_links": object{"verify": ref(at, "POST"), "factor": ref(a.href("users", user, "factors", o.ID), "GET", "DELETE")},
	})
}

func (a *api) unenrollFactor(c *call) (answer, error) {
	user, o, err := a.factorOf(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.People.RemoveFactor(c.Context(), c.by(), user, o.ID); err != nil {
		return answer{}, err
	}
	return nothing()
}

// resendFactor sends another code to who is setting codes by e-mail up.
func (a *api) resendFactor(c *call) (answer, error) {
	user, o, err := a.factorOf(c)
	switch {
	case err != nil:
		return answer{}, err
	case o.Value.Type != directory.FactorEmail:
		return answer{}, fault.New(fault.Unsupported, "this factor sends nothing")
	case o.Value.Status != directory.FactorPending:
		return answer{}, fault.New(fault.Denied, "the factor is active already").WithReason(directory.ReasonFactor)
	}
	if err := a.Links.SendCode(c.Context(), user, o.ID); err != nil {
		return answer{}, err
	}
	return ok(a.factor(o))
}

// factorTransaction is about pushes that are answered: no factor here has any.
func (a *api) factorTransaction(c *call) (answer, error) {
	if _, _, err := a.factorOf(c); err != nil {
		return answer{}, err
	}
	return answer{}, fault.New(fault.NotFound, "there is no such transaction")
}

func (a *api) factor(o ledger.Object[directory.Factor]) object {
	f := o.Value
	at := func(parts ...string) string {
		return a.href(append([]string{"users", f.User, "factors", o.ID}, parts...)...)
	}
	links := object{"self": ref(at(), "GET", "DELETE"), "user": ref(a.href("users", f.User), "GET")}
	profile := object{}
	switch f.Type {
	case directory.FactorQuestion:
		text, _ := directory.SecurityQuestion(f.Question)
		profile["question"], profile["questionText"] = f.Question, text
		links["questions"] = ref(a.href("users", f.User, "factors", "questions"), "GET")
	case directory.FactorPasskey:
		profile["credentialId"], profile["authenticatorName"] = base64.RawURLEncoding.EncodeToString(f.Passkey.Credential), f.Passkey.Name
	case directory.FactorEmail:
		profile["email"] = f.Email
	default:
		profile["credentialId"] = f.User
	}
	if f.Status == directory.FactorPending {
		links["activate"] = ref(at("lifecycle", "activate"), "POST")
		if f.Type == directory.FactorEmail {
			links["resend"] = ref(at("resend"), "POST")
		}
	} else if f.Type != directory.FactorPasskey {
		links["verify"] = ref(at("verify"), "POST")
	}
	return object{
		"id": o.ID, "factorType": f.Type, "provider": f.Provider, "vendorName": f.Provider, "status": f.Status,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "profile": profile, "_links": links,
	}
}
