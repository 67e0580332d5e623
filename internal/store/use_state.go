package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// UserState is what a user's use leaves behind. Zero times do not change what is
// stored.
type UserState struct {
	ID          string // of the user
	LastSignIn  time.Time
	LastFailure time.Time
	// FailedAttempts is the number since the last sign-in. In SaveUserStates it
	// replaces what is stored.
	FailedAttempts int
}

// KeyState is what the use of a credential leaves behind.
type KeyState struct {
	ID       string // of the credential
	LastUsed time.Time
	Uses     int64 // in SaveKeyStates: how many to add
}

// Times only go forward, whatever the order in which nodes report.
const sqlSaveUserState = `INSERT INTO user_state (tenant, id, last_sign_in, last_failure, failed_attempts) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, id) DO UPDATE SET failed_attempts = excluded.failed_attempts,
last_sign_in = CASE WHEN excluded.last_sign_in > user_state.last_sign_in THEN excluded.last_sign_in ELSE user_state.last_sign_in END,
last_failure = CASE WHEN excluded.last_failure > user_state.last_failure THEN excluded.last_failure ELSE user_state.last_failure END`

// SaveUserStates writes the states of users of the tenant; all or none.
func (db *DB) SaveUserStates(ctx context.Context, states []UserState) error {
	return db.saveStates(ctx, "save user states", len(states), func(ctx context.Context, tx *tx, t tenant.ID, i int) error {
		s := states[i]
		return tx.later(ctx, sqlSaveUserState, t, s.ID, micros(s.LastSignIn), micros(s.LastFailure), s.FailedAttempts)
	})
}

const sqlFailedAttempt = `INSERT INTO user_state (tenant, id, last_sign_in, last_failure, failed_attempts) VALUES ($1, $2, 0, $3, 1)
ON CONFLICT (tenant, id) DO UPDATE SET failed_attempts = user_state.failed_attempts + 1, last_failure = excluded.last_failure
RETURNING failed_attempts`

// AddFailedAttempt counts a failed sign-in of a user, and returns how many there
// are now: of attempts at the same time each gets its own number.
func (db *DB) AddFailedAttempt(ctx context.Context, user string, at time.Time) (n int, err error) {
	t, ok := tenant.From(ctx)
	if !ok {
		return 0, fault.New(fault.Invalid, "a state needs a tenant")
	}
	err = db.write(ctx, "count failed attempt", func(ctx context.Context, tx *tx) error {
		return tx.row(ctx, sqlFailedAttempt, t, user, micros(at)).Scan(&n)
	})
	return n, err
}

const sqlUserState = `SELECT id, last_sign_in, last_failure, failed_attempts FROM user_state WHERE tenant = $1 AND id = $2`

// UserState returns the state of a user of the tenant; zero when there is none.
func (db *DB) UserState(ctx context.Context, user string) (s UserState, err error) {
	s.ID = user
	err = db.state(ctx, "read user state", sqlUserState, user, func(row scanner) error {
		var signIn, failure int64
		err := row.Scan(&s.ID, &signIn, &failure, &s.FailedAttempts)
		s.LastSignIn, s.LastFailure = fromMicros(signIn), fromMicros(failure)
		return err
	})
	return s, err
}

const sqlSaveKeyState = `INSERT INTO key_state (tenant, id, last_used, uses) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, id) DO UPDATE SET uses = key_state.uses + excluded.uses,
last_used = CASE WHEN excluded.last_used > key_state.last_used THEN excluded.last_used ELSE key_state.last_used END`

// SaveKeyStates adds uses of credentials of the tenant; all or none.
func (db *DB) SaveKeyStates(ctx context.Context, states []KeyState) error {
	return db.saveStates(ctx, "save key states", len(states), func(ctx context.Context, tx *tx, t tenant.ID, i int) error {
		s := states[i]
		return tx.later(ctx, sqlSaveKeyState, t, s.ID, micros(s.LastUsed), s.Uses)
	})
}

const sqlKeyState = `SELECT id, last_used, uses FROM key_state WHERE tenant = $1 AND id = $2`

