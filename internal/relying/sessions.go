package relying

import (
	"crypto/sha256"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
)

// The bounds of a set of sessions when nothing else is said. What a session costs is
// its tokens, some 2 KiB, and 500 bytes besides.
const (
	DefaultMax      = 1 << 20
	DefaultMaxBytes = 1 << 30 // of tokens
	// mostPerUser bounds the sessions of one person: the longest unused goes first.
	mostPerUser = 50
)

const shardCount = 64 // a power of two

// Sessions are the sessions of this node: in memory, where requests find them without
// asking anybody, and in a file, so that a restart signs nobody out. It is safe for
// concurrent use.
type Sessions struct {
	cfg   SessionsConfig
	log   sessionLog
	count atomic.Int64
	bytes atomic.Int64

	shards [shardCount]struct {
		mu  sync.RWMutex
		all map[[sha256.Size]byte]*Session
	}

	mu    sync.Mutex
	named map[uint64][]*Session // by issuer with sid, and by issuer with subject
	seed  maphash.Seed
}

// SessionsConfig is what Sessions are made of. Path and Sealer are required.
type SessionsConfig struct {
	Path     string // of the file; what is secret in it is sealed
	Sealer   Sealer
	Max      int   // sessions; 0 = DefaultMax
	MaxBytes int64 // of their tokens together; 0 = DefaultMaxBytes
	// Lifetime is how old a session may be at most to be read from the file.
	Lifetime time.Duration
	Logger   *slog.Logger     // nil: discarded
	Now      func() time.Time // nil: time.Now
}

