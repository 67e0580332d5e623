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
		{directory.FactorQuestion, "OKTA"}, {directory.FactorTOTP, "OKTA"}, {directory.FactorTOTP, "GOOGLE"}, {directory.FactorPasskey, "FIDO"},
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
		} `json:"profile"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	o, secret, err := a.People.EnrollFactor(c.Context(), c.by(), user, directory.NewFactor{
		Type: b.Type, Provider: b.Provider, Question: b.Profile.Question, Answer: b.Profile.Answer,
	})
	if err != nil {
		return answer{}, taken(err, "factorType")
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
	given := b.Code
	if o.Value.Type == directory.FactorQuestion {
		given = b.Answer
	}
	if err := a.People.VerifyFactor(c.Context(), user, o.ID, given); err != nil {
		return answer{}, err
	}
	return ok(object{"factorResult": "SUCCESS"})
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

// resendFactor and factorTransaction are about codes that are sent and pushes that
// are answered: no factor here has either.
func (a *api) resendFactor(c *call) (answer, error) {
	if _, _, err := a.factorOf(c); err != nil {
		return answer{}, err
	}
	return answer{}, fault.New(fault.Unsupported, "this factor sends nothing")
}

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
	default:
		profile["credentialId"] = f.User
	}
	if f.Status == directory.FactorPending {
		links["activate"] = ref(at("lifecycle", "activate"), "POST")
	} else if f.Type != directory.FactorPasskey {
		links["verify"] = ref(at("verify"), "POST")
	}
	return object{
		"id": o.ID, "factorType": f.Type, "provider": f.Provider, "vendorName": f.Provider, "status": f.Status,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "profile": profile, "_links": links,
	}
}
