package store

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
)

// Migrations only go forward. Each is one file, NNNN_name.sql, that is never
// edited once it has been released: the store remembers the checksum of what it
// ran.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema.
type migration struct {
	version    int
	name, text string
	checksum   string
}

// migrations returns the embedded steps in order. A test checks that their
// numbers have no gap.
func migrations() []migration {
	entries, err := fs.ReadDir(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	var out []migration
	for _, e := range entries {
		raw, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			panic(err)
		}
		number, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		version, _ := strconv.Atoi(number) // the same test
		sum := sha256.Sum256(raw)
		out = append(out, migration{version: version, name: name, text: string(raw), checksum: hex.EncodeToString(sum[:])})
	}
	return out
}

const migrationTable = "schema_migrations"

const ddlMigrations = `CREATE TABLE schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied BIGINT NOT NULL
);`

const sqlMigrations = `SELECT version, name, checksum FROM schema_migrations ORDER BY version`

const sqlMigrated = `INSERT INTO schema_migrations (version, name, checksum, applied) VALUES ($1, $2, $3, $4)`

// migrate brings the schema to the last of the steps, all in one transaction that
// other processes wait for.
func (db *DB) migrate(ctx context.Context, steps []migration) error {
	return db.write(ctx, "bring the schema up to date", func(ctx context.Context, tx *tx) error {
		if err := db.engine.lockSchema(ctx, tx); err != nil {
			return err
		}
		done, err := db.applied(ctx, tx)
		if err != nil {
			return err
		}
		if done == nil {
			if _, err := tx.exec(ctx, db.engine.ddl(ddlMigrations)); err != nil {
				return err
			}
		}
		if err := db.sameHistory(done, steps); err != nil {
			return err
		}
		for _, m := range steps[len(done):] {
			if _, err := tx.exec(ctx, db.engine.ddl(m.text)); err != nil {
				return fmt.Errorf("migration %d (%s): %w", m.version, m.name, err)
			}
			if _, err := tx.exec(ctx, sqlMigrated, m.version, m.name, m.checksum, micros(db.clock())); err != nil {
				return err
			}
		}
		return nil
	})
}

// applied returns the steps that the store has behind it; nil when it has no
// schema at all.
func (db *DB) applied(ctx context.Context, tx *tx) ([]migration, error) {
	ok, err := db.engine.hasTable(ctx, tx, migrationTable)
	if err != nil || !ok {
		return nil, err
	}
	done := []migration{}
	err = tx.rows(ctx, func(row scanner) error {
		var m migration
		err := row.Scan(&m.version, &m.name, &m.checksum)
		done = append(done, m)
		return err
	}, sqlMigrations)
	return done, err
}

// sameHistory refuses a store that does not come from these steps.
func (db *DB) sameHistory(done, steps []migration) error {
	where := db.engine.place()
	if n := len(done); n > 0 && done[n-1].version > len(steps) {
		return fault.New(fault.Unsupported, "the store at %s has schema %d, this binary knows %d: run a newer gatehouse, or restore a backup",
			where, done[n-1].version, len(steps))
	}
	for i, d := range done {
		switch s := steps[i]; {
		case d.version != s.version:
			return fault.New(fault.Unsupported, "the store at %s has no record of migration %d: restore a backup", where, s.version)
		case d.checksum != s.checksum:
			return fault.New(fault.Unsupported, "migration %d (%s) of the store at %s is not the one in this binary: run the gatehouse that made the store, or restore a backup",
				s.version, s.name, where)
		}
	}
	return nil
}

// SchemaVersion returns the version of the store's schema, and the one that this
// binary knows.
func (db *DB) SchemaVersion(ctx context.Context) (stored, known int, err error) {
	known = len(migrations())
	err = db.read(ctx, "read the schema version", func(ctx context.Context, tx *tx) error {
		done, err := db.applied(ctx, tx)
		if n := len(done); n > 0 {
			stored = done[n-1].version
		}
		return err
	})
	return stored, known, err
}
