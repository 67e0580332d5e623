package gateway

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Decision is what came of one exchange, for administrators: it names the
// caller. The access log does not.
type Decision struct {
	ID       string        `json:"request_id"`
	Time     time.Time     `json:"time"`
	Method   string        `json:"method,omitempty"`
	Host     string        `json:"host,omitempty"`
	Path     string        `json:"path,omitempty"` // canonical, without query, cut after 256 bytes
	API      string        `json:"api,omitempty"`
	Route    string        `json:"route,omitempty"` // method and full path template
	Status   int           `json:"status"`
	Reason   string        `json:"reason,omitempty"` // empty when the gateway allowed it
	Step     string        `json:"step,omitempty"`   // that refused
	Detail   string        `json:"detail,omitempty"` // why, in words
	Duration time.Duration `json:"duration_ns"`
	ClientIP netip.Addr    `json:"client_ip"`
	Issuer   string        `json:"issuer,omitempty"`
	ClientID string        `json:"client_id,omitempty"`
	User     string        `json:"user,omitempty"`
	Revision int64         `json:"revision,omitempty"`
}

// decision makes the public form.
func (ex *Exchange) decision(took time.Duration) Decision {
	var s slot
	s.fill(ex, took)
	return s.decision()
}

const (
	keptHost = 64
	keptPath = 256
)

// ring keeps the last decisions. Every slot has its own lock, which is hardly
// ever waited for: a slot is written once per round.
type ring struct {
	next  atomic.Uint64
	slots []slot
}

// slot is small, for the ring does not fit in a processor's caches: its size was 4 % of a
// request's price when it had room for the longest of everything. What is longer than
// usual gets memory of its own, which the slot keeps.
type slot struct {
	mu sync.Mutex
	facts
	took     time.Duration
	status   int
	revision int64
	method   string
	refused  *Decision // of a request that never became an exchange
	snap     *compiled

	text          []byte // request id, host and path, one behind the other
	idLen, pathAt int

	usualText   [112]byte
	usualLimits [2]limitState
}

func newRing(n int) *ring { return &ring{slots: make([]slot, n)} }

// put keeps a decision in the place of the oldest.
func (r *ring) put(ex *Exchange, took time.Duration) {
	s := &r.slots[(r.next.Add(1)-1)%uint64(len(r.slots))]
	s.mu.Lock()
	s.fill(ex, took)
	s.mu.Unlock()
}

func (r *ring) putRejection(d Decision, reason *Reason) {
	s := &r.slots[(r.next.Add(1)-1)%uint64(len(r.slots))]
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.limits)
	s.facts = facts{started: d.Time, client: d.ClientIP, reason: reason}
	s.snap, s.refused, s.status = nil, &d, d.Status
	s.text = append(s.room(len(d.ID)), d.ID...)
	s.idLen, s.pathAt = len(d.ID), len(d.ID)
}

func (s *slot) fill(ex *Exchange, took time.Duration) {
	limits := s.limits
	clear(limits) // of the decision that was here before
	if len(ex.limits) <= len(s.usualLimits) {
		limits = s.usualLimits[:0]
	}
	s.facts = ex.facts
	s.limits = append(limits[:0], ex.limits...)
	s.took, s.status, s.snap, s.refused = took, ex.status, ex.snap, nil
	s.revision = 0
	if ex.snap != nil {
		s.revision = ex.snap.revision
	}
	if s.method = methodNames[ex.kind]; ex.kind == methodOther {
		s.method = string(ex.req.Method[:min(len(ex.req.Method), 32)])
	}
	id, host, path := ex.ID(), ex.host[:min(len(ex.host), keptHost)], ex.path[:min(len(ex.path), keptPath)]
	if ex.stopped <= stepCanonicalize { // what could not be read is not repeated
		path = nil
	}
	s.idLen, s.pathAt = len(id), len(id)+len(host)
	s.text = append(append(append(s.room(s.pathAt+len(path)), id...), host...), path...)
}

