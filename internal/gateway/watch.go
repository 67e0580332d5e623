package gateway

import (
	"sync"
	"time"

	"gatehouse/internal/wire"
)

// laneWatch tells an answer's watcher on the standard lane that it takes long, and
// ends the answer when it wants that.
type laneWatch struct {
	lane  *standardLane
	body  *wire.Body
	watch wire.Watcher // nil: nobody wants to know
	timer *time.Timer

	mu     sync.Mutex
	over   bool
	opened bool
	ended  bool // the watcher has wanted the end
}

func (l *standardLane) watchOver(r *wire.Response) *laneWatch {
	w := &laneWatch{lane: l, body: &r.Body, watch: r.Watch}
	if w.watch != nil {
		w.timer = time.AfterFunc(wire.OpenAfter, w.open)
	}
	return w
}

func (w *laneWatch) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.opened = true
		w.watch.Opened(w.finish)
	}
}

// finish interrupts what the answer waits for: its upstream first, and then a client
// that takes nothing. There is no room for a word to it in HTTP/1.1.
func (w *laneWatch) finish(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.over:
	case !w.ended:
		w.ended = true
		w.body.Interrupt()
	default:
		_ = w.lane.rc.SetWriteDeadline(time.Unix(1, 0)) // it may be over already
	}
}

// end returns when the watch touches nothing any more.
func (w *laneWatch) end() {
	if w.watch == nil {
		return
	}
	w.timer.Stop()
	w.mu.Lock()
	w.over = true
	opened := w.opened
	w.mu.Unlock()
	if opened {
		w.watch.Closed()
	}
}
