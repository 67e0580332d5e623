package telemetry

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// AccessLogConfig says where lines go and how many may wait.
type AccessLogConfig struct {
	Writer io.Writer
	// Bytes bounds what waits for the writer; 0 = 1 MiB. Twice that is held, as
	// one half is being written while the other fills.
	Bytes int
	// Delay is how long a line may wait for company before it is written; 0 = 100 ms.
	Delay time.Duration
	// OnDrop is told at once how many lines are lost, by whoever loses them: the writing
	// goroutine may be stuck for long. It must be quick, and safe for concurrent use; nil
	// to only count them.
	OnDrop func(lines int64)
	// OnError is told of a failed write; nil to ignore it. The lines of that batch are counted as dropped.
	OnError func(error)
}

// AccessLog takes lines from many goroutines and writes them in large batches
// from one. Write never blocks on the writer: while the writer is slow, lines
// wait up to a bound, and beyond it they are dropped and counted.
type AccessLog struct {
	config AccessLogConfig

	mu     sync.Mutex
	full   []byte // what is collected
	lines  int64  // in full
	closed bool

	spare   []byte // the other half; the writing goroutine's
	dropped atomic.Int64
	wake    chan struct{}
	quit    chan struct{}
	done    chan struct{}
}

// NewAccessLog starts the writing goroutine. Close ends it.
func NewAccessLog(c AccessLogConfig) *AccessLog {
	if c.Bytes <= 0 {
		c.Bytes = 1 << 20
	}
	if c.Delay <= 0 {
		c.Delay = 100 * time.Millisecond
	}
	if c.Writer == nil {
		c.Writer = io.Discard
	}
	l := &AccessLog{
		config: c,
		full:   make([]byte, 0, c.Bytes),
		spare:  make([]byte, 0, c.Bytes),
		wake:   make(chan struct{}, 1),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go l.run()
	return l
}

// Write copies one line, its newline included, for the writing goroutine. It
// reports whether the line was taken: false means that it was dropped and counted.
func (l *AccessLog) Write(line []byte) bool {
	l.mu.Lock()
	before := len(l.full)
	if l.closed || before+len(line) > cap(l.full) {
		l.mu.Unlock()
		l.drop(1)
		return false
	}
	l.full = append(l.full, line...)
	l.lines++
	after := len(l.full)
	l.mu.Unlock()

	// The writer is woken for the first line, and again when half is full, so
	// that a burst does not wait for the delay.
	half := l.config.Bytes / 2
	if before == 0 || before < half && after >= half {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Dropped returns how many lines were lost since the start.
func (l *AccessLog) Dropped() int64 { return l.dropped.Load() }

// Close writes what waits and ends the writing goroutine. Lines that come later
// are dropped. It waits at most for the time given: a writer that is stuck keeps
// its goroutine, but not its caller. It reports whether everything was written.
func (l *AccessLog) Close(wait time.Duration) bool {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.quit)
	}
	l.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-l.done:
		return true
	case <-timer.C:
		return false
	}
}

func (l *AccessLog) run() {
	defer close(l.done)
	delay := time.NewTimer(l.config.Delay)
	delay.Stop()
	for {
		select {
		case <-l.quit:
			l.flush()
			return
		case <-l.wake:
		}
		// A line is there. Wait a moment for more, unless half is full.
		delay.Reset(l.config.Delay)
		select {
		case <-l.quit:
		case <-l.wake:
		case <-delay.C:
		}
		delay.Stop()
		l.flush()
	}
}

// flush swaps the halves and writes the one that was collected.
func (l *AccessLog) flush() {
	l.mu.Lock()
	batch, lines := l.full, l.lines
	l.full, l.lines = l.spare[:0], 0
	l.mu.Unlock()
	l.spare = batch

	if len(batch) > 0 {
		if _, err := l.config.Writer.Write(batch); err != nil {
			l.drop(lines)
			if l.config.OnError != nil {
				l.config.OnError(err)
			}
		}
	}
}

func (l *AccessLog) drop(lines int64) {
	l.dropped.Add(lines)
	if l.config.OnDrop != nil {
		l.config.OnDrop(lines)
	}
}
