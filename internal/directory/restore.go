package directory

import (
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// UserSecrets are the members of a stored user that are nobody's to see, and that stay
// what they are when the user is restored.
func UserSecrets() []string {
	return []string{"passwordHash", "passwordsBefore", "passwordChanged", "recoveryQuestion"}
}

// RestoreUser makes a user what they were at a revision, but for their password and their
// question, which are what they are now. Who is gone comes back without either, to be
// activated, and without what went with them: memberships, assignments, factors. Who may
// act now still may: suspending and deactivating are steps that end sessions and tokens.
func RestoreUser(tx *ledger.Tx, id string, to ledger.Revision) error {
	then, err := tx.At(Users.Name(), id, to)
	if err != nil {
		return err
	}
	was, err := Users.Decode(then)
	if err != nil {
		return err
	}
	now, err := Users.Get(tx, id)
	gone := fault.Is(err, fault.NotFound)
	if err != nil && !gone {
		return err
	}
	v := was.Value
	v.Password, v.Passwords, v.PasswordChanged, v.Question = now.Value.Password, now.Value.Passwords, now.Value.PasswordChanged, now.Value.Question
	if now.Value.MayAct() && !v.MayAct() {
		v.Status, v.StatusChanged, v.Before = now.Value.Status, now.Value.StatusChanged, now.Value.Before
	}
	if v.Password == "" && v.Status != Staged && v.Status != Deprovisioned {
		v.Status, v.Before = Provisioned, ""
	}
	if err := checkProfile(tx, v); err != nil {
		return err
	}
	if gone {
		_, err = Users.Insert(tx, ledger.Object[User]{Meta: ledger.Meta{ID: id}, Value: v})
		return err
	}
	now.Value = v
	_, err = Users.Put(tx, now)
	return err
}
