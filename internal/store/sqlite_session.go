package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"gatehouse/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lane is a fixed number of sessions, handed out one at a time.
type lane struct {
	db        *sql.DB
	free      chan *session // a session without a connection opens one when it is used
	size      int
	beginText string
	once      sync.Once
}

// session is one connection with its prepared statements: preparing costs as
// much as running does.
type session struct {
	lane  *lane
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newLane(dsn string, size int, beginText string) (*lane, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	l := &lane{db: db, free: make(chan *session, size), size: size, beginText: beginText}
	for range size {
		l.free <- &session{lane: l}
	}
	return l, nil
}

// take waits for a session; give it back with release.
func (l *lane) take(ctx context.Context) (*session, error) {
	select {
	case s, ok := <-l.free:
		if !ok {
			return nil, fault.New(fault.Unavailable, "the store is closed")
		}
		if s.conn == nil {
			conn, err := l.db.Conn(ctx)
			if err != nil {
				l.free <- s
				return nil, err
			}
			s.conn, s.stmts = conn, map[string]*sql.Stmt{}
		}
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *lane) use(ctx context.Context, f func(*session) error) error {
	s, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer func() { l.free <- s }()
	return f(s)
}

// close waits for every session to come back.
func (l *lane) close() (err error) {
	l.once.Do(func() {
		var errs []error
		for range l.size {
			s := <-l.free
			errs = append(errs, s.drop())
		}
		close(l.free)
		err = errors.Join(append(errs, l.db.Close())...)
	})
	return err
}

// drop closes the connection; the next use of the session opens another.
func (s *session) drop() error {
	if s.conn == nil {
		return nil
	}
	for _, stmt := range s.stmts {
		_ = stmt.Close() // the connection goes with it
	}
	err := s.conn.Close()
	s.conn, s.stmts = nil, nil
	return err
}

func (s *session) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := s.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.stmts[query] = stmt
	return stmt, nil
}

func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if len(args) == 0 { // migrations: several statements in one text
		return s.conn.ExecContext(ctx, query)
	}
	stmt, err := s.prepared(ctx, query) //nolint:sqlclosecheck // drop closes it with its connection
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.prepared(ctx, query) //nolint:sqlclosecheck // drop closes it with its connection
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (s *session) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := s.prepared(ctx, query) //nolint:sqlclosecheck // drop closes it with its connection
	if err != nil {
		return s.conn.QueryRowContext(ctx, query, args...) // whose error the row carries
	}
	return stmt.QueryRowContext(ctx, args...)
}

// commit ends the transaction whatever has become of its context, so that its
// outcome is known.
func (s *session) commit() error {
	_, err := s.conn.ExecContext(context.Background(), "COMMIT")
	if err != nil {
		s.rollback()
		return fmt.Errorf("commit: %w", err)
	}
	s.lane.free <- s
	return nil
}

// rollback undoes the transaction. SQLite has sometimes done so already; when
// the connection's state is not known, the connection goes.
func (s *session) rollback() {
	_, err := s.conn.ExecContext(context.Background(), "ROLLBACK")
	var se *sqlite.Error
	if err != nil && (!errors.As(err, &se) || se.Code() != sqlite3.SQLITE_ERROR) {
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // takes it out of the pool
		_ = s.drop()
	}
	s.lane.free <- s
}

// sqliteGlance is a session for one statement that reads: outside of BEGIN and COMMIT
// SQLite makes a transaction of each. Nobody watches whether its context ends meanwhile,
// which costs more than the row does and which it is too short for.
type sqliteGlance struct{ *session }

func (g sqliteGlance) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return g.session.QueryContext(context.WithoutCancel(ctx), query, args...)
}

func (g sqliteGlance) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return g.session.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

func (g sqliteGlance) commit() error {
	g.lane.free <- g.session
	return nil
}
