package okta

import (
	"context"
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func unsupported(path, message string) error {
	return fault.New(fault.Invalid, "%s", path).WithFields(fault.Field{Path: path, Message: message})
}

// userBody is a user as it is sent.
type userBody struct {
	Profile     map[string]any `json:"profile"`
	Credentials *struct {
		Password *struct {
			Value *string        `json:"value"`
			Hash  map[string]any `json:"hash"`
			Hook  map[string]any `json:"hook"`
		} `json:"password"`
		Question *questionBody `json:"recovery_question"`
		Provider *struct {
			Type string `json:"type"`
		} `json:"provider"`
	} `json:"credentials"`
	Groups []string `json:"groupIds"`
	Type   *struct {
		ID string `json:"id"`
	} `json:"type"`
}

type questionBody struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

type passwordBody struct {
	Value string `json:"value"`
}

// password returns the password that was sent, nil for none.
func (b *userBody) password() *string {
	if b.Credentials == nil || b.Credentials.Password == nil {
		return nil
	}
	return b.Credentials.Password.Value
}

// check refuses what cannot be done, so that nothing is left out silently.
func (b *userBody) check(a *api) error {
	if b.Type != nil && b.Type.ID != "" && b.Type.ID != a.userType() && b.Type.ID != "default" {
		return unsupported("type.id", "is not a user type: there is one, "+a.userType())
	}
	if b.Credentials == nil {
		return nil
	}
	if p := b.Credentials.Password; p != nil && (p.Hash != nil || p.Hook != nil) {
		return unsupported("credentials.password", "hashes and hooks cannot be imported: send a value")
	}
	if p := b.Credentials.Provider; p != nil && p.Type != "" && p.Type != "OKTA" {
		return unsupported("credentials.provider.type", "must be OKTA")
	}
	return nil
}

// over lays the attributes that were sent over a profile: null takes one away.
func over(p *directory.Profile, sent map[string]any) error {
	for name, v := range sent {
		var field *string
		switch name {
		case "login":
			field = &p.Login
		case "email":
			field = &p.Email
		case "firstName":
			field = &p.FirstName
		case "lastName":
			field = &p.LastName
		}
		switch text, isText := v.(string); {
		case field != nil && v == nil:
			*field = ""
		case field != nil && !isText:
			return unsupported("profile."+name, "must be text")
		case field != nil:
			*field = text
		case v == nil:
			delete(p.Attributes, name)
		default:
			if p.Attributes == nil {
				p.Attributes = map[string]any{}
			}
			p.Attributes[name] = v
		}
	}
	return nil
}

func (a *api) createUser(c *call) (answer, error) {
	var b userBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(a); err != nil {
		return answer{}, err
	}
	if err := a.mayFill(c, b.Groups...); err != nil {
		return answer{}, err
	}
	n := directory.NewUser{Groups: b.Groups}
	if err := over(&n.Profile, b.Profile); err != nil {
		return answer{}, err
	}
	if p := b.password(); p != nil {
		n.Password = *p
	}
	if b.Credentials != nil && b.Credentials.Question != nil {
		n.Question, n.Answer = b.Credentials.Question.Question, b.Credentials.Question.Answer
	}
	switch {
	case c.FormValue("activate") == "false":
		n.Status = directory.Staged
	case n.Password == "":
		n.Status = directory.Provisioned
	default:
		n.Status = directory.Active
	}
	if next := c.FormValue("nextLogin"); next != "" && next != "changePassword" {
		return answer{}, unsupported("nextLogin", "must be changePassword")
	}
	u, err := a.People.CreateUser(c.Context(), c.by(), n)
	if err == nil && c.FormValue("nextLogin") != "" && u.Value.Status == directory.Active {
		if err = a.People.SetStatus(c.Context(), c.by(), u.ID, directory.PasswordExpired); err == nil {
			u, err = a.People.User(c.Context(), u.ID)
		}
	}
	if err != nil {
		return answer{}, taken(err, "login")
	}
	return ok(a.user(u, true))
}

// taken turns a unique key that exists into Okta's validation error.
func taken(err error, name string) error {
	if f := fault.Of(err); f != nil && f.Code == fault.Conflict && f.Reason == "" {
		return f.WithFields(fault.Field{Path: name, Message: "An object with this field already exists in the current organization"})
	}
	return err
}

// findUser returns the user that a path names: by id, by login, by the part of a
// login before its @, or the caller as "me".
func (a *api) findUser(c *call, name string) (u ledger.Object[directory.User], err error) {
	if name == "me" {
		if c.actor.User == "" {
			return u, fault.New(fault.NotFound, "the token is nobody's")
		}
		return a.People.User(c.Context(), c.actor.User)
	}
	u, err = a.People.User(c.Context(), name)
	if !fault.Is(err, fault.NotFound) {
		return u, err
	}
	if u, err = a.People.FindUser(c.Context(), name); !fault.Is(err, fault.NotFound) || strings.Contains(name, "@") {
		return u, err
	}
	return a.People.FindShortLogin(c.Context(), name)
}

// userID returns the id of the user that the path names.
func (a *api) userID(c *call) (string, error) {
	u, err := a.findUser(c, c.arg("id"))
	return u.ID, err
}

// getUser answers a user to who may read users, and everybody themselves.
func (a *api) getUser(c *call) (answer, error) {
	if c.arg("id") != "me" && c.arg("id") != c.actor.User && !c.actor.may("okta.users.read") {
		return answer{}, errNotAllowed("okta.users.read")
	}
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.user(u, true))
}

