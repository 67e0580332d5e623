package wire

import (
	"sync"
	"time"
)

// look is how often a vigil looks at the client.
const look = time.Second

// vigil watches over an answer that is waited for, body byte by body byte. Its
// watcher may want it to end. And an event stream may be silent for long, and nothing is
// written to a client that has gone; when it has, the read of the answer's body is
// interrupted. It costs setting a timer, and does something only about answers that take
// long. It belongs to a session and is used for one answer after another.
type vigil struct {
	timer *time.Timer

	mu     sync.Mutex
	turn   uint64 // counts the answers
	client *socket
	body   *Body // nil when there is nothing to watch over
	watch  Watcher
	opened bool
	ended  int // how often the watcher has wanted the end
}

func (v *vigil) begin(client *socket, r *Response) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.client, v.body, v.watch, v.opened, v.ended = client, &r.Body, r.Watch, false, 0
	v.turn++
	first := look
	if v.watch != nil {
		first = OpenAfter
	}
	if v.timer == nil {
		v.timer = time.AfterFunc(first, v.check)
	} else {
		v.timer.Reset(first)
	}
}

func (v *vigil) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.body == nil:
	case v.client.gone():
		v.body.Interrupt()
	default:
		if v.watch != nil && !v.opened {
			v.opened = true
			turn := v.turn
			v.watch.Opened(func(string) { v.finish(turn) })
		}
		v.timer.Reset(look)
	}
}

// finish interrupts what the answer waits for: its upstream first, and then a
// client that takes nothing. There is no room for a word to the client in HTTP/1.1; its
// connection is cut, so that what it has does not look whole.
func (v *vigil) finish(turn uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.body == nil || v.turn != turn {
		return
	}
	v.body.Interrupt()
	if v.ended++; v.ended > 1 {
		v.client.interruptWrite()
	}
}

// end returns when the vigil touches nothing any more, and reports whether the
// client's connection can go on.
func (v *vigil) end() bool {
	v.timer.Stop()
	v.mu.Lock()
	watch, opened, ended := v.watch, v.opened, v.ended
	v.client, v.body, v.watch = nil, nil, nil
	v.mu.Unlock()
	if opened {
		watch.Closed()
	}
	return ended < 2
}
