package relying

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/relying/issuertest"
	"gatehouse/verify"
)

// Of many requests that find the access token expired, one asks the issuer: it rotates
// refresh tokens and would end all for one that comes twice.
func TestRenewalIsOneFlight(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	s := b.session()
	old, _, _ := s.Access(e.clock.now(), true)
	wait := make(chan struct{})
	e.issuer.Set(func(c *issuertest.Script) { c.Wait = wait })
	e.clock.add(61 * time.Minute)
	s.used.Store(e.clock.now().Unix())
	var all sync.WaitGroup
	errs := make(chan error, 32)
	for range 32 {
		all.Go(func() { errs <- e.Renew(t.Context(), s, true) })
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Renew(gone, s, true); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a caller who goes away: %v", err)
	}
	close(wait)
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	now, expired, _ := s.Access(e.clock.now(), true)
	if n := e.issuer.Count("grant refresh_token"); n != 1 || expired || string(now) == string(old) {
		t.Errorf("%d renewals, expired %v", n, expired)
	}
	// And again with the rotated refresh token.
	e.clock.add(61 * time.Minute)
	if err := e.Renew(t.Context(), s, true); err != nil || e.issuer.Count("grant refresh_token") != 2 {
		t.Errorf("the second renewal: %v", err)
	}
}

// Shortly before its end a token is renewed while it still serves.
func TestRenewalAhead(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	s := b.session()
	if _, _, due := s.Access(e.clock.now().Add(54*time.Minute), false); due {
		t.Error("due after 54 minutes")
	}
	e.clock.add(56 * time.Minute)
	if _, expired, due := s.Access(e.clock.now(), true); expired || !due {
		t.Errorf("after 56 minutes: expired %v, due %v", expired, due)
	}
	if err := e.Renew(t.Context(), s, false); err != nil {
		t.Fatal(err)
	}
	e.work.Wait()
	if _, _, due := s.Access(e.clock.now(), true); due || e.outcomes.of("renewed") != 1 {
		t.Error("it was not renewed")
	}
}

// What an issuer says to a renewal, and what becomes of the session.
func TestRenewalsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*issuertest.Script)
		code   fault.Code
		stays  bool
	}{
		"the issuer refuses":         {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 400} }, fault.Unauthenticated, false},
		"the issuer is down":         {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 503} }, fault.Unavailable, true},
		"the issuer asks to wait":    {func(s *issuertest.Script) { s.Fail = map[string]int{"/token": 429} }, fault.Unavailable, true},
		"it is for somebody else":    {func(s *issuertest.Script) { s.User = "eve" }, fault.Unauthenticated, false},
		"it is for another client":   {func(s *issuertest.Script) { s.ID = map[string]any{"aud": "other"} }, fault.Unauthenticated, false},
		"it comes of another issuer": {func(s *issuertest.Script) { s.ID = map[string]any{"iss": "https://evil.test"} }, fault.Unauthenticated, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			b := e.browser()
			b.signIn("/")
			s := b.session()
			e.issuer.Set(c.script)
			e.clock.add(61 * time.Minute)
			s.used.Store(e.clock.now().Unix())
			if err := e.Renew(t.Context(), s, true); !fault.Is(err, c.code) {
				t.Errorf("%v", err)
			}
			if found := b.session(); (found != nil) != c.stays || s.Ended() == c.stays {
				t.Errorf("the session stays: %v", found != nil)
			}
			n := e.issuer.Count("/token")
			_ = e.Renew(t.Context(), s, true)
			if e.issuer.Count("/token") != n {
				t.Error("the issuer is asked again at once")
			}
			if !c.stays {
				return
			}
			e.clock.add(retryRenewal)
			e.issuer.Set(func(s *issuertest.Script) { s.Fail = nil })
			if err := e.Renew(t.Context(), s, true); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	}
}

// Without a refresh token a session is over with its access token.
func TestSessionWithoutRefreshToken(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) { s.NoOffline = true })
	b := e.browser()
	b.signIn("/")
	s := b.session()
	e.clock.add(61 * time.Minute)
	s.used.Store(e.clock.now().Unix())
	if _, expired, due := s.Access(e.clock.now(), true); !expired || due {
		t.Errorf("expired %v, due %v", expired, due)
	}
	if err := e.Renew(t.Context(), s, true); !fault.Is(err, fault.Unauthenticated) || b.session() != nil {
		t.Error(err)
	}
}

