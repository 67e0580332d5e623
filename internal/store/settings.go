package store

import (
	"context"

	"gatehouse/internal/fault"
)

const sqlSetting = `SELECT value FROM settings WHERE name = $1`

// Setting returns a fact about this instance, such as its id, and whether it is
// known.
func (db *DB) Setting(ctx context.Context, name string) (value string, ok bool, err error) {
	err = db.read(ctx, "read setting", func(ctx context.Context, tx *tx) error {
		err := tx.row(ctx, sqlSetting, name).Scan(&value)
		ok = err == nil
		if none(err) {
			return nil
		}
		return err
	})
	return value, ok, err
}

const (
	sqlAddSetting = `INSERT INTO settings (name, value, updated) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`

	sqlSwapSetting = `UPDATE settings SET value = $2, updated = $3 WHERE name = $1 AND value = $4`
)

// AddSetting sets a fact that is not known yet, and reports whether it was not:
// of several nodes that start at once, one sets it.
func (db *DB) AddSetting(ctx context.Context, name, value string) (bool, error) {
	return db.setting(ctx, name, sqlAddSetting, name, value, micros(db.clock()))
}

// SwapSetting sets a fact if it is still old, and reports whether it was.
func (db *DB) SwapSetting(ctx context.Context, name, old, value string) (bool, error) {
	return db.setting(ctx, name, sqlSwapSetting, name, value, micros(db.clock()), old)
}

func (db *DB) setting(ctx context.Context, name, text string, args ...any) (set bool, err error) {
	if name == "" {
		return false, fault.New(fault.Invalid, "a setting needs a name")
	}
	n, err := db.run(ctx, "write setting", text, args...)
	return n == 1, err
}
