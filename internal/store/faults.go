package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"gatehouse/internal/fault"
)

// class is what an engine's error means.
type class uint8

const (
	classOther       class = iota
	classUnique            // a unique key is taken
	classFull              // no space is left
	classRetry             // the transaction should be repeated
	classBusy              // another process holds the store for too long
	classUnavailable       // the engine cannot be reached, or is going down
	classCorrupt           // the file is damaged, or is no store
	classReadOnly          // the file may not be written
)

// toFault turns an engine's error into a fault, once. What is a fault already, or
// the end of the context, stays what it is.
func (db *DB) toFault(ctx context.Context, err error) error {
	return toFault(ctx, db.engine, err)
}

func toFault(ctx context.Context, e engine, err error) error {
	if fault.Of(err) != nil {
		return err
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		// Engines report their statement's interruption in many ways.
		if errors.Is(ctxErr, context.DeadlineExceeded) {
			return fault.Because(errors.Join(ctxErr, err), fault.Timeout, "the store did not answer in time")
		}
		return errors.Join(ctxErr, err)
	}
	switch e.classify(err) {
	case classUnique:
		return fault.Because(err, fault.Conflict, "it exists already")
	case classFull:
		return fault.Because(err, fault.Full, "the store at %s has no space left: free some, or move it to a larger disk; nothing was written", e.place())
	case classRetry, classBusy:
		return fault.Because(err, fault.Unavailable, "the store at %s is busy with other writers: try again", e.place())
	case classUnavailable:
		return fault.Because(oneLine{err}, fault.Unavailable, "the store at %s does not answer: see whether it runs and can be reached", e.place())
	case classCorrupt:
		return fault.Because(err, fault.Internal, "the store at %s is damaged, or is no store: run gatehouse doctor, and restore a backup", e.place())
	case classReadOnly:
		return fault.Because(err, fault.Unavailable, "the store at %s cannot be written: see who owns the file and its folder", e.place())
	case classOther:
	}
	return err
}

// oneLine is an error whose text is one line: pgx writes a line for each address that
// it has tried, the same one for each way of trying it.
type oneLine struct{ error }

// Error implements error.
func (e oneLine) Error() string {
	lines := strings.Split(e.error.Error(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	head, rest := lines[0], slices.Compact(lines[1:])
	return strings.TrimSpace(head + " " + strings.Join(rest, "; "))
}

// Unwrap returns the error itself.
func (e oneLine) Unwrap() error { return e.error }

// none reports whether a query for one row found nothing.
func none(err error) bool { return errors.Is(err, sql.ErrNoRows) }
