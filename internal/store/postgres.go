package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/fault"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgEngine keeps the store in a PostgreSQL database.
type pgEngine struct {
	db       *sql.DB
	where    string
	software string
}

// leastPostgres is the oldest version that the SQL is tested on.
const leastPostgres = 150000

func openPostgres(ctx context.Context, c Config) (_ *pgEngine, err error) {
	cfg, err := pgx.ParseConfig(c.URL)
	if err != nil {
		// pgx leaves passwords out of this error, but the message may reach a page.
		return nil, fault.Because(err, fault.Invalid, "the address of the store is not valid: write postgres://USER@HOST/DATABASE")
	}
	defer fault.Wrap(&err, "open the store")
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "gatehouse"
	}
	// A node that hangs within a transaction must not hold a tenant for ever.
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "60s"
	// Acknowledged means on disk, whatever the server's default.
	cfg.RuntimeParams["synchronous_commit"] = "on"
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	e := &pgEngine{db: stdlib.OpenDB(*cfg), where: fmt.Sprintf("postgres://%s:%d/%s", cfg.Host, cfg.Port, cfg.Database)}
	if c.Connections == 0 {
		c.Connections = 16
	}
	e.db.SetMaxOpenConns(c.Connections)
	e.db.SetMaxIdleConns(c.Connections)
	e.db.SetConnMaxIdleTime(5 * time.Minute)
	if err := e.settle(ctx); err != nil {
		return nil, errors.Join(toFault(ctx, e, err), e.close())
	}
	return e, nil
}

// settle checks the server.
func (e *pgEngine) settle(ctx context.Context) error {
	var number int
	var encoding string
	err := e.db.QueryRowContext(ctx,
		`SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('server_encoding')`).
		Scan(&number, &e.software, &encoding)
	if err != nil {
		return err
	}
	if number < leastPostgres {
		return fault.New(fault.Unsupported, "the store at %s is PostgreSQL %s: use 15 or newer", e.where, e.software)
	}
	if encoding != "UTF8" {
		return fault.New(fault.Unsupported, "the database at %s has encoding %s: make one with ENCODING 'UTF8'", e.where, encoding)
	}
	return nil
}

// begin gives readers a snapshot, and writers READ COMMITTED: those who share
// rows take the tenant's head first and so see all that was committed before.
func (e *pgEngine) begin(ctx context.Context, m mode) (transaction, error) {
	if m == glancing {
		return pgGlance{e.db}, nil
	}
	options := sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	if m == writing {
		options = sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t, err := conn.BeginTx(ctx, &options)
	if err != nil {
		_ = conn.Close() // back to the pool, which looks at what state it is in
		return nil, err
	}
	return pgTx{t, conn}, nil
}

// pgTx is a transaction and the connection that it holds.
type pgTx struct {
	*sql.Tx
	conn *sql.Conn
}

func (t pgTx) commit() error {
	err := t.Commit()
	_ = t.conn.Close() // as above
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (t pgTx) rollback() {
	_ = t.Rollback() // a transaction whose connection is gone is undone anyway
	_ = t.conn.Close()
}

func (t pgTx) sendAll(ctx context.Context, all []statement) error {
	batch := &pgx.Batch{}
	for _, s := range all {
		for i := range s.args { // to what database/sql would make of them
			v, err := driver.DefaultParameterConverter.ConvertValue(s.args[i])
			if err != nil {
				return fmt.Errorf("parameter $%d: %w", i+1, err)
			}
			s.args[i] = v
		}
		batch.Queue(s.query, s.args...)
	}
	return t.conn.Raw(func(c any) error {
		return c.(*stdlib.Conn).Conn().SendBatch(ctx, batch).Close() //nolint:errcheck,forcetypeassert // it is our own driver's
	})
}

// pgGlance is the pool for one statement that reads, which PostgreSQL makes a
// transaction of: one round trip instead of three.
type pgGlance struct{ *sql.DB }

func (pgGlance) commit() error { return nil }
func (pgGlance) rollback()     {}

var textColumn = regexp.MustCompile(`\bTEXT\b`)

// ddl sorts texts byte by byte, as Go and SQLite do, whatever the locale of the
// database.
func (e *pgEngine) ddl(text string) string {
	return textColumn.ReplaceAllString(text, `TEXT COLLATE "C"`)
}

// schemaLock is the advisory lock of migrations; the number means nothing.
const schemaLock = 7_061_746_565_616_821

const pgLockSchema = `SELECT pg_advisory_xact_lock($1)`

func (e *pgEngine) lockSchema(ctx context.Context, tx *tx) error {
	_, err := tx.exec(ctx, pgLockSchema, int64(schemaLock))
	return err
}

const pgHasTable = `SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass($1) AND relkind = 'r'`

func (e *pgEngine) hasTable(ctx context.Context, tx *tx, name string) (bool, error) {
	var n int
	err := tx.row(ctx, pgHasTable, name).Scan(&n)
	return n > 0, err
}

func (e *pgEngine) classify(err error) class {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "23505":
			return classUnique
		case "53100": // disk full
			return classFull
		case "40001", "40P01": // serialization failure, deadlock
			return classRetry
		case "57P01", "57P02", "57P03", "53300", "25P03": // going down, starting, too many connections, timed out by the server
			return classUnavailable
		case "25006": // a standby, or a database set to read only
			return classReadOnly
		case "XX001", "XX002":
			return classCorrupt
		}
		if strings.HasPrefix(pe.Code, "08") {
			return classUnavailable
		}
		return classOther
	}
	var ce *pgconn.ConnectError
	var ne net.Error
	if errors.As(err, &ce) || errors.As(err, &ne) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return classUnavailable
	}
	return classOther
}

// What a store holds beside its data can break too; PostgreSQL itself checks
// pages when it reads them. pgCheck reads every row of every table.
const pgCheck = `SELECT count(*), coalesce(sum(length(t.data)), 0) FROM objects t`

const pgCheckChanges = `SELECT count(*), coalesce(sum(length(t.data_before) + length(t.data_after)), 0) FROM changes t`

const pgCheckIndexes = `SELECT c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace`

func (e *pgEngine) check(ctx context.Context, tx *tx) error {
	for _, text := range []string{pgCheck, pgCheckChanges} {
		var rows, bytes int64
		if err := tx.row(ctx, text).Scan(&rows, &bytes); err != nil {
			return err
		}
	}
	var broken []string
	err := tx.rows(ctx, func(row scanner) error {
		var name string
		err := row.Scan(&name)
		broken = append(broken, name)
		return err
	}, pgCheckIndexes)
	if err == nil && len(broken) > 0 {
		err = fault.New(fault.Internal, "the store at %s has invalid indexes (%s): REINDEX them", e.where, strings.Join(broken, ", "))
	}
	return err
}

func (e *pgEngine) place() string   { return e.where }
func (e *pgEngine) version() string { return "PostgreSQL " + e.software }
func (e *pgEngine) close() error    { return e.db.Close() }
