package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// The condition makes one winner of two copies of a credential that sign at once,
// and refuses a counter that does not go forward (WebAuthn Level 3 section 7.2).
// Credentials without a counter sign 0 for ever.
const sqlUsePasskey = `INSERT INTO passkey_use (tenant, id, user_id, counter, last_used) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, id) DO UPDATE SET counter = excluded.counter, last_used = excluded.last_used
WHERE passkey_use.user_id = excluded.user_id AND (passkey_use.counter < excluded.counter OR passkey_use.counter = 0 AND excluded.counter = 0)`

// UsePasskey notes a use of a user's passkey with the counter that it signed, and
// reports false when that counter has been seen, or a later one: then nothing is
// noted.
func (db *DB) UsePasskey(ctx context.Context, user, id string, counter uint32, at time.Time) (ok bool, err error) {
	err = db.ofTenant(ctx, "use passkey", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlUsePasskey, t, id, user, int64(counter), micros(at))
		ok = n == 1
		return err
	})
	return ok && err == nil, err
}

const sqlPasskeyUses = `SELECT id, last_used FROM passkey_use WHERE tenant = $1 AND user_id = $2`

// PasskeyUses returns when the passkeys of a user were used last, by their ids.
func (db *DB) PasskeyUses(ctx context.Context, user string) (out map[string]time.Time, err error) {
	err = db.inTenant(ctx, "read uses of passkeys", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out = map[string]time.Time{}
		return tx.rows(ctx, func(row scanner) error {
			var id string
			var used int64
			err := row.Scan(&id, &used)
			out[id] = fromMicros(used)
			return err
		}, sqlPasskeyUses, t, user)
	})
	return out, err
}

const (
	sqlDropRecoveryCodes = `DELETE FROM recovery_codes WHERE tenant = $1 AND user_id = $2`
	sqlAddRecoveryCode   = `INSERT INTO recovery_codes (tenant, user_id, hash, created) VALUES ($1, $2, $3, $4)`
)

// ReplaceRecoveryCodes gives a user recovery codes, by their hashes, in place of all
// that there were; none takes them away.
func (db *DB) ReplaceRecoveryCodes(ctx context.Context, user string, hashes []string, at time.Time) error {
	return db.ofTenant(ctx, "replace recovery codes", func(ctx context.Context, tx *tx, t tenant.ID) error {
		if _, err := tx.exec(ctx, sqlDropRecoveryCodes, t, user); err != nil {
			return err
		}
		for _, h := range hashes {
			if h == "" || word(h) != h {
				return fault.New(fault.Invalid, "a recovery code is kept as its hash")
			}
			if _, err := tx.exec(ctx, sqlAddRecoveryCode, t, user, h, micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

const sqlTakeRecoveryCode = `DELETE FROM recovery_codes WHERE tenant = $1 AND user_id = $2 AND hash = $3`

// TakeRecoveryCode takes a recovery code of a user, once: of any number of callers
// one gets true.
func (db *DB) TakeRecoveryCode(ctx context.Context, user, hash string) (ok bool, err error) {
	if word(hash) != hash {
		return false, nil
	}
	err = db.ofTenant(ctx, "take recovery code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlTakeRecoveryCode, t, user, hash)
		ok = n == 1
		return err
	})
	return ok && err == nil, err
}

const sqlRecoveryCodes = `SELECT COUNT(*), COALESCE(MIN(created), 0) FROM recovery_codes WHERE tenant = $1 AND user_id = $2`

// RecoveryCodes returns how many recovery codes a user has left, and when they were
// made.
func (db *DB) RecoveryCodes(ctx context.Context, user string) (left int, made time.Time, err error) {
	err = db.inTenant(ctx, "count recovery codes", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var at int64
		err := tx.row(ctx, sqlRecoveryCodes, t, user).Scan(&left, &at)
		made = fromMicros(at)
		return err
	})
	return left, made, err
}
