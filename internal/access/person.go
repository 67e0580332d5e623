package access

import (
	"context"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Person is what decides about the tokens of one user for one app.
type Person struct {
	ID      string
	User    directory.User
	Updated time.Time            // the user
	Groups  []directory.MemberOf // Everyone first
	// Assigned reports whether the user may use the app, by an assignment of their
	// own or of one of their groups.
	Assigned bool
	// UserName is what the app calls the user: that of the assignment, or the login.
	UserName string
	// Profile is what the app is told beyond the user's own profile; that of the
	// assignment before that of the group with the highest priority.
	Profile map[string]any
}

// GroupIDs returns the ids of the person's groups.
func (p *Person) GroupIDs() []string {
	out := make([]string, len(p.Groups))
	for i := range p.Groups {
		out[i] = p.Groups[i].ID
	}
	return out
}

// Person returns a user as an app sees them, read from one state of the ledger. It
// is fault.NotFound when there is no such user.
func (s *Service) Person(ctx context.Context, user, app string) (p Person, err error) {
	defer fault.Wrap(&err, "read user %q for app %q", user, app)
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = person(tx, user, app)
		return err
	})
	return p, err
}

// HoldsFactor reports whether the user has the factor, and it is in force.
func (s *Service) HoldsFactor(ctx context.Context, user, id string) (holds bool, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		f, err := directory.Factors.Get(tx, id)
		holds = err == nil && f.Value.User == user && f.Value.Status == directory.FactorActive
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return holds, err
}

func person(tx *ledger.Tx, user, app string) (Person, error) {
	u, err := directory.Users.Get(tx, user)
	if err != nil {
		return Person{}, err
	}
	p := Person{ID: u.ID, User: u.Value, Updated: u.Updated, UserName: u.Value.Profile.Login}
	groups, err := directory.GroupsIn(tx, user)
	if err != nil {
		return Person{}, err
	}
	for _, g := range groups {
		p.Groups = append(p.Groups, directory.AsMember(g))
	}
	// Assignments name an app by its id in the ledger, everybody else by its client id.
	o, err := appByClient(tx, app)
	if fault.Is(err, fault.NotFound) {
		return p, nil
	}
	if err != nil {
		return Person{}, err
	}
	app = o.ID
	own, err := AppUsers.Find(tx, ledger.By("pair", app, user))
	switch {
	case err == nil:
		p.Assigned, p.Profile = true, own.Value.Profile
		if own.Value.UserName != "" {
			p.UserName = own.Value.UserName
		}
		return p, nil
	case !fault.Is(err, fault.NotFound):
		return Person{}, err
	}
	first := MaxPriority * 100
	for _, g := range p.Groups {
		o, err := AppGroups.Find(tx, ledger.By("pair", app, g.ID))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return Person{}, err
		}
		if p.Assigned = true; o.Value.Priority < first {
			first, p.Profile = o.Value.Priority, o.Value.Profile
		}
	}
	return p, nil
}