// OpenSessions reads what an earlier run has kept. A file that cannot be read is an
// error; one line that cannot is logged and left out.
func OpenSessions(cfg SessionsConfig) (*Sessions, error) {
	if cfg.Max <= 0 {
		cfg.Max = DefaultMax
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = 31 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sessions{cfg: cfg, named: map[uint64][]*Session{}, seed: maphash.MakeSeed()}
	s.log.path = cfg.Path
	for i := range s.shards {
		s.shards[i].all = map[[sha256.Size]byte]*Session{}
	}
	return s, s.recall()
}

// Len returns how many sessions there are.
func (s *Sessions) Len() int { return int(s.count.Load()) }

// Bytes returns the size of their tokens.
func (s *Sessions) Bytes() int64 { return s.bytes.Load() }

func (s *Sessions) find(key [sha256.Size]byte) *Session {
	sh := &s.shards[key[0]%shardCount]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.all[key]
}

// add puts a new session into force and writes it down. It returns a fault of code
// Full when there is no room.
func (s *Sessions) add(n *Session) error {
	size := n.tokens.Load().bytes()
	if s.count.Load() >= int64(s.cfg.Max) || s.bytes.Load()+size > s.cfg.MaxBytes {
		return fault.New(fault.Full, "this node holds %d sessions and has no room for another", s.count.Load())
	}
	if err := s.log.put(s.cfg.Sealer, n); err != nil {
		// It is in force all the same; a restart would end it.
		s.cfg.Logger.Error("a session could not be written down", "error", err)
	}
	for _, old := range s.insert(n) {
		if err := s.end(old); err != nil {
			s.cfg.Logger.Error("the end of a session could not be written down", "error", err)
		}
	}
	return nil
}

// insert puts a session into memory and returns those of the same person that are too many.
func (s *Sessions) insert(n *Session) (surplus []*Session) {
	sh := &s.shards[n.key[0]%shardCount]
	sh.mu.Lock()
	sh.all[n.key] = n
	sh.mu.Unlock()
	s.count.Add(1)
	s.bytes.Add(n.tokens.Load().bytes())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names(n) {
		s.named[name] = append(s.named[name], n)
	}
	mine := slices.Clone(s.named[s.name("sub", n.issuer, n.subject)])
	if len(mine) <= mostPerUser {
		return nil
	}
	slices.SortFunc(mine, func(a, b *Session) int { return int(a.used.Load() - b.used.Load()) })
	return mine[:len(mine)-mostPerUser]
}

func (s *Sessions) names(n *Session) []uint64 {
	list := []uint64{s.name("sub", n.issuer, n.subject)}
	if n.signIn.Session != "" {
		list = append(list, s.name("sid", n.issuer, n.signIn.Session))
	}
	return list
}

func (s *Sessions) name(kind, issuer, value string) uint64 {
	return maphash.Comparable(s.seed, [3]string{kind, issuer, value})
}

// renewed gives a session new tokens.
func (s *Sessions) renewed(n *Session, t *tokens) error {
	old := n.tokens.Swap(t)
	s.bytes.Add(t.bytes() - old.bytes())
	if n.ended.Load() {
		return errOver
	}
	if err := s.log.put(s.cfg.Sealer, n); err != nil {
		s.cfg.Logger.Error("a renewed session could not be written down", "error", err)
	}
	return nil
}

// end takes a session out of force, and then writes that down. Ending it again does nothing.
func (s *Sessions) end(n *Session) error {
	if n.ended.Swap(true) {
		return nil
	}
	s.drop(n)
	return s.log.ended(n.key)
}

// drop takes a session out of memory.
func (s *Sessions) drop(n *Session) {
	sh := &s.shards[n.key[0]%shardCount]
	sh.mu.Lock()
	_, there := sh.all[n.key]
	delete(sh.all, n.key)
	sh.mu.Unlock()
	if !there {
		return
	}
	s.count.Add(-1)
	s.bytes.Add(-n.tokens.Load().bytes())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names(n) {
		list := slices.DeleteFunc(slices.Clone(s.named[name]), func(o *Session) bool { return o == n })
		if len(list) == 0 {
			delete(s.named, name)
		} else {
			s.named[name] = list
		}
	}
}

// Ending says which sessions end. Issuer is required; empty fields match all.
type Ending struct {
	Issuer  string // its URL
	Client  string
	Session string // sid
	Subject string
	Before  time.Time // only sign-ins before; zero = all
}

// EndAll ends the sessions that e names and returns how many. Those of one sid or one
// subject are found at once; for a client or an issuer it looks through all.
func (s *Sessions) EndAll(e Ending) (ended int, err error) {
	for _, n := range s.matching(e) {
		ended++
		if e := s.end(n); e != nil {
			err = e
		}
	}
	return ended, err
}

func (s *Sessions) matching(e Ending) (list []*Session) {
	match := func(n *Session) bool {
		return n.issuer == e.Issuer && (e.Session == "" || n.signIn.Session == e.Session) && (e.Subject == "" || n.subject == e.Subject) &&
			(e.Client == "" || clientOf(n.home) == e.Client) && (e.Before.IsZero() || n.created <= e.Before.Unix())
	}
	name := uint64(0)
	switch {
	case e.Session != "":
		name = s.name("sid", e.Issuer, e.Session)
	case e.Subject != "":
		name = s.name("sub", e.Issuer, e.Subject)
	default:
		s.each(func(n *Session) {
			if match(n) {
				list = append(list, n)
			}
		})
		return list
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.named[name] {
		if match(n) {
			list = append(list, n)
		}
	}
	return list
}

func (s *Sessions) each(f func(*Session)) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.RLock()
		all := make([]*Session, 0, len(sh.all))
		for _, n := range sh.all {
			all = append(all, n)
		}
		sh.mu.RUnlock()
		for _, n := range all {
			f(n)
		}
	}
}

// Lives are how long the sessions of one party may last.
type Lives struct{ Idle, Lifetime time.Duration }

// Tend forgets sessions that are over, writes down which were used, and makes the
// file small again when most of it is history. Call it about once a minute. lives is
// by home (see Party.Lives); a session of no party has nobody to serve it and ends.
func (s *Sessions) Tend(lives map[string]Lives) error {
	now := s.cfg.Now().Unix()
	var touched []*Session
	s.each(func(n *Session) {
		l, known := lives[n.home]
		switch used := n.used.Load(); {
		case !known || !n.alive(now, l.Idle, l.Lifetime):
			n.ended.Store(true)
			s.drop(n) // the file needs no line: reading it again comes to the same
		case used-n.kept >= int64(l.Idle/time.Second)/8:
			n.kept = used
			touched = append(touched, n)
		}
	})
	if err := s.log.touched(touched); err != nil {
		return err
	}
	if s.log.wasteful(s.Len()) {
		return s.rewrite()
	}
	return nil
}

// Lives returns how long sessions of the party last, by their home.
func (p *Party) Lives() (home string, l Lives) {
	return p.home, Lives{p.cfg.Idle, p.cfg.Lifetime}
}

// Close closes the file.
func (s *Sessions) Close() error { return s.log.close() }