// KeyState returns the state of a credential of the tenant; zero when there is
// none.
func (db *DB) KeyState(ctx context.Context, id string) (s KeyState, err error) {
	s.ID = id
	err = db.state(ctx, "read key state", sqlKeyState, id, func(row scanner) error {
		var used int64
		err := row.Scan(&s.ID, &used, &s.Uses)
		s.LastUsed = fromMicros(used)
		return err
	})
	return s, err
}

func (db *DB) saveStates(ctx context.Context, what string, n int, save func(context.Context, *tx, tenant.ID, int) error) error {
	t, ok := tenant.From(ctx)
	if !ok {
		return fault.New(fault.Invalid, "a state needs a tenant")
	}
	if n == 0 {
		return nil
	}
	return db.write(ctx, what, func(ctx context.Context, tx *tx) error {
		for i := range n {
			if err := save(ctx, tx, t, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (db *DB) state(ctx context.Context, what, text, id string, scan func(scanner) error) error {
	t, ok := tenant.From(ctx)
	if !ok {
		return fault.New(fault.Invalid, "a state needs a tenant")
	}
	return db.read(ctx, what, func(ctx context.Context, tx *tx) error {
		err := scan(tx.row(ctx, text, t, id))
		if none(err) {
			return nil
		}
		return err
	})
}

// Attempts that lie longer back than since are forgotten with the next one.
const sqlTakeAttempt = `INSERT INTO user_state (tenant, id, last_sign_in, last_failure, failed_attempts) VALUES ($1, $2, 0, $3, 1)
ON CONFLICT (tenant, id) DO UPDATE SET last_failure = excluded.last_failure,
failed_attempts = CASE WHEN user_state.last_failure < $4 THEN 1 ELSE user_state.failed_attempts + 1 END
RETURNING failed_attempts`

// TakeAttempt counts an attempt to sign in before it is judged, and returns how
// many there were without a break of since: of attempts at the same time each gets
// its own number.
func (db *DB) TakeAttempt(ctx context.Context, user string, at time.Time, since time.Duration) (n int, err error) {
	err = db.ofTenant(ctx, "count attempt", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.row(ctx, sqlTakeAttempt, t, user, micros(at), micros(at.Add(-since))).Scan(&n)
	})
	return n, err
}

const sqlEndAttempts = `INSERT INTO user_state (tenant, id, last_sign_in, last_failure, failed_attempts) VALUES ($1, $2, $3, 0, 0)
ON CONFLICT (tenant, id) DO UPDATE SET failed_attempts = 0, last_sign_in = excluded.last_sign_in`

// EndAttempts notes that a user has signed in: the count begins anew.
func (db *DB) EndAttempts(ctx context.Context, user string, at time.Time) error {
	return db.ofTenant(ctx, "note sign-in", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlEndAttempts, t, user, micros(at))
	})
}

// Attempts returns how many attempts there were without a break of since, and counts none.
func (db *DB) Attempts(ctx context.Context, user string, at time.Time, since time.Duration) (int, error) {
	s, err := db.UserState(ctx, user)
	if err != nil || s.LastFailure.Before(at.Add(-since)) {
		return 0, err
	}
	return s.FailedAttempts, nil
}

const sqlForgetAttempts = `UPDATE user_state SET failed_attempts = 0 WHERE tenant = $1 AND id = $2`

// ForgetAttempts has the count begin anew without a sign-in.
func (db *DB) ForgetAttempts(ctx context.Context, user string) error {
	return db.ofTenant(ctx, "forget attempts", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlForgetAttempts, t, user)
	})
}

const sqlReturnAttempt = `UPDATE user_state SET failed_attempts = failed_attempts - 1 WHERE tenant = $1 AND id = $2 AND failed_attempts > 0`

// ReturnAttempt takes back one that was counted and could not be judged.
func (db *DB) ReturnAttempt(ctx context.Context, user string) error {
	return db.ofTenant(ctx, "return attempt", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlReturnAttempt, t, user)
	})
}