// attack gateway 77: a renewed token is no newer and no stronger sign-in.
func TestRenewalIsNoSignIn(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) { s.ACR, s.AMR = "phr", []string{"pwd", "hwk"} })
	b := e.browser()
	b.signIn("/")
	s := b.session()
	began := e.clock.now().Unix()
	e.issuer.Set(func(c *issuertest.Script) {
		c.ID = map[string]any{"auth_time": began + 3700, "acr": "stronger", "amr": []string{"everything"}}
	})
	e.clock.add(61 * time.Minute)
	if err := e.Renew(t.Context(), s, true); err != nil {
		t.Fatal(err)
	}
	base, err := verify.FromClaims([]byte(fmt.Sprintf(`{"sub":"ana","auth_time":%d,"acr":"stronger","iat":%d,"exp":%d}`, began+3700, began+3700, began+9999)), verify.ClaimNames{})
	if err != nil {
		t.Fatal(err)
	}
	f := s.Facts(base)
	if f.AuthTime != began || f.ACR != "phr" || len(f.AMR) != 2 || f.IssuedAt != began || f.Subject != "ana" {
		t.Errorf("%+v", f)
	}
	if s.Facts(base) != f {
		t.Error("the facts are made anew for each request")
	}
}

func TestSessionsEndWithTime(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Idle, c.Lifetime = 10*time.Minute, time.Hour })
	b := e.browser()
	b.signIn("/")
	for range 6 {
		e.clock.add(9 * time.Minute)
		if b.session() == nil {
			t.Fatal("a session in use ends")
		}
		b.session().Access(e.clock.now(), true)
	}
	e.clock.add(7 * time.Minute)
	if b.session() != nil {
		t.Error("a session outlives its lifetime")
	}
	b.signIn("/")
	b.session().Access(e.clock.now(), false) // looking is no use
	e.clock.add(10*time.Minute + time.Second)
	if b.session() != nil {
		t.Error("an idle session stays")
	}
	if err := e.cfg.Sessions.Tend(lives(e)); err != nil || e.cfg.Sessions.Len() != 0 || e.cfg.Sessions.Bytes() != 0 || len(e.cfg.Sessions.named) != 0 {
		t.Errorf("%d sessions, %d bytes, %d names, %v", e.cfg.Sessions.Len(), e.cfg.Sessions.Bytes(), len(e.cfg.Sessions.named), err)
	}
}

func lives(e *edge) map[string]Lives {
	home, l := e.Lives()
	return map[string]Lives{home: l}
}

// The file brings back what there was, and nothing that has ended.
func TestSessionsAreKept(t *testing.T) {
	e := newEdge(t, nil)
	stays, ends, idle := e.browser(), e.browser(), e.browser()
	for _, b := range []*browser{stays, ends, idle} {
		b.signIn("/")
	}
	if err := e.cfg.Sessions.end(ends.session()); err != nil {
		t.Fatal(err)
	}
	e.clock.add(20 * time.Minute)
	stays.session().Access(e.clock.now(), true)
	if err := e.cfg.Sessions.Tend(lives(e)); err != nil {
		t.Fatal(err)
	}
	e.restart()
	if stays.session() == nil || ends.session() != nil || idle.session() == nil || e.cfg.Sessions.Len() != 2 {
		t.Fatalf("%d sessions", e.cfg.Sessions.Len())
	}
	e.clock.add(15 * time.Minute) // the idle one has not been used for 35
	if stays.session() == nil || idle.session() != nil {
		t.Error("what was used is not known after a restart")
	}
	e.clock.add(45 * time.Minute)
	if s := stays.session(); s != nil {
		t.Error("an idle session stays")
	}
}

