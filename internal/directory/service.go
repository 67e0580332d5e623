package directory

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// Hasher turns a password into its verifier; keys.Passwords is one.
type Hasher interface {
	Hash(ctx context.Context, password string) (string, error)
}

// Config is what a Service needs.
type Config struct {
	Ledger    *ledger.Ledger
	Passwords Hasher
	Audit     audit.Recorder
}

// Service changes and reads the directory. The tenant of each call is that of its
// context.
type Service struct{ cfg Config }

// NewService returns a Service.
func NewService(cfg Config) *Service { return &Service{cfg: cfg} }

// NewUser is what CreateUser needs.
type NewUser struct {
	Profile  Profile
	Password string // may be empty: then the user cannot sign in with one
	Staged   bool   // not active yet
}

// Bounds of a password, in characters and bytes. The upper one keeps hashing
// from being a way to keep the server busy.
const (
	minPassword = 8
	maxPassword = 256
)

// CreateUser adds a user, active unless staged. fault.Conflict when the login is
// taken.
func (s *Service) CreateUser(ctx context.Context, actor ledger.Actor, n NewUser) (out ledger.Object[User], err error) {
	defer fault.Wrap(&err, "make user %q", n.Profile.Login)
	u := User{Status: Active, Profile: n.Profile}
	if n.Staged {
		u.Status = Staged
	}
	if n.Password != "" {
		if u.Password, err = s.hash(ctx, n.Password); err != nil {
			return out, err
		}
	}
	_, err = s.cfg.Ledger.Update(ctx, actor, "make user "+n.Profile.Login, func(tx *ledger.Tx) error {
		u := u
		u.StatusChanged = tx.Now()
		if u.Password != "" {
			u.PasswordChanged = tx.Now()
		}
		out, err = Users.Create(tx, u)
		return err
	})
	if err != nil {
		return out, err
	}
	s.record(ctx, actor, audit.UserCreated, "Create user", userEntity(out))
	return out, nil
}

// hash returns the verifier of a password that is long enough and not too long.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return "", fault.New(fault.Invalid, "the password must have at least %d characters and at most %d bytes", minPassword, maxPassword)
	}
	return s.cfg.Passwords.Hash(ctx, password)
}

// SetPassword replaces a user's password.
func (s *Service) SetPassword(ctx context.Context, actor ledger.Actor, userID, password string) (err error) {
	defer fault.Wrap(&err, "set the password of user %q", userID)
	verifier, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "set the password of user "+userID, func(tx *ledger.Tx) error {
		u, err := Users.Get(tx, userID)
		if err != nil {
			return err
		}
		u.Value.Password, u.Value.PasswordChanged = verifier, tx.Now()
		user, err = Users.Put(tx, u)
		return err
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, audit.UserPasswordSet, "Set a user's password", userEntity(user))
	return nil
}

// SetStatus moves a user in the life cycle; fault.Conflict when the way is not
// open, nothing when the user is there already.
func (s *Service) SetStatus(ctx context.Context, actor ledger.Actor, userID string, to Status) (err error) {
	defer fault.Wrap(&err, "change the status of user %q", userID)
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "user "+userID+" is "+string(to), func(tx *ledger.Tx) error {
		u, err := Users.Get(tx, userID)
		if err != nil {
			return err
		}
		if u.Value.Status == to {
			user = u
			return nil
		}
		if !slices.Contains(transitions[u.Value.Status], to) {
			return fault.New(fault.Conflict, "a user who is %s cannot become %s: possible are %s", u.Value.Status, to, words(transitions[u.Value.Status]))
		}
		u.Value.Status, u.Value.StatusChanged = to, tx.Now()
		user, err = Users.Put(tx, u)
		return err
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, audit.UserStatusChanged, "User is "+string(to), userEntity(user))
	return nil
}

func words(list []Status) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// User returns a user by id, or fault.NotFound.
func (s *Service) User(ctx context.Context, id string) (u ledger.Object[User], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		u, err = Users.Get(tx, id)
		return err
	})
	return u, err
}

// FindUser returns a user by login, whatever its case, or fault.NotFound.
func (s *Service) FindUser(ctx context.Context, login string) (u ledger.Object[User], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		u, err = Users.Find(tx, byLogin(login))
		return err
	})
	return u, err
}