func (a *api) replaceUser(c *call) (answer, error) { return a.changeUser(c, true) }
func (a *api) updateUser(c *call) (answer, error)  { return a.changeUser(c, false) }

// changeUser changes what was sent: a profile is replaced whole or in parts.
func (a *api) changeUser(c *call, whole bool) (answer, error) {
	var b userBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(a); err != nil {
		return answer{}, err
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	change := directory.UserChange{Password: b.password()}
	if b.Profile != nil {
		change.Profile = func(p *directory.Profile) error {
			if whole {
				*p = directory.Profile{}
			}
			return over(p, b.Profile)
		}
	}
	if b.Credentials != nil && b.Credentials.Question != nil && b.Credentials.Question.Answer != "" {
		change.Question, change.Answer = &b.Credentials.Question.Question, &b.Credentials.Question.Answer
	}
	u, err := a.People.ChangeUser(c.Context(), c.by(), id, change)
	if err != nil {
		return answer{}, taken(err, "login")
	}
	return ok(a.user(u, true))
}

func (a *api) deleteUser(c *call) (answer, error) {
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := a.People.DeleteUser(c.Context(), c.by(), id); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) listUserGroups(c *call) (answer, error) {
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	groups, err := a.People.UserGroups(c.Context(), id)
	if err != nil {
		return answer{}, err
	}
	return page(groups, "", a.group)
}

// change is a transition of the life cycle that answers an empty object.
func (a *api) transition(c *call, do func(ctx context.Context, by ledger.Actor, id string) error) (answer, error) {
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	if err := do(c.Context(), c.by(), id); err != nil {
		return answer{}, err
	}
	return ok(object{})
}

func (a *api) activateUser(c *call) (answer, error) {
	return a.transition(c, func(ctx context.Context, by ledger.Actor, id string) error {
		_, err := a.People.Activate(ctx, by, id)
		return err
	})
}

func (a *api) reactivateUser(c *call) (answer, error) {
	return a.transition(c, func(ctx context.Context, by ledger.Actor, id string) error {
		_, err := a.People.Reactivate(ctx, by, id)
		return err
	})
}

func (a *api) deactivateUser(c *call) (answer, error) { return a.status(c, directory.Deprovisioned) }
func (a *api) suspendUser(c *call) (answer, error)    { return a.status(c, directory.Suspended) }
func (a *api) unlockUser(c *call) (answer, error)     { return a.transition(c, a.People.Unlock) }
func (a *api) unsuspendUser(c *call) (answer, error)  { return a.transition(c, a.People.Unsuspend) }

func (a *api) status(c *call, to directory.Status) (answer, error) {
	return a.transition(c, func(ctx context.Context, by ledger.Actor, id string) error {
		return a.People.SetStatus(ctx, by, id, to)
	})
}

// expirePassword makes the user change the password at the next sign-in.
func (a *api) expirePassword(c *call) (answer, error) {
	if _, err := a.status(c, directory.PasswordExpired); err != nil {
		return answer{}, err
	}
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.user(u, true))
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

// listUsers answers q (the beginning of a name, login or address), filter and
// search, alone or together.
func (a *api) listUsers(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	if c.FormValue("sortBy") != "" {
		return answer{}, fault.New(fault.Invalid, "sortBy is not available: users are listed by id").WithReason(reasonSearch)
	}
	search, err := parseFilter(c.FormValue("search"))
	if err != nil {
		return answer{}, err
	}
	filtered, err := parseFilter(c.FormValue("filter"))
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(strings.TrimSpace(c.FormValue("q")))
	both := &filter{op: "and"}
	for _, f := range []*filter{search, filtered} {
		if f != nil {
			both.parts = append(both.parts, f)
		}
	}
	asked := directory.UserList{After: c.FormValue("after"), Limit: limit}
	asked.Login, _ = both.equal("profile.login")
	asked.Email, _ = both.equal("profile.email")
	if s, ok := both.equal("status"); ok {
		asked.Status = directory.Status(strings.ToUpper(s))
	}
	if q != "" || len(both.parts) > 0 {
		asked.Match = func(u ledger.Object[directory.User]) bool {
			return (q == "" || beginsWith(u.Value.Profile, q)) && both.match(func(path string) any { return a.userAttribute(u, path) })
		}
	} else {
		// A list without conditions is of those who are still there.
		asked.Match = func(u ledger.Object[directory.User]) bool { return u.Value.Status != directory.Deprovisioned }
	}
	p, err := a.People.ListUsers(c.Context(), asked)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, func(u ledger.Object[directory.User]) object { return a.user(u, false) })
}

func beginsWith(p directory.Profile, q string) bool {
	for _, s := range []string{p.FirstName, p.LastName, p.Email, p.Login} {
		if strings.HasPrefix(strings.ToLower(s), q) {
			return true
		}
	}
	return false
}

// userAttribute returns what a filter compares.
func (a *api) userAttribute(u ledger.Object[directory.User], path string) any {
	if name, profile := strings.CutPrefix(path, "profile."); profile {
		v, _ := u.Value.Profile.Attribute(name)
		return v
	}
	switch strings.ToLower(path) {
	case "id":
		return u.ID
	case "status":
		return string(u.Value.Status)
	case "created":
		return u.Created
	case "lastupdated":
		return u.Updated
	case "activated":
		return orNil(u.Value.Activated)
	case "statuschanged":
		return orNil(u.Value.StatusChanged)
	case "passwordchanged":
		return orNil(u.Value.PasswordChanged)
	case "type.id":
		return a.userType()
	}
	return nil
}
