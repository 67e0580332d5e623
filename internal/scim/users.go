package scim

import (
	"net/http"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// active reports whether a user is in use as SCIM sees it. Who is locked out for a while
// is; who is suspended is not.
func active(u directory.User) bool { return u.MayAct() || u.Status == directory.LockedOut }

// user shows a user, without the groups.
func (s *server) user(u ledger.Object[directory.User]) resource {
	res := show(u.Value.Profile)
	if u.Value.External != "" {
		res["externalId"] = u.Value.External
	}
	res["active"] = active(u.Value)
	res["schemas"] = []any{schemaUser}
	if res[schemaEnterprise] != nil {
		res["schemas"] = []any{schemaUser, schemaEnterprise}
	}
	s.describe(res, "User", "/Users/", u.Meta)
	return res
}

// describe adds what every resource has.
func (s *server) describe(res resource, kind, endpoint string, m ledger.Meta) {
	res["id"] = m.ID
	res["meta"] = resource{
		"resourceType": kind, "created": m.Created, "lastModified": m.Updated,
		"location": s.URL + Root + endpoint + m.ID, "version": version(m.Revision),
	}
}

// withGroups adds the groups of a user.
func (s *server) withGroups(c *call, res resource) error {
	id, _ := res["id"].(string)
	groups, err := s.People.UserGroups(c.ctx, id)
	if err != nil {
		return err
	}
	var list []any
	for _, g := range groups {
		if !g.Value.BuiltIn {
			list = append(list, resource{"value": g.ID, "$ref": s.URL + Root + "/Groups/" + g.ID, "display": g.Value.Name, "type": "direct"})
		}
	}
	if list != nil {
		res["groups"] = list
	}
	return nil
}

// answerUser answers a user as the caller wants to see them.
func (s *server) answerUser(c *call, status int, u ledger.Object[directory.User]) (answer, error) {
	want, err := c.projection(userType())
	if err != nil {
		return answer{}, err
	}
	res := s.user(u)
	if want.shows("groups") {
		if err := s.withGroups(c, res); err != nil {
			return answer{}, err
		}
	} else if status == http.StatusOK && c.method == http.MethodGet && matches(c.none, u.Revision) {
		// Groups are not part of a user's version, so with them it cannot be told.
		return answer{status: http.StatusNotModified, version: version(u.Revision)}, nil
	}
	return s.one(status, want.of(res), "/Users/", u.Meta), nil
}

// one answers one resource.
func (s *server) one(status int, res resource, endpoint string, m ledger.Meta) answer {
	return answer{status: status, body: stamped(res), location: s.URL + Root + endpoint + m.ID, version: version(m.Revision)}
}

func (s *server) getUser(c *call) (answer, error) {
	u, err := s.People.User(c.ctx, c.id())
	if err != nil {
		return answer{}, err
	}
	return s.answerUser(c, http.StatusOK, u)
}

// change is what a resource makes of a user.
type change struct {
	external string
	active   *bool
	password *string
}

// changeOf reads what is not part of the profile, and refuses what the caller may not
// change of it.
func (c *call) changeOf(res resource, was *directory.User) (out change, err error) {
	out.external, _ = res["externalId"].(string)
	if p, ok := res["password"].(string); ok {
		if was != nil && !c.caller.may("okta.users.credentials.manage") {
			return out, errNotAllowed("okta.users.credentials.manage")
		}
		out.password = &p
	}
	if b, ok := res["active"].(bool); ok && (was == nil || b != active(*was)) {
		need := "okta.users.lifecycle.deactivate"
		if b {
			need = "okta.users.lifecycle.activate"
		}
		if was != nil && !c.caller.may(need) {
			return out, errNotAllowed(need)
		}
		out.active = &b
	}
	return out, nil
}

func (s *server) createUser(c *call) (answer, error) {
	body, err := object(c.body)
	if err != nil {
		return answer{}, err
	}
	t := userType()
	res, err := t.read(body)
	if err != nil {
		return answer{}, err
	}
	if res["userName"] == nil {
		return answer{}, wrong(invalidValue, "userName is missing")
	}
	ch, err := c.changeOf(res, nil)
	if err != nil {
		return answer{}, err
	}
	n := directory.NewUser{Status: directory.Provisioned, External: ch.external}
	if err := take(res, &n.Profile); err != nil {
		return answer{}, err
	}
	if ch.password != nil {
		n.Password, n.Status = *ch.password, directory.Active
	}
	if ch.active != nil && !*ch.active {
		n.Status = directory.Staged
	}
	u, err := s.People.CreateUser(c.ctx, c.by(), n)
	if err != nil {
		return answer{}, inSCIM(err)
	}
	return s.answerUser(c, http.StatusCreated, u)
}

// change replaces a user by what alter makes of the resource that it is.
func (s *server) changeUser(c *call, alter func(resource) (resource, error)) (answer, error) {
	if err := s.guardUser(c, c.id()); err != nil {
		return answer{}, err
	}
	var changed ledger.Object[directory.User]
	err := c.retried(func() error {
		u, err := s.People.User(c.ctx, c.id())
		if err != nil {
			return err
		}
		if err := c.precondition(u.Revision); err != nil {
			return err
		}
		res, err := alter(s.user(u))
		if err != nil {
			return err
		}
		if res["userName"] == nil {
			return wrong(invalidValue, "userName cannot be taken away")
		}
		ch, err := c.changeOf(res, &u.Value)
		if err != nil {
			return err
		}
		changed, err = s.People.ProvisionUser(c.ctx, c.by(), u.ID, directory.Provision{
			Revision: u.Revision, Active: ch.active, Password: ch.password,
			Profile: func(p *directory.Profile, external *string) error {
				*external = ch.external
				return take(res, p)
			},
		})
		return err
	})
	if err != nil {
		return answer{}, inSCIM(err)
	}
	return s.answerUser(c, http.StatusOK, changed)
}

func (s *server) replaceUser(c *call) (answer, error) {
	body, err := object(c.body)
	if err != nil {
		return answer{}, err
	}
	t := userType()
	res, err := t.read(body)
	if err != nil {
		return answer{}, err
	}
	return s.changeUser(c, func(resource) (resource, error) { return res, nil })
}

func (s *server) patchUser(c *call) (answer, error) {
	operations, err := readPatch(c.body)
	if err != nil {
		return answer{}, err
	}
	t := userType()
	return s.changeUser(c, func(res resource) (resource, error) {
		for _, o := range operations {
			if err := t.apply(res, o); err != nil {
				return nil, err
			}
		}
		return res, nil
	})
}

// deleteUser deletes a user; where DELETE deactivates first, the second one does.
func (s *server) deleteUser(c *call) (answer, error) {
	if err := s.guardUser(c, c.id()); err != nil {
		return answer{}, err
	}
	err := c.retried(func() error {
		u, err := s.People.User(c.ctx, c.id())
		if err != nil {
			return err
		}
		if err := c.precondition(u.Revision); err != nil {
			return err
		}
		if !s.Deactivate || u.Value.Status == directory.Deprovisioned {
			return s.People.RemoveUser(c.ctx, c.by(), u.ID, u.Revision)
		}
		no := false
		_, err = s.People.ProvisionUser(c.ctx, c.by(), u.ID, directory.Provision{Revision: u.Revision, Active: &no})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// retried does a change again when somebody else's came between reading and writing,
// unless the caller asked for a version.
func (c *call) retried(do func() error) error {
	for attempt := 0; ; attempt++ {
		err := do()
		if c.match != "" || attempt == 5 || !fault.Is(err, fault.Stale) {
			return err
		}
	}
}
