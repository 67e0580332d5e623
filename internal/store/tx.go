package store

import (
	"context"
	"database/sql"
	"time"
)

// engine is what SQLite and PostgreSQL do differently.
type engine interface {
	// begin starts a transaction: alone among writers where the engine has only
	// one, on one unchanging state when it only reads.
	begin(ctx context.Context, write bool) (transaction, error)
	// ddl turns a migration's text into the engine's.
	ddl(text string) string
	// lockSchema keeps other processes from migrating until the transaction ends.
	lockSchema(ctx context.Context, tx *tx) error
	// hasTable reports whether the table exists.
	hasTable(ctx context.Context, tx *tx, name string) (bool, error)
	classify(err error) class
	check(ctx context.Context, tx *tx) error
	// place says where the store is, for messages; without a password.
	place() string
	version() string
	close() error
}

// transaction is one begun transaction. Exactly one of commit and rollback ends it.
type transaction interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	commit() error
	rollback()
}

// tx runs statements in a transaction.
type tx struct{ t transaction }

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.t.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a query for one row.
func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.t.QueryRowContext(ctx, query, args...)
}

// rows runs a query and calls scan for every row of its result.
func (t *tx) rows(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	rows, err := t.t.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below says what went wrong
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// micros is how a time is stored: microseconds since 1970, and 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the opposite of micros, in UTC.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// beyond sorts behind every text that is stored: U+10FFFF is a noncharacter.
const beyond = "\U0010FFFF"
