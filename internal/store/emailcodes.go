package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

const sqlPutEmailCode = `INSERT INTO email_codes (tenant, factor, sealed, tries, expires) VALUES ($1, $2, $3, 0, $4)
ON CONFLICT (tenant, factor) DO UPDATE SET sealed = excluded.sealed, tries = 0, expires = excluded.expires`

// PutEmailCode keeps a code of a factor, sealed, in place of the one before.
func (db *DB) PutEmailCode(ctx context.Context, factor, sealed string, expires time.Time) error {
	if factor == "" || sealed == "" {
		return fault.New(fault.Invalid, "a code is of a factor, and sealed")
	}
	return db.ofTenant(ctx, "keep code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		_, err := tx.exec(ctx, sqlPutEmailCode, t, factor, sealed, micros(expires))
		return err
	})
}

// The try is counted before anybody sees what it is compared with, so that of many at a
// time no more than the bound are.
const sqlTryEmailCode = `UPDATE email_codes SET tries = tries + 1 WHERE tenant = $1 AND factor = $2 AND expires > $3 AND tries < $4 RETURNING sealed`

// TryEmailCode counts a try of a factor's code and returns it, sealed; fault.NotFound
// when there is none, it is over, or was tried so often already.
func (db *DB) TryEmailCode(ctx context.Context, factor string, now time.Time, most int) (sealed string, err error) {
	err = db.ofTenant(ctx, "try code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		err := tx.row(ctx, sqlTryEmailCode, t, factor, micros(now), most).Scan(&sealed)
		if none(err) {
			return fault.New(fault.NotFound, "there is no code, or not any more")
		}
		return err
	})
	return sealed, err
}

const sqlTakeEmailCode = `DELETE FROM email_codes WHERE tenant = $1 AND factor = $2 AND sealed = $3`

// TakeEmailCode uses a code up, once: of any number of callers one gets true.
func (db *DB) TakeEmailCode(ctx context.Context, factor, sealed string) (taken bool, err error) {
	err = db.ofTenant(ctx, "take code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlTakeEmailCode, t, factor, sealed)
		taken = n == 1
		return err
	})
	return taken && err == nil, err
}

const sqlEmailCodeWaits = `SELECT tries FROM email_codes WHERE tenant = $1 AND factor = $2 AND expires > $3`

// EmailCodeWaits reports whether a code of a factor has been sent and is still good.
func (db *DB) EmailCodeWaits(ctx context.Context, factor string, now time.Time) (waits bool, err error) {
	err = db.inTenant(ctx, "look for code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var tries int
		err := tx.row(ctx, sqlEmailCodeWaits, t, factor, micros(now)).Scan(&tries)
		if waits = err == nil; none(err) {
			return nil
		}
		return err
	})
	return waits, err
}

const sqlPruneEmailCodes = `DELETE FROM email_codes WHERE expires <= $1`
