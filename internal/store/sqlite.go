package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteEngine keeps the store in one file: one connection writes, several read.
type sqliteEngine struct {
	path     string
	software string
	writers  *lane // of one
	readers  *lane
}

// leastSQLite is the first version without the WAL-reset bug, which could lose
// a committed transaction when two connections checkpointed at once.
const leastSQLite = "3.51.3"

func openSQLite(ctx context.Context, path string, c Config) (_ *sqliteEngine, err error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, fault.New(fault.Invalid, "a SQLite store needs the path of a file, such as sqlite:./gatehouse.db")
	}
	defer fault.Wrap(&err, "open the store")
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if err := preparePath(path); err != nil {
		return nil, err
	}
	if c.Connections == 0 {
		c.Connections = 8
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = 5 * time.Second
	}
	e := &sqliteEngine{path: path}
	if e.writers, err = newLane(sqliteDSN(path, c, true), 1, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	if e.readers, err = newLane(sqliteDSN(path, c, false), c.Connections, "BEGIN"); err != nil {
		return nil, errors.Join(err, e.writers.close())
	}
	if err := e.settle(ctx, c); err != nil {
		return nil, errors.Join(toFault(ctx, e, err), e.close())
	}
	return e, nil
}

// preparePath makes the folder and the file, for nobody else to read.
func preparePath(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Because(err, fault.Unavailable, "the folder of the store %s cannot be made: make it, or choose another place", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.Because(err, fault.Unavailable, "the store %s cannot be opened: see who owns the file and its folder", path)
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fault.New(fault.Invalid, "the store %s is not a file: name a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}

func sqliteDSN(path string, c Config, write bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout("+strconv.FormatInt(c.BusyTimeout.Milliseconds(), 10)+")")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_pragma", "trusted_schema(0)")
	if write {
		if c.MaxBytes > 0 {
			q.Add("_pragma", "max_page_count("+strconv.FormatInt(max(1, c.MaxBytes/pageBytes), 10)+")")
		}
	} else {
		q.Add("_pragma", "query_only(1)")
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// pageBytes is the size of a page of a SQLite file that we make.
const pageBytes = 4096

// settle checks the library and turns the file to write-ahead logging, which
// stays with the file. Two processes may do so at once: SQLite does not wait for
// the other one here, so this does.
func (e *sqliteEngine) settle(ctx context.Context, c Config) error {
	deadline := time.Now().Add(c.BusyTimeout)
	for attempt := 1; ; attempt++ {
		err := e.writers.use(ctx, func(s *session) error {
			var mode string
			if err := s.conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&e.software); err != nil {
				return err
			}
			if err := s.conn.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
				return err
			}
			if mode != "wal" {
				return fault.New(fault.Unsupported, "the file system of %s does not take write-ahead logging (it stays in mode %s): use a local disk", e.path, mode)
			}
			return nil
		})
		if err == nil {
			break
		}
		if e.classify(err) != classBusy || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, min(attempt, 6)); err != nil {
			return err
		}
	}
	if tooOld(e.software) {
		return fault.New(fault.Unsupported, "this binary has SQLite %s, which can lose data: build it with %s or newer", e.software, leastSQLite)
	}
	return nil
}

// tooOld reports whether a version comes before leastSQLite.
func tooOld(version string) bool {
	as, bs := strings.Split(version, "."), strings.Split(leastSQLite, ".")
	for i := range bs {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		y, _ = strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}

func (e *sqliteEngine) begin(ctx context.Context, m mode) (transaction, error) {
	l := e.readers
	if m == writing {
		l = e.writers
	}
	s, err := l.take(ctx)
	if err != nil {
		return nil, err
	}
	if m == glancing {
		return sqliteGlance{s}, nil
	}
	if _, err := s.conn.ExecContext(ctx, l.beginText); err != nil {
		s.rollback() //nolint:contextcheck // it must happen although the context has ended
		return nil, err
	}
	return s, nil
}

// Types and table endings of the engine; the migrations are written once.
var (
	bigint     = regexp.MustCompile(`\bBIGINT\b`)
	endOfTable = regexp.MustCompile(`(?m)^\)( /\* keyed \*/)?;`)
)

// ddl makes tables STRICT, where integers have 64 bits and are called INTEGER,
// and stores keyed tables in the tree of their key.
func (e *sqliteEngine) ddl(text string) string {
	text = bigint.ReplaceAllString(text, "INTEGER")
	return endOfTable.ReplaceAllStringFunc(text, func(end string) string {
		if strings.Contains(end, "keyed") {
			return ") STRICT, WITHOUT ROWID;"
		}
		return ") STRICT;"
	})
}

// lockSchema needs to do nothing: a write transaction is alone from its begin.
func (e *sqliteEngine) lockSchema(context.Context, *tx) error { return nil }

const sqliteHasTable = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`

func (e *sqliteEngine) hasTable(ctx context.Context, tx *tx, name string) (bool, error) {
	var n int
	err := tx.row(ctx, sqliteHasTable, name).Scan(&n)
	return n > 0, err
}

func (e *sqliteEngine) classify(err error) class {
	if errors.Is(err, driver.ErrBadConn) { // the session opens another connection
		return classRetry
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return classOther
	}
	switch se.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return classUnique
	case sqlite3.SQLITE_IOERR_SHMSIZE: // the shared index of the log cannot grow
		return classFull
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return classFull
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return classBusy
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR:
		return classUnavailable
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return classCorrupt
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return classReadOnly
	}
	return classOther
}

const sqliteCheck = `PRAGMA integrity_check(10)`

func (e *sqliteEngine) check(ctx context.Context, tx *tx) error {
	var found []string
	err := tx.rows(ctx, func(row scanner) error {
		var line string
		if err := row.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			found = append(found, line)
		}
		return nil
	}, sqliteCheck)
	if err == nil && len(found) > 0 {
		err = fault.New(fault.Internal, "the store at %s is damaged (%s): restore a backup", e.path, strings.Join(found, "; "))
	}
	return err
}

func (e *sqliteEngine) place() string   { return e.path }
func (e *sqliteEngine) version() string { return "SQLite " + e.software }
func (e *sqliteEngine) close() error    { return errors.Join(e.readers.close(), e.writers.close()) }
