package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/revocation"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
)

// revocationLog puts revocations into force on this node and keeps them in a
// file of one JSON line each, so that a node which restarts while the store is
// down still refuses what was revoked. The store has the truth: when it is
// there, replace makes the file anew. It implements cluster.Subscriber.
type revocationLog struct {
	path    string
	set     *revocation.Set
	now     func() time.Time
	revised func(tenant.ID, int64) // told of revisions; may be nil
	// ended is told of each revocation as well: what is not a token ends by it. May be nil.
	ended func(cluster.Revocation) error

	mu        sync.Mutex
	file      *os.File             // open for appending; nil before the first line
	appended  int                  // lines since the file was made
	replacing bool                 // the store is being read
	meanwhile []cluster.Revocation // told since then
}

// Revoked puts a revocation into force, or takes it back. It is in force even when
// the file could not be written; the error then keeps the caller from being told
// that all is done.
func (l *revocationLog) Revoked(_ context.Context, r cluster.Revocation) (err error) {
	defer fault.Wrap(&err, "apply a revocation")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.replacing {
		l.meanwhile = append(l.meanwhile, r)
	}
	if err := l.apply(r); err != nil {
		return err
	}
	return errors.Join(l.append(r), l.end(r))
}

// end ends what stands on what the revocation names.
func (l *revocationLog) end(r cluster.Revocation) error {
	if l.ended == nil {
		return nil
	}
	return l.ended(r)
}

func (l *revocationLog) apply(r cluster.Revocation) error {
	if r.Lifted {
		l.set.Lift(r)
		return nil
	}
	return l.set.Add(l.now(), r)
}

// Revised passes on that a revision is out.
func (l *revocationLog) Revised(_ context.Context, t tenant.ID, revision int64) {
	if l.revised != nil {
		l.revised(t, revision)
	}
}

func (l *revocationLog) append(r cluster.Revocation) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if l.file == nil {
		l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
	}
	if _, err = l.file.Write(append(b, '\n')); err != nil {
		return err
	}
	l.appended++
	return l.file.Sync()
}

// stale reports whether more than half of a large file may be lines of what has
// expired or was said twice, so that it should be made anew.
func (l *revocationLog) stale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended > 100_000 && l.appended > l.set.Len()
}

// replace makes the list, which is what the store has, the whole of what is in force
// and in the file. What is told while it is read is kept as well: the reader may have
// looked before it was there. When the list breaks off, nothing is changed.
func (l *revocationLog) replace(list iter.Seq2[cluster.Revocation, error]) (err error) {
	defer fault.Wrap(&err, "load the revocations of the store")
	l.mu.Lock()
	l.replacing, l.meanwhile = true, nil
	l.mu.Unlock()
	locked := false
	lock := func() { l.mu.Lock(); locked = true }
	defer func() {
		if !locked {
			l.mu.Lock()
		}
		l.replacing, l.meanwhile = false, nil
		l.mu.Unlock()
	}()
	next, err := os.CreateTemp(filepath.Dir(l.path), "."+filepath.Base(l.path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(next.Name()) }() // it has its real name by then, or is not wanted
	w := bufio.NewWriter(next)
	lines := json.NewEncoder(w)
	err = l.set.Replace(func(yield func(cluster.Revocation, error) bool) {
		for r, err := range list {
			if err == nil {
				err = errors.Join(lines.Encode(r), l.end(r))
			}
			if !yield(r, err) {
				return
			}
		}
		lock() // until the set has it: nothing may be told in between
		for _, r := range l.meanwhile {
			if err := lines.Encode(r); err != nil {
				yield(r, err)
				return
			}
			if !r.Lifted && !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		return errors.Join(err, next.Close())
	}
	for _, r := range l.meanwhile {
		if err := l.apply(r); err != nil { // in their order, those that were taken back too
			return errors.Join(err, next.Close())
		}
	}
	if err := errors.Join(w.Flush(), next.Sync(), next.Close()); err != nil {
		return err
	}
	l.closeFile()
	l.appended = 0
	return os.Rename(next.Name(), l.path)
}

// recall puts into force what the file holds, and reports whether there is a file:
// without one this node cannot know what was revoked.
func (l *revocationLog) recall() (known bool, err error) {
	defer fault.Wrap(&err, "read the kept revocations in %s", l.path)
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	var last []cluster.Revocation // from the first that was taken back on, in their order
	if err := l.set.Replace(func(yield func(cluster.Revocation, error) bool) {
		for r, err := range kept(f, l.now()) {
			if err == nil && (r.Lifted || len(last) > 0) {
				last = append(last, r)
			} else if !yield(r, err) {
				return
			}
		}
	}); err != nil {
		return false, err
	}
	for _, r := range last {
		if err := l.apply(r); err != nil {
			l.set.Forget()
			return false, err
		}
	}
	return true, nil
}

// kept yields the lines of a file that still matter.
func kept(f *os.File, now time.Time) iter.Seq2[cluster.Revocation, error] {
	return func(yield func(cluster.Revocation, error) bool) {
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var r cluster.Revocation
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				// The last line may be half-written: it was never confirmed.
				if lines.Scan() {
					yield(r, err)
				}
				return
			}
			if !r.Expires.IsZero() && !r.Expires.After(now) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(cluster.Revocation{}, err)
		}
	}
}

// status is the line of /readyz about what is known to be revoked.
func (l *revocationLog) status(context.Context) telemetry.Status {
	n, most := l.set.Len(), l.set.Max()
	switch {
	case !l.set.Known():
		return telemetry.Status{State: telemetry.Failing, Detail: "what was revoked is not known, every request with a token or an API key is answered 503"}
	case n >= most-most/16:
		return telemetry.Status{State: telemetry.Degraded, Detail: fmt.Sprintf("%d of %d: no more single tokens can be revoked, and whoever tries is told so; revoke clients, users or keys", n, most)}
	}
	return telemetry.Status{Detail: fmt.Sprintf("%d of %d", n, most)}
}

func (l *revocationLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFile()
}

func (l *revocationLog) closeFile() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// tendRevocations forgets what has expired, and makes the file anew when it has
// become long.
func (a *App) tendRevocations(ctx context.Context, now time.Time) {
	a.node.revoked.RemoveExpired(now)
	id := a.current()
	if id == nil || !a.node.log.stale() {
		return
	}
	if err := a.node.log.replace(id.revocations(ctx, now)); err != nil && ctx.Err() == nil {
		a.log.Warn("the file of revocations could not be made anew; it goes on growing", "error", err)
	}
}