// A file that is damaged loses what is damaged, and nothing else.
func TestDamagedFile(t *testing.T) {
	e := newEdge(t, nil)
	a, b := e.browser(), e.browser()
	a.signIn("/")
	b.signIn("/")
	if err := e.cfg.Sessions.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	// A line of one session under the name of the other, nonsense, and half a line.
	first, second := strings.Fields(lines[0]), strings.Fields(lines[1])
	bad := "+ " + first[1] + " " + second[2] + "\nnonsense\n\nu x y\n- short\n" + lines[1] + lines[0][:len(lines[0])/2]
	if err := os.WriteFile(e.path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	e.restart()
	if a.session() != nil || b.session() == nil || e.cfg.Sessions.Len() != 1 {
		t.Errorf("%d sessions", e.cfg.Sessions.Len())
	}
	c := e.browser()
	c.signIn("/")
	e.restart()
	if b.session() == nil || c.session() == nil || strings.Contains(e.log.String(), first[2]) {
		t.Error("what was written behind the damage is lost")
	}
}

// The file does not grow for ever, and says the same when it has been made small.
func TestFileIsRewritten(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	for range 2000 {
		if err := e.cfg.Sessions.log.put(openSealer{}, b.session()); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(e.path)
	if err := e.cfg.Sessions.Tend(lives(e)); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(e.path)
	if err != nil || after.Size()*100 > before.Size() || after.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes, before %d; mode %v", after.Size(), before.Size(), after.Mode())
	}
	c := e.browser()
	c.signIn("/")
	e.restart()
	if b.session() == nil || c.session() == nil {
		t.Error("a session was lost")
	}
}

// A session whose end cannot be written is over all the same, and the caller is told.
func TestEndThatCannotBeWritten(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	s := b.session()
	if err := e.cfg.Sessions.Close(); err != nil {
		t.Fatal(err)
	}
	e.cfg.Sessions.log.path = filepath.Join(t.TempDir(), "not", "there")
	res := b.send(http.MethodPost, e.Path()+"logout", "", "Sec-Fetch-Site", "same-origin")
	if res.StatusCode != http.StatusServiceUnavailable || !s.Ended() || e.cfg.Sessions.Len() != 0 {
		t.Errorf("%d, ended %v", res.StatusCode, s.Ended())
	}
	if res := e.browser().signIn("/"); res.StatusCode != http.StatusSeeOther || e.cfg.Sessions.Len() != 1 {
		t.Errorf("a sign-in that cannot be written: %d", res.StatusCode)
	}
}

func newSession(home, issuer, subject, sid string, i int) *Session {
	n := &Session{home: home, issuer: issuer, subject: subject, created: int64(i), signIn: verify.SignIn{Session: sid}}
	n.key = sha256.Sum256([]byte(fmt.Sprint(issuer, subject, sid, i)))
	n.used.Store(int64(i))
	n.tokens.Store(&tokens{access: make([]byte, 1000), refresh: "r", id: "i"})
	return n
}

func TestSessionsAreBounded(t *testing.T) {
	s, err := OpenSessions(SessionsConfig{Path: filepath.Join(t.TempDir(), "s"), Sealer: openSealer{}, Max: 60, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 55 {
		if err := s.add(newSession("h", "i", "ana", fmt.Sprint(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != mostPerUser {
		t.Errorf("one person has %d sessions", s.Len())
	}
	if left := s.matching(Ending{Issuer: "i", Session: "0"}); len(left) != 0 {
		t.Error("not the longest unused one went")
	}
	for i := range 10 {
		if err := s.add(newSession("h", "i", fmt.Sprint("p", i), "x", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.add(newSession("h", "i", "late", "x", 1)); !fault.Is(err, fault.Full) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestEndings(t *testing.T) {
	for name, c := range map[string]struct {
		e    Ending
		want int
	}{
		"a session":             {Ending{Issuer: "i", Session: "s1"}, 1},
		"of another issuer":     {Ending{Issuer: "j", Session: "s1"}, 0},
		"a user":                {Ending{Issuer: "i", Subject: "ana"}, 2},
		"a user, earlier":       {Ending{Issuer: "i", Subject: "ana", Before: time.Unix(1, 0)}, 1},
		"a client":              {Ending{Issuer: "i", Client: "c1"}, 2},
		"a client of an issuer": {Ending{Issuer: "i", Client: "c1", Session: "s3"}, 0},
		"an issuer":             {Ending{Issuer: "i"}, 3},
		"nobody":                {Ending{Issuer: "i", Subject: "eve"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenSessions(SessionsConfig{Path: filepath.Join(t.TempDir(), "s"), Sealer: openSealer{}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, n := range []*Session{
				newSession("n\ni\nc1", "i", "ana", "s1", 1), newSession("n\ni\nc1", "i", "ana", "s2", 2),
				newSession("n\ni\nc2", "i", "bob", "s3", 1), newSession("n\nj\nc1", "j", "ana", "s9", 1),
			} {
				if err := s.add(n); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := s.EndAll(c.e); n != c.want || err != nil || s.Len() != 4-n {
				t.Errorf("%d ended, %d stay, %v", n, s.Len(), err)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	s, err := OpenSessions(SessionsConfig{Path: filepath.Join(b.TempDir(), "s"), Sealer: openSealer{}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p := &Party{cfg: Config{Sessions: s, Idle: time.Hour, Lifetime: time.Hour}, home: "h"}
	now := time.Unix(1000, 0)
	value := []byte(newSecret())
	for i := range 100_000 {
		n := newSession("h", "i", fmt.Sprint(i), "", 1000)
		if i == 0 {
			n.key = sha256.Sum256(value)
		}
		s.insert(n)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p.Find(value, now) == nil {
			b.Fatal("not found")
		}
	}
}
