// Package store is the only room that speaks SQL. It keeps everything durable in
// SQLite or in PostgreSQL, from one text of SQL: the portable subset has $N
// parameters, BIGINT microseconds for times, columns listed, no now(), no FOR
// UPDATE, no data-changing CTE. What the engines do differently is behind the
// engine interface.
//
// It implements interfaces that its consumers declare. It must not know what a
// document means, and decides nothing: rules belong to the domain.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// Config says where the store is.
type Config struct {
	// URL is sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE.
	URL string
	// Connections is how many may read at once (SQLite), or the size of the pool
	// (PostgreSQL); 0 means 8 and 16.
	Connections int
	// MaxBytes is how large a SQLite file may become; 0 means as large as the disk.
	// When it is reached, writes answer fault.Full.
	MaxBytes int64
	// BusyTimeout is how long a SQLite writer waits for another process; 0 means 5 s.
	BusyTimeout time.Duration
	Clock       func() time.Time // nil means time.Now
}

// DB is an open store. Its methods may be called from any goroutine.
type DB struct {
	engine engine
	clock  func() time.Time
}

// Open opens the store, makes it if there is none yet, and brings its schema up
// to date. It refuses a store that a newer version has written.
func Open(ctx context.Context, c Config) (*DB, error) {
	db, err := connect(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, migrations()); err != nil {
		return nil, errors.Join(err, db.engine.close())
	}
	return db, nil
}

// connect opens the store as it is.
func connect(ctx context.Context, c Config) (_ *DB, err error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	db := &DB{clock: c.Clock}
	scheme, rest, _ := strings.Cut(c.URL, ":")
	switch scheme {
	case "sqlite":
		db.engine, err = openSQLite(ctx, rest, c)
	case "postgres", "postgresql":
		db.engine, err = openPostgres(ctx, c)
	default:
		// The URL may hold a password: only its scheme is repeated.
		return nil, fault.New(fault.Invalid, "a store is sqlite:PATH or postgres://USER@HOST/DATABASE, but this one begins with %q", scheme)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Close ends all connections. Transactions that still run end first.
func (db *DB) Close() error { return db.engine.close() }

// Ping reports whether the store answers: fault.Unavailable when not.
func (db *DB) Ping(ctx context.Context) error {
	return db.read(ctx, "ping the store", func(ctx context.Context, tx *tx) error {
		var one int
		return tx.row(ctx, sqlPing).Scan(&one)
	})
}

const sqlPing = `SELECT 1`

// Check asks the engine whether the stored data is whole, for `doctor`. It reads
// everything and may take minutes on a large store.
func (db *DB) Check(ctx context.Context) error {
	return db.read(ctx, "check the store", func(ctx context.Context, tx *tx) error { return db.engine.check(ctx, tx) })
}

// Engine names the engine and its version, for people.
func (db *DB) Engine() string { return db.engine.version() }

// read runs f on one unchanging state.
func (db *DB) read(ctx context.Context, what string, f func(context.Context, *tx) error) error {
	return db.transact(ctx, what, reading, f)
}

// glance is read for an f that runs one statement for one row by its key, which sees one
// unchanging state by itself.
func (db *DB) glance(ctx context.Context, what string, f func(context.Context, *tx) error) error {
	return db.transact(ctx, what, glancing, f)
}

// write runs f in a transaction that is durable when write returns nil. It is
// run again when the engine asks for that.
func (db *DB) write(ctx context.Context, what string, f func(context.Context, *tx) error) error {
	return db.transact(ctx, what, writing, f)
}

// attempts is how often a transaction is tried that the engine wants repeated.
const attempts = 8

func (db *DB) transact(ctx context.Context, what string, m mode, f func(context.Context, *tx) error) error {
	for attempt := 1; ; attempt++ {
		err := db.try(ctx, m, f)
		if err == nil {
			return nil
		}
		if db.engine.classify(err) != classRetry || attempt == attempts {
			return fmt.Errorf("%s: %w", what, db.toFault(ctx, err))
		}
		if err := pause(ctx, attempt); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// pause waits before the next attempt: up to 2, 4, 8 ... ms, at random so that
// two that collided do not collide again.
func pause(ctx context.Context, attempt int) error {
	most := int64(time.Millisecond) << attempt
	timer := time.NewTimer(time.Duration(rand.Int64N(most))) //nolint:gosec // spreads retries, protects nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (db *DB) try(ctx context.Context, m mode, f func(context.Context, *tx) error) (err error) {
	t, err := db.engine.begin(ctx, m)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed { // f failed, or panicked
			t.rollback()
		}
	}()
	tx := &tx{t: t, glances: m == glancing}
	if err := f(ctx, tx); err != nil {
		return err
	}
	if err := tx.settle(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	committed = true
	return t.commit()
}
