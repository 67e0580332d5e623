// Package replay keeps the facts of decisions on disk, and decides them again by
// another configuration: who would gain access, and who would lose it. Keeping is
// asynchronous and bounded: a request never waits for it, what does not fit is
// dropped and counted, and the oldest goes first. The room must not know where a
// configuration comes from, or how a request is decided.
package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/order"
)

// Bounds of what is kept.
const (
	DefaultSize = 256 << 20 // bytes
	segmentSize = 8 << 20   // bytes of one file
	segmentTime = time.Hour // that one file is written to
	waiting     = 8192      // decisions that wait to be written
	maxLine     = 64 << 10  // bytes of a decision
)

// Config is what a Spool is made of. Dir and Keep are required.
type Config struct {
	Dir     string
	Keep    time.Duration
	MaxSize int64            // bytes; 0 = DefaultSize
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discarded
}

// Spool keeps facts. It implements gateway.Recorder. Make it with Open.
type Spool struct {
	config  Config
	in      chan gateway.Facts
	flushes chan chan error
	done    chan struct{}
	dropped atomic.Int64

	mu     sync.RWMutex // held for writing by Close
	closed bool

	// of the writer alone
	file    *os.File
	out     *bufio.Writer
	written int64
	began   time.Time
}

// Open opens the folder and starts the writer.
func Open(c Config) (_ *Spool, err error) {
	defer fault.Wrap(&err, "keep decisions in %s", c.Dir)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxSize <= 0 {
		c.MaxSize = DefaultSize
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Spool{config: c, in: make(chan gateway.Facts, waiting), flushes: make(chan chan error), done: make(chan struct{})}
	if err := s.prune(); err != nil {
		return nil, err
	}
	go s.run()
	return s, nil
}

// Record keeps the facts unless too many wait already. It never blocks.
func (s *Spool) Record(f gateway.Facts) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.in <- f:
	default:
		s.dropped.Add(1)
	}
}

// Dropped returns how many decisions were not kept since the start, because they
// came faster than they could be written, or could not be written.
func (s *Spool) Dropped() int64 { return s.dropped.Load() }

// Keep returns for how long decisions are kept.
func (s *Spool) Keep() time.Duration { return s.config.Keep }

// Close writes what waits, and ends the writer.
func (s *Spool) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.in)
	}
	s.mu.Unlock()
	<-s.done
	return nil
}

// run is the writer.
func (s *Spool) run() {
	defer close(s.done)
	defer func() { s.failed(s.end()) }()
	for {
		select {
		case f, ok := <-s.in:
			if !ok {
				return
			}
			s.failed(s.write(f))
			if len(s.in) == 0 && s.out != nil {
				s.failed(s.out.Flush())
			}
		case answer := <-s.flushes:
			answer <- s.drain()
		}
	}
}

// drain writes all that waits now.
func (s *Spool) drain() error {
	for range len(s.in) {
		f, ok := <-s.in
		if !ok {
			break
		}
		s.failed(s.write(f))
	}
	if s.out == nil {
		return nil
	}
	return s.out.Flush()
}

// failed counts what could not be written; the next file may do better.
func (s *Spool) failed(err error) {
	if err == nil {
		return
	}
	s.dropped.Add(1)
	s.config.Logger.Error("a decision could not be kept for replay", slog.Any("error", err))
	if s.file != nil {
		_ = s.file.Close()
	}
	s.file, s.out = nil, nil
}

func (s *Spool) write(f gateway.Facts) error {
	b, err := json.Marshal(f)
	if err != nil || len(b) >= maxLine {
		s.dropped.Add(1)
		return nil //nolint:nilerr // counted: it is one decision and no trouble with the disk
	}
	now := s.config.Now()
	if s.file == nil || s.written > segmentSize || now.Sub(s.began) > segmentTime {
		if err := s.next(now); err != nil {
			return err
		}
	}
	s.written += int64(len(b)) + 1
	_, err = s.out.Write(append(b, '\n'))
	return err
}

// next begins another file, and removes those that are too old or too much.
func (s *Spool) next(now time.Time) error {
	if err := s.end(); err != nil {
		return err
	}
	if err := s.prune(); err != nil {
		return err
	}
	for n := now.UnixMicro(); ; n++ {
		file, err := os.OpenFile(filepath.Join(s.config.Dir, fmt.Sprintf("%s%016d%s", prefix, n, suffix)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.file, s.out, s.written, s.began = file, bufio.NewWriterSize(file, 64<<10), 0, now
		return nil
	}
}

func (s *Spool) end() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.out.Flush(), s.file.Close())
	s.file, s.out = nil, nil
	return err
}

const (
	prefix = "decisions-"
	suffix = ".jsonl"
)

// segment is one file.
type segment struct {
	path string
	size int64
	last time.Time // it was not written to later
}

// segments returns the files, oldest first.
func (s *Spool) segments() ([]segment, error) {
	entries, err := os.ReadDir(s.config.Dir)
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it has gone meanwhile
		}
		began, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(e.Name(), prefix), suffix), 10, 64)
		if err != nil {
			continue // it is none of ours
		}
		out = append(out, segment{filepath.Join(s.config.Dir, e.Name()), info.Size(), time.UnixMicro(began).Add(segmentTime)})
	}
	order.By(out, func(a, b segment) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// prune removes files that are older than what is kept, and the oldest of too many.
// One file more than the rest is to be begun.
func (s *Spool) prune() error {
	list, err := s.segments()
	if err != nil {
		return err
	}
	total := int64(segmentSize)
	for _, one := range list {
		total += one.size
	}
	oldest := s.config.Now().Add(-s.config.Keep)
	for _, one := range list {
		if !one.last.Before(oldest) && total <= s.config.MaxSize {
			break
		}
		if err := os.Remove(one.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= one.size
	}
	return nil
}

// Each calls f with every decision since a time, oldest first, until f returns an
// error or ctx ends.
func (s *Spool) Each(ctx context.Context, since time.Time, f func(*gateway.Facts) error) error {
	if oldest := s.config.Now().Add(-s.config.Keep); since.Before(oldest) {
		since = oldest
	}
	flushed := make(chan error, 1)
	select {
	case s.flushes <- flushed:
		if err := <-flushed; err != nil {
			return err
		}
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	list, err := s.segments()
	if err != nil {
		return err
	}
	for _, one := range list {
		if one.last.Before(since) {
			continue
		}
		if err := each(ctx, one.path, since, f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func each(ctx context.Context, path string, since time.Time, f func(*gateway.Facts) error) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it is only read
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		facts, ok := read(lines.Bytes())
		if !ok || facts.Time.Before(since) {
			continue // a line that a crash has cut off
		}
		if err := f(facts); err != nil {
			return err
		}
	}
	return lines.Err()
}

// read reads a line. Numbers of claims stay what they were.
func read(line []byte) (*gateway.Facts, bool) {
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.UseNumber()
	var facts gateway.Facts
	return &facts, d.Decode(&facts) == nil
}
