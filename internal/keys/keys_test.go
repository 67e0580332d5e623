package keys

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Nodes with one seal key derive the same, for one purpose.
func TestDerive(t *testing.T) {
	key := func(secret byte, purpose string) string {
		s, err := NewSealer(SealKey{ID: "a", Secret: [32]byte{secret}})
		if err != nil {
			t.Fatal(err)
		}
		k, err := s.Derive(purpose)
		if err != nil || len(k) != 32 {
			t.Fatalf("%d bytes, %v", len(k), err)
		}
		return string(k)
	}
	again := key(1, "x")
	if key(1, "x") != again || again == key(1, "y") || again == key(2, "x") {
		t.Error("not one key for each seal key and purpose")
	}
}

func TestID(t *testing.T) {
	seen := map[string]bool{}
	var count [256]int
	for range 20_000 {
		id := ID("00u")
		if len(id) != 20 || !strings.HasPrefix(id, "00u") || strings.Trim(id, base62) != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
		for _, c := range []byte(id[3:]) {
			count[c]++
		}
	}
	// 340,000 digits over 62: 5,484 each, give or take 74. Six sigmas are a defect.
	for _, c := range []byte(base62) {
		if n := count[c]; n < 5484-444 || n > 5484+444 {
			t.Errorf("digit %c occurs %d times", c, n)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a prefix that leaves no room was accepted")
		}
	}()
	ID("12345678")
}

func TestSecret(t *testing.T) {
	for bits, length := range map[int]int{0: 22, 128: 22, 256: 43, 257: 44} {
		a, b := Secret(bits), Secret(bits)
		if len(a) != length || a == b {
			t.Errorf("%d bits: %q, %q", bits, a, b)
		}
	}
	h := Hash("secret")
	if h != "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" {
		t.Errorf("hash %s", h)
	}
	if !Matches(h, "secret") || Matches(h, "Secret") || Matches("", "secret") || !Equal("", "") || Equal("a", "") {
		t.Error("comparison")
	}
}

// cheap are parameters that make tests quick.
func cheap() PasswordConfig { return PasswordConfig{MemoryKiB: 64, Iterations: 1, Lanes: 1} }

func TestPasswords(t *testing.T) {
	ctx := t.Context()
	p := NewPasswords(cheap())
	phc := must(p.Hash(ctx, "correct horse"))
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=64,t=1,p=1$") || phc == must(p.Hash(ctx, "correct horse")) {
		t.Errorf("phc %s", phc)
	}
	stronger := NewPasswords(PasswordConfig{MemoryKiB: 128, Iterations: 1, Lanes: 1})
	// Made by the reference implementation: argon2 "password" with salt "somesalt", RFC 9106 parameters of its test.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, c := range []struct {
		name, phc, password string
		by                  *Passwords
		ok, rehash          bool
		code                fault.Code
		fails               bool
	}{
		{"right", phc, "correct horse", p, true, false, 0, false},
		{"wrong", phc, "correct horsf", p, false, false, 0, false},
		{"empty", phc, "", p, false, false, 0, false},
		{"parameters have changed", phc, "correct horse", stronger, true, true, 0, false},
		{"wrong, and parameters have changed", phc, "x", stronger, false, false, 0, false},
		{"of another implementation", reference, "password", p, true, true, 0, false},
		{"no such user", "", "", p, false, false, 0, false},
		{"no such user, some password", "", "password", p, false, false, 0, false},
		{"too long", phc, strings.Repeat("a", 2000), p, false, false, 0, false},
		{"not a hash", "x", "x", p, false, false, fault.Internal, true},
		{"another kind", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "x", p, false, false, fault.Internal, true},
		{"asks for too much memory", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "x", p, false, false, fault.Internal, true},
		{"asks for too much time", "$argon2id$v=19$m=64,t=1000,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "x", p, false, false, fault.Internal, true},
		{"asks for nothing", "$argon2id$v=19$m=0,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "x", p, false, false, fault.Internal, true},
		{"without tag", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "", p, false, false, fault.Internal, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ok, rehash, err := c.by.Check(ctx, c.phc, c.password)
			if ok != c.ok || rehash != c.rehash || (err != nil) != c.fails || c.fails && fault.CodeOf(err) != c.code {
				t.Errorf("%t, %t, %v", ok, rehash, err)
			}
		})
	}
	if _, err := p.Hash(ctx, strings.Repeat("a", 2000)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a long password: %v", err)
	}
}

