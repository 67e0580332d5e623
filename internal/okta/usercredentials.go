package okta

import (
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
)

// expirePassword makes the user change the password at the next sign-in, with the
// old one or with a temporary one that is in the answer.
func (a *api) expirePassword(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	temporary, err := a.People.ExpirePassword(c.Context(), c.by(), u.ID, c.FormValue("tempPassword") == "true")
	if err != nil {
		return answer{}, err
	}
	if temporary != "" {
		return ok(object{"tempPassword": temporary})
	}
	if u, err = a.People.User(c.Context(), u.ID); err != nil {
		return answer{}, err
	}
	return ok(a.user(u, true))
}

// reasonReset is the reason of a fault about links that are not there.
const reasonReset = "no_reset_links"

// resetPassword would send a link by mail, or answer one. There is neither mail nor a
// page behind such a link.
func (a *api) resetPassword(c *call) (answer, error) {
	if _, err := a.findUser(c, c.arg("id")); err != nil {
		return answer{}, err
	}
	return answer{}, fault.New(fault.Denied, "links by which people choose a password are not available: expire_password?tempPassword=true answers a temporary one").
		WithReason(reasonReset)
}

// forgotPassword sets a new password with the answer to the recovery question.
func (a *api) forgotPassword(c *call) (answer, error) {
	var b struct {
		Password passwordBody `json:"password"`
		Question questionBody `json:"recovery_question"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	if b.Password.Value == "" {
		return answer{}, fault.New(fault.Denied, "send a new password and the answer to the recovery question: links by mail are not available").
			WithReason(directory.ReasonRecovery)
	}
	u, err := a.People.RecoverPassword(c.Context(), c.by(), id, b.Question.Answer, b.Password.Value)
	if err != nil {
		return answer{}, err
	}
	return ok(credentials(u.Value))
}

func (a *api) changePassword(c *call) (answer, error) {
	var b struct {
		Old passwordBody `json:"oldPassword"`
		New passwordBody `json:"newPassword"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.ChangePassword(c.Context(), c.by(), id, b.Old.Value, b.New.Value)
	if err != nil {
		return answer{}, err
	}
	return ok(credentials(u.Value))
}

func (a *api) changeQuestion(c *call) (answer, error) {
	var b struct {
		Password passwordBody `json:"password"`
		Question questionBody `json:"recovery_question"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.ChangeQuestion(c.Context(), c.by(), id, b.Password.Value, b.Question.Question, b.Question.Answer)
	if err != nil {
		return answer{}, err
	}
	return ok(credentials(u.Value))
}
