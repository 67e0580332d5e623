package relying

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// The file of sessions: lines that are only ever added, and now and then written anew.
//
//   - HASH SEALED   the session, in place of what was known of it
//     u HASH TIME     it was used, in Unix seconds
//   - HASH          it has ended
//
// HASH is of the cookie's value, in base64url: who reads the file can present no
// session. What the session holds is sealed. The end of a session is on disk before it
// is confirmed; a new one may be lost in a power cut, which costs a sign-in.
type sessionLog struct {
	path string

	mu    sync.Mutex
	file  *os.File // nil before the first line
	lines int
	torn  bool // a line may be half-written
}

// record is what a session is kept as.
type record struct {
	Home    string        `json:"home"`
	Issuer  string        `json:"iss"`
	Subject string        `json:"sub"`
	Created int64         `json:"created"`
	Used    int64         `json:"used"`
	Asked   string        `json:"asked,omitempty"`
	SignIn  verify.SignIn `json:"sign_in"`
	Access  string        `json:"access"`
	Until   int64         `json:"until"`
	Renew   int64         `json:"renew,omitempty"`
	Refresh string        `json:"refresh,omitempty"`
	ID      string        `json:"id,omitempty"`
}

func (n *Session) record() record {
	t := n.tokens.Load()
	return record{
		Home: n.home, Issuer: n.issuer, Subject: n.subject, Created: n.created, Used: n.used.Load(), Asked: n.asked, SignIn: n.signIn,
		Access: string(t.access), Until: t.until, Renew: t.renew, Refresh: t.refresh, ID: t.id,
	}
}

func (r *record) session(key [sha256.Size]byte) *Session {
	n := &Session{
		key: key, home: r.Home, issuer: r.Issuer, subject: r.Subject, created: r.Created, signIn: r.SignIn, asked: r.Asked, kept: r.Used,
	}
	n.used.Store(r.Used)
	n.tokens.Store(&tokens{access: []byte(r.Access), until: r.Until, renew: r.Renew, refresh: r.Refresh, id: r.ID})
	return n
}

func (n *Session) line(seal Sealer) (string, error) {
	plain, err := json.Marshal(n.record())
	if err != nil {
		return "", err
	}
	name := hashText(n.key)
	sealed, err := seal.Seal(plain, "session "+name)
	return "+ " + name + " " + sealed + "\n", err
}

func hashText(key [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(key[:]) }

func (l *sessionLog) put(seal Sealer, n *Session) error {
	line, err := n.line(seal)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.ended.Load() {
		return nil // its end is, or will be, the last that is said about it
	}
	return l.write(line, 1, false)
}

func (l *sessionLog) ended(key [sha256.Size]byte) error {
	return l.append("- "+hashText(key)+"\n", 1, true)
}

func (l *sessionLog) touched(list []*Session) error {
	if len(list) == 0 {
		return nil
	}
	var b strings.Builder
	for _, n := range list {
		fmt.Fprintf(&b, "u %s %d\n", hashText(n.key), n.kept)
	}
	return l.append(b.String(), len(list), false)
}

func (l *sessionLog) append(text string, lines int, sync bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(text, lines, sync)
}

// write appends whole lines. l.mu is held.
func (l *sessionLog) write(text string, lines int, sync bool) (err error) {
	defer fault.Wrap(&err, "write to %s", l.path)
	if l.file == nil {
		if l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return err
		}
	}
	if l.torn {
		text = "\n" + text
	}
	if _, err = l.file.WriteString(text); err != nil {
		l.torn = true
		return err
	}
	l.torn = false
	l.lines += lines
	if sync {
		return l.file.Sync()
	}
	return nil
}

func (l *sessionLog) wasteful(live int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines > 3*live+1000
}

func (l *sessionLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.file.Sync(), l.file.Close())
	l.file = nil
	return err
}

// rewrite writes the file anew with what there is. Who signs in meanwhile waits.
func (s *Sessions) rewrite() (err error) {
	defer fault.Wrap(&err, "write %s anew", s.log.path)
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	f, err := os.CreateTemp(filepath.Dir(s.log.path), ".sessions-*")
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	lines := 0
	s.each(func(n *Session) {
		line, e := n.line(s.cfg.Sealer)
		if e == nil && !n.ended.Load() {
			_, e = w.WriteString(line)
			lines++
		}
		err = errors.Join(err, e)
	})
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.log.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if s.log.file != nil {
		_ = s.log.file.Close()
		s.log.file = nil
	}
	s.log.lines, s.log.torn = lines, false
	return nil
}

// recall reads the file. A line that makes no sense is left out: the last one may be
// half-written, and one that was sealed with a key that is gone opens no more.
func (s *Sessions) recall() (err error) {
	defer fault.Wrap(&err, "read the kept sessions in %s", s.log.path)
	f, err := os.Open(s.log.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	oldest := s.cfg.Now().Add(-s.cfg.Lifetime).Unix()
	all := map[[sha256.Size]byte]*Session{}
	bad := 0
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), 16*maxToken)
	for lines.Scan() {
		s.log.lines++
		if !s.read(all, lines.Text()) {
			bad++
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, n := range all {
		if n.created >= oldest {
			s.insert(n)
		}
	}
	if bad > 0 {
		s.cfg.Logger.Warn("some kept sessions cannot be read: those people sign in again", "lines", bad)
		return s.rewrite() // what is appended must not continue a half-written line
	}
	return nil
}

// read applies one line and reports whether it made sense.
func (s *Sessions) read(all map[[sha256.Size]byte]*Session, line string) bool {
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 2 {
		return false
	}
	hash, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(hash) != sha256.Size {
		return false
	}
	key := [sha256.Size]byte(hash)
	switch {
	case parts[0] == "-" && len(parts) == 2:
		delete(all, key)
		return true
	case parts[0] == "u" && len(parts) == 3:
		at, err := strconv.ParseInt(parts[2], 10, 64)
		if n := all[key]; n != nil && err == nil {
			n.kept = at
			n.used.Store(at)
		}
		return err == nil
	case parts[0] == "+" && len(parts) == 3:
		plain, err := s.cfg.Sealer.Open(parts[2], "session "+parts[1])
		var r record
		if err != nil || json.Unmarshal(plain, &r) != nil || r.Home == "" || r.Access == "" {
			delete(all, key)
			return false
		}
		all[key] = r.session(key)
		return true
	}
	return false
}

func clientOf(home string) string { return home[strings.LastIndexByte(home, '\n')+1:] }
