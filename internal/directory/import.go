package directory

import (
	"context"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// MaxImport is how many users ImportUsers takes at a time: it keeps the
// transaction, during which nobody else writes, to a fraction of a second.
const MaxImport = 1000

// ImportUsers adds users without passwords, staged or provisioned, in one
// transaction: all of them, or none when one is not valid or a login is taken.
// Group rules apply to them. The system log has one event for all; the history
// has each.
func (s *Service) ImportUsers(ctx context.Context, actor ledger.Actor, users []NewUser) (err error) {
	defer fault.Wrap(&err, "import %d users", len(users))
	switch {
	case len(users) == 0:
		return fault.New(fault.Invalid, "there is nobody to import")
	case len(users) > MaxImport:
		return fault.New(fault.TooLarge, "%d users are too many at a time: send at most %d", len(users), MaxImport)
	}
	_, err = s.cfg.Ledger.Update(ctx, actor, fmt.Sprintf("import %d users", len(users)), func(tx *ledger.Tx) error {
		for i, n := range users {
			u := User{Status: Provisioned, Profile: n.Profile}
			if n.Staged {
				u.Status = Staged
			}
			if _, err := insert(tx, u, nil); err != nil {
				return ofUser(err, i, n.Profile.Login)
			}
		}
		return nil
	})
	if err == nil {
		s.record(ctx, actor, audit.UsersImported, fmt.Sprintf("Import %d users", len(users)))
	}
	return err
}

// ofUser says in a fault which of the users it is about, from 0.
func ofUser(err error, i int, login string) error {
	f := fault.Of(err)
	if f == nil {
		return err
	}
	said := fault.Because(err, f.Code, "user %d, %q: %s", i+1, login, f.Message).WithReason(f.Reason)
	for _, field := range f.Fields {
		said = said.WithFields(fault.Field{Path: fmt.Sprintf("users[%d].%s", i, field.Path), Message: field.Message})
	}
	return said
}