// CreateGroup adds a group. fault.Conflict when the name is taken.
func (s *Service) CreateGroup(ctx context.Context, actor ledger.Actor, g Group) (out ledger.Object[Group], err error) {
	defer fault.Wrap(&err, "make group %q", g.Name)
	_, err = s.cfg.Ledger.Update(ctx, actor, "make group "+g.Name, func(tx *ledger.Tx) error {
		out, err = Groups.Create(tx, g)
		return err
	})
	if err != nil {
		return out, err
	}
	s.record(ctx, actor, audit.GroupCreated, "Create group", groupEntity(out))
	return out, nil
}

// FindGroup returns a group by name, or fault.NotFound.
func (s *Service) FindGroup(ctx context.Context, name string) (g ledger.Object[Group], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		g, err = Groups.Find(tx, ledger.By("name", name))
		return err
	})
	return g, err
}

// AddMember puts a user into a group; nothing happens when they are in it.
func (s *Service) AddMember(ctx context.Context, actor ledger.Actor, groupID, userID string) (err error) {
	defer fault.Wrap(&err, "add user %q to group %q", userID, groupID)
	return s.member(ctx, actor, groupID, userID, audit.GroupMemberAdded, "Add user to group membership", func(tx *ledger.Tx, there bool, _ string) error {
		if there {
			return nil
		}
		_, err := Memberships.Create(tx, Membership{Group: groupID, User: userID})
		return err
	})
}

// RemoveMember takes a user out of a group; nothing happens when they are not in it.
func (s *Service) RemoveMember(ctx context.Context, actor ledger.Actor, groupID, userID string) (err error) {
	defer fault.Wrap(&err, "remove user %q from group %q", userID, groupID)
	return s.member(ctx, actor, groupID, userID, audit.GroupMemberGone, "Remove user from group membership", func(tx *ledger.Tx, there bool, id string) error {
		if !there {
			return nil
		}
		return Memberships.Delete(tx, id, 0)
	})
}

// member runs f with what is known of a membership, after it has made sure that
// both sides exist.
func (s *Service) member(ctx context.Context, actor ledger.Actor, groupID, userID, event, message string, f func(tx *ledger.Tx, there bool, id string) error) error {
	var group ledger.Object[Group]
	var user ledger.Object[User]
	changed := false
	_, err := s.cfg.Ledger.Update(ctx, actor, message, func(tx *ledger.Tx) error {
		var err error
		if group, err = Groups.Get(tx, groupID); err != nil {
			return err
		}
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		m, err := Memberships.Find(tx, ledger.By("pair", groupID, userID))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := f(tx, err == nil, m.ID); err != nil {
			return err
		}
		changed = len(tx.Changes()) > 0
		return nil
	})
	if err == nil && changed {
		s.record(ctx, actor, event, message, userEntity(user), groupEntity(group))
	}
	return err
}

// MemberOf is a group that a user is in.
type MemberOf struct {
	ID   string // of the group
	Name string // of the group
}

// GroupsOf returns the groups of a user, sorted by name.
func (s *Service) GroupsOf(ctx context.Context, userID string) (out []MemberOf, err error) {
	defer fault.Wrap(&err, "read the groups of user %q", userID)
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		for m, err := range Memberships.All(tx, ledger.Query{By: "user", Equal: []string{userID}}) {
			if err != nil {
				return err
			}
			g, err := Groups.Get(tx, m.Value.Group)
			if err != nil {
				return err
			}
			out = append(out, MemberOf{ID: g.ID, Name: g.Value.Name})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b MemberOf) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

func (s *Service) record(ctx context.Context, actor ledger.Actor, eventType, message string, targets ...audit.Entity) {
	t, _ := tenant.From(ctx)
	s.cfg.Audit.Record(audit.Event{
		Tenant: t, Type: eventType, Message: message,
		Actor:   audit.Entity{ID: actor.ID, Type: actor.Type, DisplayName: actor.Name},
		Targets: targets, Outcome: audit.Outcome{Result: audit.Success},
	})
}

func userEntity(u ledger.Object[User]) audit.Entity {
	return audit.Entity{ID: u.ID, Type: "User", AlternateID: u.Value.Profile.Login, DisplayName: u.Value.Profile.DisplayName()}
}

func groupEntity(g ledger.Object[Group]) audit.Entity {
	return audit.Entity{ID: g.ID, Type: "UserGroup", DisplayName: g.Value.Name}
}
