package audit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
)

// WriterConfig says where events go and how many may wait.
type WriterConfig struct {
	Sink     Sink
	NewID    func() string    // a fresh unique id for an event
	Now      func() time.Time // the clock
	Log      *slog.Logger     // told when the sink fails; nil = discard
	Capacity int              // events that may wait; 0 = 8192
	Batch    int              // events per call of the sink; 0 = 256
	Retry    time.Duration    // pause after the sink failed; 0 = 1 s
	Drain    time.Duration    // time to store what waits when Run ends; 0 = 5 s
}

// Writer stores events in batches, behind a bounded queue. Its zero value is
// not usable; NewWriter makes one, and Run must be running for anything to be
// stored.
type Writer struct {
	cfg     WriterConfig
	queue   chan Event
	flush   chan chan struct{}
	done    chan struct{}
	once    sync.Once
	dropped atomic.Uint64
	stored  atomic.Uint64
}

// NewWriter returns a writer that has nothing to write yet.
func NewWriter(cfg WriterConfig) *Writer {
	if cfg.Capacity <= 0 {
		cfg.Capacity = 8192
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 256
	}
	if cfg.Retry <= 0 {
		cfg.Retry = time.Second
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{
		cfg:   cfg,
		queue: make(chan Event, cfg.Capacity),
		flush: make(chan chan struct{}),
		done:  make(chan struct{}),
	}
}

// Record queues the event. When the queue is full the event is dropped and
// counted: the work that it describes goes on.
func (w *Writer) Record(e Event) {
	if e.Time.IsZero() {
		e.Time = w.cfg.Now()
	}
	if e.ID == "" {
		e.ID = w.cfg.NewID()
	}
	if e.Severity == "" {
		e.Severity = Info
	}
	clean(&e)
	select {
	case w.queue <- e:
	default:
		w.dropped.Add(1)
	}
}

// Dropped returns how many events were lost since the start.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Stored returns how many events the sink has taken since the start.
func (w *Writer) Stored() uint64 { return w.stored.Load() }

// Run stores events until ctx ends, then stores what still waits within the
// drain time, and returns nil. It may be called once.
func (w *Writer) Run(ctx context.Context) error {
	defer w.once.Do(func() { close(w.done) })
	batch := make([]Event, 0, w.cfg.Batch)
	for {
		select {
		case e := <-w.queue:
			batch = w.fill(append(batch[:0], e))
			if !w.store(ctx, batch) {
				w.drain(ctx, batch)
				return nil
			}
		case told := <-w.flush:
			if !w.storeWaiting(ctx, batch) {
				close(told)
				w.drain(ctx, nil)
				return nil
			}
			close(told)
		case <-ctx.Done():
			w.drain(ctx, nil)
			return nil
		}
	}
}

// Flush returns when every event recorded before the call is stored or counted
// as dropped, or when ctx or Run ends.
func (w *Writer) Flush(ctx context.Context) error {
	told := make(chan struct{})
	select {
	case w.flush <- told:
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fault.Because(ctx.Err(), fault.Timeout, "the system log did not take the waiting events in time")
	}
	select {
	case <-told:
		return nil
	case <-ctx.Done():
		return fault.Because(ctx.Err(), fault.Timeout, "the system log did not take the waiting events in time")
	}
}

// fill adds what waits already, up to a batch.
func (w *Writer) fill(batch []Event) []Event {
	for len(batch) < w.cfg.Batch {
		select {
		case e := <-w.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// storeWaiting empties the queue into the sink; false means that ctx ended.
func (w *Writer) storeWaiting(ctx context.Context, batch []Event) bool {
	for range (cap(w.queue) / w.cfg.Batch) + 1 {
		batch = w.fill(batch[:0])
		if len(batch) == 0 {
			return true
		}
		if !w.store(ctx, batch) {
			w.drain(ctx, batch)
			return false
		}
	}
	return true
}

// store gives one batch to the sink, again and again while the sink fails; the
// queue fills meanwhile. False means that ctx ended first.
func (w *Writer) store(ctx context.Context, batch []Event) bool {
	for {
		err := w.cfg.Sink.AppendEvents(ctx, batch)
		if err == nil {
			w.stored.Add(uint64(len(batch)))
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if fault.Is(err, fault.Invalid) {
			w.dropped.Add(uint64(len(batch)))
			w.cfg.Log.LogAttrs(ctx, slog.LevelError, "system log refuses a batch, it is dropped",
				slog.Int("events", len(batch)), slog.Any("error", err))
			return true
		}
		w.cfg.Log.LogAttrs(ctx, slog.LevelError, "system log cannot be stored, will try again",
			slog.Int("events", len(batch)), slog.Duration("retry_in", w.cfg.Retry), slog.Any("error", err))
		timer := time.NewTimer(w.cfg.Retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// drain stores batch and what waits, one attempt each, within the drain time.
func (w *Writer) drain(ctx context.Context, batch []Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.cfg.Drain)
	defer cancel()
	for {
		if len(batch) == 0 {
			if batch = w.fill(batch); len(batch) == 0 {
				return
			}
		}
		if err := w.cfg.Sink.AppendEvents(ctx, batch); err != nil {
			lost := uint64(len(batch) + len(w.queue))
			w.dropped.Add(lost)
			w.cfg.Log.LogAttrs(ctx, slog.LevelError, "system log could not be stored before the end",
				slog.Uint64("lost", lost), slog.Any("error", err))
			return
		}
		w.stored.Add(uint64(len(batch)))
		batch = batch[:0]
	}
}
