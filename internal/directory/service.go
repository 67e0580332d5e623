package directory

import (
	"context"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/tenant"
)

// Passwords turns a password into its verifier and compares them; keys.Passwords
// does.
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	Check(ctx context.Context, verifier, password string) (ok, rehash bool, err error)
}

// Config is what a Service needs.
type Config struct {
	Ledger    *ledger.Ledger
	Passwords Passwords
	Audit     audit.Recorder
	// Sealer and SingleUse may be nil: then there are no authenticator apps.
	Sealer    Sealer
	SingleUse SingleUse
	// FactorUse may be nil: then there are no passkeys.
	FactorUse FactorUse
	// EmailCodes may be nil: then no codes are sent.
	EmailCodes EmailCodes
	// Breached is asked about new passwords; nil: none is known to thieves.
	Breached Breached
	// Rules are asked about passwords and second factors; nil: DefaultPasswordRule, and
	// every factor that there is.
	Rules Rules
}

// Breached knows passwords that are known to thieves; *keys.Breached does.
type Breached interface {
	Contains(password string) (bool, error)
}

// Service changes and reads the directory. The tenant of each call is that of its
// context.
type Service struct{ cfg Config }

// NewService returns a Service.
func NewService(cfg Config) *Service { return &Service{cfg: cfg} }

// NewUser is what CreateUser needs.
type NewUser struct {
	Profile  Profile
	Type     string   // id of a user type; empty: the default one
	Password string   // may be empty: then the user cannot sign in with one
	Verifier string   // in place of Password: keys.ImportedHash makes it
	Staged   bool     // not active yet
	Status   Status   // Staged, Provisioned or Active; empty: as Staged says
	Question string   // recovery question; empty for none
	Answer   string   // to the question
	Groups   []string // ids of groups to put the user into
	External string   // what the system that provisions the user calls them
	// Once is as in UserChange.
	Once func(ctx context.Context) error
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
	u := User{Status: n.Status, Type: n.Type, Profile: n.Profile, External: n.External}
	if u.Status == "" {
		u.Status = Active
		if n.Staged {
			u.Status = Staged
		}
	}
	if n.Password != "" {
		if u.Password, err = s.hash(ctx, Subject{Groups: n.Groups}, &n.Profile, n.Password); err != nil {
			return out, err
		}
	}
	if n.Verifier != "" {
		u.Password = n.Verifier
	}
	if n.Question != "" || n.Answer != "" {
		if u.Question, err = s.question(ctx, n.Question, n.Answer); err != nil {
			return out, err
		}
	}
	if n.Once != nil {
		if err := checkUser(u); err != nil {
			return out, err
		}
		if err := n.Once(ctx); err != nil {
			return out, err
		}
	}
	_, err = s.cfg.Ledger.Update(ctx, actor, "make user "+n.Profile.Login, func(tx *ledger.Tx) error {
		out, err = insert(tx, u, n.Groups)
		return err
	})
	if err != nil {
		return out, err
	}
	s.record(ctx, actor, audit.UserCreated, "Create user", userEntity(out))
	return out, nil
}

// insert adds a user whose status and credentials are set, to these groups and to
// those of the rules.
func insert(tx *ledger.Tx, u User, groups []string) (out ledger.Object[User], err error) {
	if u.Status != Staged {
		u.StatusChanged, u.Activated = tx.Now(), tx.Now()
	}
	if u.Password != "" {
		u.PasswordChanged = tx.Now()
	}
	if err := checkProfile(tx, u); err != nil {
		return out, err
	}
	if out, err = Users.Create(tx, u); err != nil {
		return out, err
	}
	for _, g := range groups {
		if err := join(tx, g, out.ID); err != nil {
			return out, err
		}
	}
	return out, applyRules(tx, out)
}

// User returns a user by id, or fault.NotFound.
func (s *Service) User(ctx context.Context, id string) (ledger.Object[User], error) {
	return Users.Now(ctx, s.cfg.Ledger, id)
}

// FindUser returns a user by login, whatever its case, or fault.NotFound.
func (s *Service) FindUser(ctx context.Context, login string) (u ledger.Object[User], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		u, err = Users.Find(tx, byLogin(login))
		return err
	})
	return u, err
}

// AddMember puts a user into a group; nothing happens when they are in it.
func (s *Service) AddMember(ctx context.Context, actor ledger.Actor, groupID, userID string) (err error) {
	defer fault.Wrap(&err, "add user %q to group %q", userID, groupID)
	return s.member(ctx, actor, groupID, userID, audit.GroupMemberAdded, "Add user to group membership", func(tx *ledger.Tx, there bool, _ string) error {
		if there {
			return nil
		}
		return join(tx, groupID, userID)
	})
}

// RemoveMember takes a user out of a group; nothing happens when they are not in it.
func (s *Service) RemoveMember(ctx context.Context, actor ledger.Actor, groupID, userID string) (err error) {
	defer fault.Wrap(&err, "remove user %q from group %q", userID, groupID)
	return s.member(ctx, actor, groupID, userID, audit.GroupMemberGone, "Remove user from group membership", func(tx *ledger.Tx, there bool, id string) error {
		if !there {
			return nil
		}
		if err := Memberships.Delete(tx, id, 0); err != nil {
			return err
		}
		return membersChanged(tx, groupID)
	})
}

// join puts a user into a group that they are not in.
func join(tx *ledger.Tx, groupID, userID string) error {
	g, err := Groups.Get(tx, groupID)
	if err != nil {
		return err
	}
	if g.Value.BuiltIn {
		return errEveryone()
	}
	if _, err := Memberships.Create(tx, Membership{Group: groupID, User: userID}); err != nil {
		return err
	}
	return membersChanged(tx, groupID)
}

func membersChanged(tx *ledger.Tx, groupID string) error {
	g, err := Groups.Get(tx, groupID)
	if err != nil {
		return err
	}
	g.Value.MembersChanged = tx.Now()
	if g.Value.ProfileChanged.IsZero() {
		g.Value.ProfileChanged = g.Updated
	}
	_, err = Groups.Put(tx, g)
	return err
}

func errEveryone() error {
	return fault.New(fault.Denied, "everybody is in the group %s: nobody can be added or removed", EveryoneGroup).WithReason(ReasonBuiltIn)
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
		if group.Value.BuiltIn {
			return errEveryone()
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

// IsMember reports whether a user is in a group, which is not Everyone.
func IsMember(tx *ledger.Tx, group, user string) (bool, error) {
	_, err := Memberships.Find(tx, ledger.By("pair", group, user))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// MemberOf is a group that a user is in.
type MemberOf struct {
	ID   string // of the group
	Name string // of the group
	// Type and Description are the group's, as Okta's API shows them.
	Type, Description string
}

// AsMember returns what being in the group means.
func AsMember(g ledger.Object[Group]) MemberOf {
	return MemberOf{ID: g.ID, Name: g.Value.Name, Type: g.Value.Type(), Description: g.Value.Description}
}

// GroupsOf returns the groups of a user, sorted by name. The group Everyone is
// among them, so that conditions may name it like others.
func (s *Service) GroupsOf(ctx context.Context, userID string) (out []MemberOf, err error) {
	defer fault.Wrap(&err, "read the groups of user %q", userID)
	groups, err := s.UserGroups(ctx, userID)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		out = append(out, AsMember(g))
	}
	order.By(out, func(a, b MemberOf) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
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
