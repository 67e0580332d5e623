package okta

import (
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
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
			Hash  *hashBody      `json:"hash"`
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

// hashBody is a hash of another system as it is sent.
type hashBody struct {
	Algorithm string `json:"algorithm"`
	Work      int    `json:"workFactor"`
	Salt      string `json:"salt"`
	SaltOrder string `json:"saltOrder"`
	Value     string `json:"value"`
	Digest    string `json:"digestAlgorithm"`
	Rounds    int    `json:"iterationCount"`
	KeySize   int    `json:"keySize"`
}

// verifier returns the hash that was sent as it is stored, "" for none.
func (b *userBody) verifier() (string, error) {
	if b.Credentials == nil || b.Credentials.Password == nil || b.Credentials.Password.Hash == nil {
		return "", nil
	}
	if b.Credentials.Password.Value != nil {
		return "", unsupported("credentials.password", "must have a value or a hash")
	}
	h := b.Credentials.Password.Hash
	return keys.ImportedHash{
		Algorithm: h.Algorithm, Work: h.Work, Salt: h.Salt, SaltOrder: h.SaltOrder, Value: h.Value, Digest: h.Digest, Rounds: h.Rounds, KeySize: h.KeySize,
	}.Verifier()
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
func (b *userBody) check() error {
	if b.Credentials == nil {
		return nil
	}
	if p := b.Credentials.Password; p != nil && p.Hook != nil {
		return unsupported("credentials.password.hook", "is not available: send a value or a hash")
	}
	if p := b.Credentials.Provider; p != nil && p.Type != "" && p.Type != "OKTA" {
		return unsupported("credentials.provider.type", "must be OKTA")
	}
	return nil
}

// userType returns the id of the user type that was sent, nil for none.
func (b *userBody) userType(a *api, c *call) (*string, error) {
	if b.Type == nil || b.Type.ID == "" {
		return nil, nil //nolint:nilnil // none was sent
	}
	o, err := a.People.UserType(c.Context(), b.Type.ID)
	if fault.Is(err, fault.NotFound) {
		return nil, unsupported("type.id", "is not a user type")
	}
	if err != nil {
		return nil, err
	}
	id := o.ID
	if o.Value.Default {
		id = ""
	}
	return &id, nil
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
	if err := b.check(); err != nil {
		return answer{}, err
	}
	if err := a.mayFill(c, b.Groups...); err != nil {
		return answer{}, err
	}
	if send, err := c.sends(false); err != nil {
		return answer{}, err
	} else if send && !a.Links.CanSend() {
		return answer{}, errNoMail()
	}
	n := directory.NewUser{Groups: b.Groups}
	kind, err := b.userType(a, c)
	if err != nil {
		return answer{}, err
	}
	if kind != nil {
		n.Type = *kind
	}
	if err := over(&n.Profile, b.Profile); err != nil {
		return answer{}, err
	}
	if p := b.password(); p != nil {
		n.Password = *p
	}
	if n.Verifier, err = b.verifier(); err != nil {
		return answer{}, err
	}
	if b.Credentials != nil && b.Credentials.Question != nil {
		n.Question, n.Answer = b.Credentials.Question.Question, b.Credentials.Question.Answer
	}
	switch {
	case c.FormValue("activate") == "false":
		n.Status = directory.Staged
	case n.Password == "" && n.Verifier == "":
		n.Status = directory.Provisioned
	default:
		n.Status = directory.Active
	}
	switch next := c.FormValue("nextLogin"); {
	case next == "":
	case next != "changePassword":
		return answer{}, unsupported("nextLogin", "must be changePassword")
	case n.Status == directory.Staged:
		return answer{}, fault.New(fault.Invalid, "nextLogin is for users who are activated").WithReason(reasonExpireStaged)
	case n.Status == directory.Provisioned:
		return answer{}, fault.New(fault.Invalid, "nextLogin is for users who have a password").WithReason(reasonExpireNothing)
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
	if u.Value.Status == directory.Provisioned && a.Links.CanSend() && c.FormValue("sendEmail") != "false" {
		if _, _, err := a.Links.ActivationLink(c.Context(), u.ID, true); err != nil {
			return answer{}, err
		}
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
	if err := b.check(); err != nil {
		return answer{}, err
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	change := directory.UserChange{Password: b.password()}
	if change.Type, err = b.userType(a, c); err != nil {
		return answer{}, err
	}
	if change.Verifier, err = b.verifier(); err != nil {
		return answer{}, err
	}
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
	if err := c.tellsNobody(); err != nil {
		return answer{}, err
	}
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
