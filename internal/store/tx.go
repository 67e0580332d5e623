package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// mode is what a transaction is for.
type mode int

const (
	reading  mode = iota
	writing       // and reading
	glancing      // reading one row by one statement
)

// engine is what SQLite and PostgreSQL do differently.
type engine interface {
	// begin starts a transaction: alone among writers where the engine has only
	// one, on one unchanging state when it only reads. A glance needs nothing around its
	// one statement.
	begin(ctx context.Context, m mode) (transaction, error)
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

// pipeline is a transaction that runs many statements for one round trip.
type pipeline interface {
	// sendAll runs the statements in order, up to the first that fails.
	sendAll(ctx context.Context, all []statement) error
}

// statement is one that has not been run yet.
type statement struct {
	query string
	args  []any
}

// tx runs statements in a transaction.
type tx struct {
	t       transaction
	waiting []statement // in their order; before any other is run, these are
	glances bool        // only one statement may run, and that reads
	over    bool        // it has
}

var errGlance = errors.New("a glance is one statement that reads")

// mayRead fails for the second statement of a glance: it would see another state.
func (t *tx) mayRead() error {
	if t.over {
		return errGlance
	}
	t.over = t.glances
	return nil
}

// mayWrite fails in a glance.
func (t *tx) mayWrite() error {
	if t.glances {
		return errGlance
	}
	return nil
}

// mostWaiting bounds what waits, and with it the memory of a large transaction.
const mostWaiting = 1000

// later runs a statement of which nobody reads the outcome: at once, or together
// with others before the next statement that is read, or before the commit. Its failure ends the
// transaction either way.
func (t *tx) later(ctx context.Context, query string, args ...any) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	if _, ok := t.t.(pipeline); !ok {
		_, err := t.t.ExecContext(ctx, query, args...)
		return err
	}
	t.waiting = append(t.waiting, statement{query, args})
	if len(t.waiting) < mostWaiting {
		return nil
	}
	return t.settle(ctx)
}

// settle runs what waits.
func (t *tx) settle(ctx context.Context) error {
	if len(t.waiting) == 0 {
		return nil
	}
	all := t.waiting
	t.waiting = nil
	return t.t.(pipeline).sendAll(ctx, all) //nolint:errcheck,forcetypeassert // only there does anything wait
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.mayWrite(); err != nil {
		return 0, err
	}
	if err := t.settle(ctx); err != nil {
		return 0, err
	}
	r, err := t.t.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a query for one row.
func (t *tx) row(ctx context.Context, query string, args ...any) scanner {
	if err := t.mayRead(); err != nil {
		return failedRow{err}
	}
	if err := t.settle(ctx); err != nil {
		return failedRow{err}
	}
	return t.t.QueryRowContext(ctx, query, args...)
}

// rows runs a query and calls scan for every row of its result.
func (t *tx) rows(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	if err := t.mayRead(); err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
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

// failedRow is the row of a query that was never run.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

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