// No more hashes than allowed are computed at a time; who waits can give up.
func TestPasswordsTakeTurns(t *testing.T) {
	cfg := cheap()
	cfg.Concurrent = 1
	p := NewPasswords(cfg)
	p.turns <- struct{}{} // somebody else's turn
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Hash(ctx, "x"); !fault.Is(err, fault.Timeout) {
		t.Errorf("%v", err)
	}
	for range cap(p.queue) { // and as many as may wait do
		p.queue <- struct{}{}
	}
	if _, err := p.Hash(t.Context(), "x"); !fault.Is(err, fault.Timeout) {
		t.Errorf("a full queue: %v", err)
	}
	for range cap(p.queue) {
		<-p.queue
	}
	<-p.turns
	if _, err := p.Hash(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}

func key(id string, b byte) SealKey {
	return SealKey{ID: id, Secret: [32]byte([]byte(strings.Repeat(string(b), 32)))}
}

func TestSealer(t *testing.T) {
	at := Place{Tenant: "acme", Kind: "app", ID: "0oa1", Field: "secret"}
	old := must(NewSealer(key("k1", 'a')))
	both := must(NewSealer(key("k2", 'b'), key("k1", 'a')))
	sealed := must(old.Seal([]byte("plain"), at))
	if !strings.HasPrefix(sealed, "sealed:v1:k1:") || strings.Contains(sealed, "plain") || !IsSealed(sealed) || IsSealed("plain") || IsSealed("sealed:v1:k1:") {
		t.Error(sealed)
	}
	if sealed == must(old.Seal([]byte("plain"), at)) {
		t.Error("the same twice")
	}
	if got, err := both.Open(sealed, at); err != nil || string(got) != "plain" {
		t.Errorf("%q, %v", got, err)
	}
	if !both.Stale(sealed) || old.Stale(sealed) || both.Stale("plain") || both.Stale(must(both.Seal(nil, at))) {
		t.Error("staleness")
	}
	// It opens nowhere else and not after any change.
	for _, elsewhere := range []Place{
		{"other", at.Kind, at.ID, at.Field},
		{at.Tenant, "ap", "p0oa1", at.Field},
		{at.Tenant, at.Kind, "0oa2", at.Field},
		{at.Tenant, at.Kind, at.ID, "secre"},
		{at.Tenant, at.Kind, at.ID + "secret", ""},
		{},
	} {
		if _, err := old.Open(sealed, elsewhere); !fault.Is(err, fault.Denied) {
			t.Errorf("opened at %+v: %v", elsewhere, err)
		}
	}
	body := len("sealed:v1:k1:")
	for i := body; i < len(sealed); i++ {
		bad := []byte(sealed)
		if bad[i] == 'A' {
			bad[i] = 'B'
		} else {
			bad[i] = 'A'
		}
		if got, err := old.Open(string(bad), at); err == nil {
			t.Fatalf("opened with character %d changed: %q", i, got)
		}
	}
	twin := must(NewSealer(key("k9", 'a'))) // the same secret under another id
	if _, err := twin.Open(strings.Replace(sealed, ":k1:", ":k9:", 1), at); err == nil {
		t.Error("opened under another key id")
	}
	later := must(both.Seal([]byte("x"), at))
	if _, err := old.Open(later, at); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), `"k2"`) {
		t.Errorf("a key that is not here: %v", err)
	}
	for _, bad := range []string{"", "plain", "sealed:v2:k1:AAAA", "sealed:v1:k1", "sealed:v1:k1:AAAA", "sealed:v1:k1:!", "sealed:v1::AAAA"} {
		if _, err := old.Open(bad, at); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, keys := range [][]SealKey{nil, {{ID: ""}}, {{ID: "a:b"}}, {key("a", 'a'), key("a", 'b')}} {
		if _, err := NewSealer(keys...); err == nil {
			t.Errorf("accepted %v", keys)
		}
	}
}

func TestLoadSealer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "seal.key")
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]int{}
	for range 8 { // processes that start at once agree on one key
		wg.Go(func() {
			s, err := LoadSealer(path, "")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[s.newest]++
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Fatalf("%d keys were made", len(ids))
	}
	info := must(os.Stat(path))
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left := must(os.ReadDir(filepath.Dir(path))); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	// A line at the top rotates.
	at := Place{Kind: "k"}
	first := must(LoadSealer(path, ""))
	sealed := must(first.Seal([]byte("x"), at))
	raw := string(must(os.ReadFile(path)))
	if err := os.WriteFile(path, []byte("# new\n"+strings.Repeat("ab", 32)+"\n\n"+raw), 0o600); err != nil {
		t.Fatal(err)
	}
	second := must(LoadSealer(path, ""))
	if !second.Stale(sealed) || string(must(second.Open(sealed, at))) != "x" {
		t.Error("the old key is lost")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealer(path, ""); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
	// The environment goes before the file.
	env := must(LoadSealer(path, strings.Repeat("AAAA", 10)+"AAA=, "+strings.Repeat("cd", 32)))
	if len(env.byID) != 2 {
		t.Errorf("%d keys", len(env.byID))
	}
	canary := strings.Repeat("Zz9", 15)
	for _, bad := range []string{canary, "AAAA", strings.Repeat("ab", 33), strings.Repeat("ab", 32) + "," + strings.Repeat("ab", 32)} {
		if _, err := LoadSealer(path, bad); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := os.WriteFile(path+"2", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealer(path+"2", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty file: %v", err)
	}
}

// clock is a clock that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const acme tenant.ID = "acme"
