package okta

import (
	"context"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/session"
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

// Links makes links by which people choose a password; login makes them. They are
// sent, or returned in the answer when send is false.
type Links interface {
	ActivationLink(ctx context.Context, userID string, send bool) (address, token string, err error)
	// ResetLink's byAdmin says that the old password works no more.
	ResetLink(ctx context.Context, userID string, send, byAdmin bool) (address string, err error)
	// SendCode sends the next code of a factor of codes by e-mail; fault.RateLimited when
	// several have been sent already.
	SendCode(ctx context.Context, userID, factor string) error
	// CanSend reports whether there is mail.
	CanSend() bool
}

// sends reads whether a letter is to be sent.
func (c *call) sends(fallback bool) (bool, error) {
	switch c.FormValue("sendEmail") {
	case "":
		return fallback, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, unsupported("sendEmail", "must be true or false")
}

// resetPassword takes the old password from use. The link by which the person chooses
// a new one is sent, or answered.
func (a *api) resetPassword(c *call) (answer, error) {
	send, err := c.sends(true)
	if err != nil {
		return answer{}, err
	}
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	if send && !a.Links.CanSend() {
		return answer{}, errNoMail()
	}
	if err := a.People.SetStatus(c.Context(), c.by(), u.ID, directory.Recovery); err != nil {
		return answer{}, err
	}
	if c.FormValue("revokeSessions") == "true" {
		if _, err := a.Sessions.End(c.Context(), session.Selection{User: u.ID}); err != nil {
			return answer{}, err
		}
	}
	return a.resetLink(c, u.ID, send, true)
}

func (a *api) resetLink(c *call, user string, send, byAdmin bool) (answer, error) {
	address, err := a.Links.ResetLink(c.Context(), user, send, byAdmin)
	if err != nil || send {
		return answer{status: http.StatusOK, body: object{}}, err
	}
	return ok(object{"resetPasswordUrl": address})
}

func errNoMail() error {
	return unsupported("sendEmail", "there is no mail server: say sendEmail=false, or set server.mail")
}

// readForUser reads a body, and returns the id of the user whom the path names.
func (a *api) readForUser(c *call, body any) (id string, err error) {
	if err := c.read(body); err != nil {
		return "", err
	}
	return a.userID(c)
}

// forgotPassword sets a new password with the answer to the recovery question; without
// a body it sends a link, or answers it.
func (a *api) forgotPassword(c *call) (answer, error) {
	var b struct {
		Password passwordBody `json:"password"`
		Question questionBody `json:"recovery_question"`
	}
	id, err := a.readForUser(c, &b)
	if err != nil {
		return answer{}, err
	}
	policy, err := a.passwordPolicy(c, id)
	if err != nil {
		return answer{}, err
	}
	if b.Password.Value == "" && b.Question.Answer == "" {
		return a.forgotLink(c, id, policy.MayReset())
	}
	if policy.Reset != access.SignOnAllow || policy.NoQuestion {
		return answer{}, errForgotPolicy()
	}
	u, err := a.People.RecoverPassword(c.Context(), c.by(), id, b.Question.Answer, b.Password.Value)
	if err != nil {
		return answer{}, err
	}
	return ok(credentials(u.Value))
}

// passwordPolicy returns what the password policies say of a user.
func (a *api) passwordPolicy(c *call, user string) (d access.PasswordDecision, err error) {
	in := access.SignIn{User: user}
	groups, err := a.People.GroupsOf(c.Context(), user)
	if err != nil {
		return d, err
	}
	for _, g := range groups {
		in.Groups = append(in.Groups, g.ID)
	}
	return a.Access.PreviewPassword(c.Context(), in)
}

func errForgotPolicy() error {
	return fault.New(fault.Denied, "the password policy does not let the user replace a forgotten password so").WithReason(directory.ReasonRecovery)
}

// forgotLink makes a link for a user who may still have the old password.
func (a *api) forgotLink(c *call, id string, may bool) (answer, error) {
	if !may {
		return answer{}, errForgotPolicy()
	}
	send, err := c.sends(true)
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.User(c.Context(), id)
	if err != nil {
		return answer{}, err
	}
	switch u.Value.Status {
	case directory.Active, directory.PasswordExpired, directory.Recovery, directory.LockedOut:
	case directory.Staged, directory.Provisioned, directory.Suspended, directory.Deprovisioned:
		return answer{}, fault.New(fault.Denied, "the user is %s", u.Value.Status).WithReason(directory.ReasonRecovery)
	}
	if send && !a.Links.CanSend() {
		return answer{}, errNoMail()
	}
	return a.resetLink(c, id, send, false)
}

func (a *api) changePassword(c *call) (answer, error) {
	var b struct {
		Old passwordBody `json:"oldPassword"`
		New passwordBody `json:"newPassword"`
	}
	id, err := a.readForUser(c, &b)
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.ChangePassword(c.Context(), c.by(), id, b.Old.Value, b.New.Value, c.FormValue("strict") == "true")
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
	id, err := a.readForUser(c, &b)
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.ChangeQuestion(c.Context(), c.by(), id, b.Password.Value, b.Question.Question, b.Question.Answer)
	if err != nil {
		return answer{}, err
	}
	return ok(credentials(u.Value))
}
