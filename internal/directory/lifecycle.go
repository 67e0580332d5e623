package directory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// ReasonStatus is the reason of a fault about a way that the life cycle does not
// have.
const ReasonStatus = "user_status"

// SetStatus moves a user in the life cycle; fault.Conflict when the way is not
// open, nothing when the user is there already.
func (s *Service) SetStatus(ctx context.Context, actor ledger.Actor, userID string, to Status) (err error) {
	defer fault.Wrap(&err, "change the status of user %q", userID)
	_, err = s.move(ctx, actor, userID, func(User) Status { return to })
	return err
}

// Activate puts a staged or deprovisioned user in use: active with a password,
// else provisioned, until one is set. fault.Conflict for a user in use.
func (s *Service) Activate(ctx context.Context, actor ledger.Actor, userID string) (u ledger.Object[User], err error) {
	defer fault.Wrap(&err, "activate user %q", userID)
	u, err = s.User(ctx, userID)
	if err != nil {
		return u, err
	}
	if u.Value.Status != Staged && u.Value.Status != Deprovisioned {
		return u, fault.New(fault.Conflict, "the user is %s: staged and deprovisioned users can be activated", u.Value.Status).WithReason(ReasonStatus)
	}
	return s.move(ctx, actor, userID, func(u User) Status { return u.inUse() })
}

// Reactivate starts the activation of a provisioned user again.
func (s *Service) Reactivate(ctx context.Context, _ ledger.Actor, userID string) (u ledger.Object[User], err error) {
	defer fault.Wrap(&err, "reactivate user %q", userID)
	u, err = s.User(ctx, userID)
	if err == nil && u.Value.Status != Provisioned {
		return u, fault.New(fault.Conflict, "the user is %s: only a provisioned user can be activated again", u.Value.Status).WithReason(ReasonStatus)
	}
	return u, err
}

// Unlock lets a user who was locked out sign in again.
func (s *Service) Unlock(ctx context.Context, actor ledger.Actor, userID string) (err error) {
	defer fault.Wrap(&err, "unlock user %q", userID)
	return s.leave(ctx, actor, userID, LockedOut)
}

// Unsuspend makes a suspended user what they were: a password that was to be replaced, or
// was not set yet, still is.
func (s *Service) Unsuspend(ctx context.Context, actor ledger.Actor, userID string) (err error) {
	defer fault.Wrap(&err, "unsuspend user %q", userID)
	return s.leave(ctx, actor, userID, Suspended)
}

// leave moves a user out of one status to what they were before, Active unless that is
// known; fault.Conflict out of others.
func (s *Service) leave(ctx context.Context, actor ledger.Actor, userID string, from Status) error {
	u, err := s.User(ctx, userID)
	if err != nil {
		return err
	}
	if u.Value.Status != from {
		return fault.New(fault.Conflict, "the user is %s and not %s", u.Value.Status, from).WithReason(ReasonStatus)
	}
	_, err = s.move(ctx, actor, userID, func(u User) Status { return cmp.Or(u.Before, Active) })
	return err
}

// inUse returns the status of a user who is activated.
func (u *User) inUse() Status {
	if u.Password == "" {
		return Provisioned
	}
	return Active
}

// move changes the status of a user to what to says.
func (s *Service) move(ctx context.Context, actor ledger.Actor, userID string, to func(User) Status) (user ledger.Object[User], err error) {
	moved := false
	_, err = s.cfg.Ledger.Update(ctx, actor, "status of user "+userID, func(tx *ledger.Tx) error {
		moved = false
		u, err := Users.Get(tx, userID)
		if err != nil {
			return err
		}
		next := to(u.Value)
		if user = u; u.Value.Status == next {
			return nil
		}
		if err := u.Value.enter(next, tx); err != nil {
			return err
		}
		moved = true
		user, err = Users.Put(tx, u)
		return err
	})
	if err == nil && moved {
		s.record(ctx, actor, audit.UserStatusChanged, "User is "+string(user.Value.Status), userEntity(user))
	}
	return user, err
}

// enter moves the user to another status, if there is a way.
func (u *User) enter(to Status, tx *ledger.Tx) error {
	if !slices.Contains(transitions[u.Status], to) {
		return fault.New(fault.Conflict, "a user who is %s cannot become %s: possible are %s", u.Status, to, words(transitions[u.Status])).WithReason(ReasonStatus)
	}
	if (u.Status == Staged || u.Status == Deprovisioned) && (to == Active || to == Provisioned) {
		u.Activated = tx.Now()
	}
	if u.Before = ""; to == Suspended && u.Status != Active {
		u.Before = u.Status
	}
	u.Status, u.StatusChanged = to, tx.Now()
	return nil
}

func words(list []Status) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// DeleteUser is Okta's deletion in two steps: a user who is not deprovisioned
// becomes that, one who is goes with memberships and API tokens. It reports
// whether the user is gone.
func (s *Service) DeleteUser(ctx context.Context, actor ledger.Actor, userID string) (gone bool, err error) {
	defer fault.Wrap(&err, "delete user %q", userID)
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete user "+userID, func(tx *ledger.Tx) error {
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		if gone = user.Value.Status == Deprovisioned; gone {
			return Users.Delete(tx, userID, 0)
		}
		if err := user.Value.enter(Deprovisioned, tx); err != nil {
			return err
		}
		user, err = Users.Put(tx, user)
		return err
	})
	if err != nil {
		return false, err
	}
	if gone {
		s.record(ctx, actor, userDeleted, "Delete user", userEntity(user))
	} else {
		s.record(ctx, actor, audit.UserStatusChanged, "User is "+string(Deprovisioned), userEntity(user))
	}
	return gone, nil
}