// room returns memory for n bytes of text: the slot's own, or what it has got
// for a long one.
func (s *slot) room(n int) []byte {
	if n <= len(s.usualText) {
		return s.usualText[:0]
	}
	return s.text[:0]
}

func (s *slot) id() []byte { return s.text[:s.idLen] }

// find returns what is kept of a request id. The newest wins.
func (r *ring) find(id string, use func(*slot)) bool {
	n := r.next.Load()
	for i := range uint64(len(r.slots)) {
		if i >= n {
			break
		}
		s := &r.slots[(n-1-i)%uint64(len(r.slots))]
		s.mu.Lock()
		if string(s.id()) == id && s.idLen > 0 {
			use(s)
			s.mu.Unlock()
			return true
		}
		s.mu.Unlock()
	}
	return false
}

func (s *slot) decision() Decision {
	if s.refused != nil {
		return *s.refused
	}
	d := Decision{
		ID: string(s.id()), Time: s.started, Method: s.method, Host: string(s.text[s.idLen:s.pathAt]),
		Path: string(s.text[s.pathAt:]), Status: s.status, Duration: s.took, ClientIP: s.client, Revision: s.revision,
	}
	if s.route != nil {
		d.API, d.Route = s.route.api.name, s.route.name
	}
	if s.reason != nil {
		d.Reason, d.Step, d.Detail = s.reason.Name, s.stopped.String(), causeText(s.cause)
	}
	if t := s.token; t != nil {
		d.Issuer, d.ClientID, d.User = t.Issuer, t.ClientID, t.UserID
	}
	return d
}

// DecisionFilter says which decisions a follower wants. Empty fields match all.
type DecisionFilter struct {
	API      string
	Reason   string
	ClientID string
	User     string
	Denied   bool // only those that the gateway refused
}

func (f *DecisionFilter) match(d *Decision) bool {
	return (f.API == "" || f.API == d.API) && (f.Reason == "" || f.Reason == d.Reason) &&
		(f.ClientID == "" || f.ClientID == d.ClientID) && (f.User == "" || f.User == d.User) && (!f.Denied || d.Reason != "")
}

// watchers are those who follow decisions.
type watchers struct {
	count   atomic.Int32
	dropped atomic.Int64

	mu     sync.Mutex
	list   map[*watcher]struct{}
	closed bool
}

type watcher struct {
	filter DecisionFilter
	out    chan Decision
	stop   func() bool // forgets the context
}

func (w *watchers) any() bool { return w.count.Load() > 0 }

// tell gives the decision to every follower who wants it and has room.
func (w *watchers) tell(d Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.list {
		if !f.filter.match(&d) {
			continue
		}
		select {
		case f.out <- d:
		default:
			w.dropped.Add(1)
		}
	}
}

func (w *watchers) remove(f *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.list[f]; there {
		delete(w.list, f)
		w.count.Add(-1)
		close(f.out)
	}
}

func (w *watchers) close() {
	w.mu.Lock()
	w.closed = true
	list := w.list
	w.list = nil
	w.count.Store(0)
	w.mu.Unlock()
	for f := range list {
		f.stop()
		close(f.out)
	}
}

// Tail returns the decisions that are made from now on. Of a follower that is
// slower than the traffic, decisions are dropped (see TailDropped). The channel is
// closed when ctx ends or the gateway is closed.
func (g *Gateway) Tail(ctx context.Context, filter DecisionFilter) <-chan Decision {
	f := &watcher{filter: filter, out: make(chan Decision, 256)}
	w := &g.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		close(f.out)
		return f.out
	}
	if w.list == nil {
		w.list = map[*watcher]struct{}{}
	}
	f.stop = context.AfterFunc(ctx, func() { w.remove(f) })
	w.list[f] = struct{}{}
	w.count.Add(1)
	return f.out
}

// TailDropped returns how many decisions followers have missed because they were slow.
func (g *Gateway) TailDropped() int64 { return g.watchers.dropped.Load() }
