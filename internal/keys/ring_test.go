package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

var errDown = errors.New("the store is down")

// memory is a RingStore that can fail, and that can make others run between two
// of its steps.
type memory struct {
	mu      sync.Mutex
	records []Record
	down    bool
	changes int // Change calls that won
}

func (m *memory) Keys(_ context.Context, t tenant.ID, server string) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errDown
	}
	return slices.DeleteFunc(slices.Clone(m.records), func(r Record) bool { return r.Tenant != t || r.Server != server }), nil
}

func (m *memory) Insert(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	m.records = append(m.records, r)
	return nil
}

func (m *memory) Change(_ context.Context, r Record, from State) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return false, errDown
	}
	i := find(m.records, r.Tenant, r.Server, r.ID)
	if i < 0 || m.records[i].State != from {
		return false, nil
	}
	m.records[i].State, m.records[i].Activates, m.records[i].Expires = r.State, r.Activates, r.Expires
	m.changes++
	return true, nil
}

func (m *memory) Delete(_ context.Context, t tenant.ID, server, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := find(m.records, t, server, id); i >= 0 {
		m.records = slices.Delete(m.records, i, i+1)
	}
	return nil
}

func find(all []Record, t tenant.ID, server, id string) int {
	return slices.IndexFunc(all, func(r Record) bool { return r.Tenant == t && r.Server == server && r.ID == id })
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sealer() *Sealer { return must(NewSealer(key("k1", 'a'))) }

// open opens a ring and waits for its first upkeep.
func open(t testing.TB, store RingStore, now func() time.Time, algs ...verify.Algorithm) *Ring {
	t.Helper()
	r, err := OpenRing(t.Context(), RingConfig{Tenant: acme, Server: "default", Store: store, Sealer: sealer(), Now: now, Algorithms: algs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	<-r.first
	return r
}

func verifier(t testing.TB, r *Ring, now func() time.Time) *verify.Verifier {
	t.Helper()
	return must(verify.New(verify.Config{Issuers: []verify.Issuer{{URL: "https://id.test", Keys: r.KeySource()}}, Now: now}))
}

func claims(now time.Time, jti string) []byte {
	return fmt.Appendf(nil, `{"iss":"https://id.test","aud":"api","sub":"ana","cid":"app","scp":["a"],"jti":%q,"iat":%d,"exp":%d}`, jti, now.Unix(), now.Unix()+3600)
}

func states(r *Ring) string {
	var out []string
	for _, k := range r.Keys() {
		out = append(out, string(k.Algorithm)+" "+string(k.State))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestRingSigns(t *testing.T) {
	clk := &clock{t: epoch}
	r := open(t, &memory{}, clk.now, verify.RS256, verify.ES256, verify.EdDSA, verify.PS256)
	v := verifier(t, r, clk.now)
	doc, etag := r.JWKS()
	published := must(verify.NewStaticKeys(doc))
	outside := must(verify.New(verify.Config{Issuers: []verify.Issuer{{URL: "https://id.test", Keys: published}}, Now: clk.now}))
	for _, alg := range []verify.Algorithm{"", verify.RS256, verify.ES256, verify.EdDSA, verify.PS256} {
		for _, typ := range []string{"", "at+jwt", "JWT"} {
			raw := must(r.Sign(t.Context(), claims(epoch, "1"), typ, alg))
			for _, by := range []*verify.Verifier{v, outside} {
				tok, err := by.Verify(t.Context(), []byte(raw))
				if err != nil {
					t.Fatalf("%s %q: %v", alg, typ, err)
				}
				if alg == "" && tok.Algorithm != verify.RS256 || alg != "" && tok.Algorithm != alg || tok.Type != strings.ToLower(typ) || tok.KeyID == "" {
					t.Errorf("%s %q: got %s %q", alg, typ, tok.Algorithm, tok.Type)
				}
			}
		}
	}
	if _, err := r.Sign(t.Context(), claims(epoch, "1"), "", "HS256"); !fault.Is(err, fault.Unsupported) {
		t.Errorf("HS256: %v", err)
	}
	if got := states(r); got != "ES256 ACTIVE, ES256 NEXT, EdDSA ACTIVE, EdDSA NEXT, PS256 ACTIVE, PS256 NEXT, RS256 ACTIVE, RS256 NEXT" {
		t.Error(got)
	}
	if again, tag := r.JWKS(); string(again) != string(doc) || tag != etag || len(etag) != 26 {
		t.Error("the set is not stable")
	}
	if strings.Contains(string(doc), `"d"`) {
		t.Error("a private part is published")
	}
}

// Signatures of P-256 whose r or s is short must be filled up.
func TestRawSignature(t *testing.T) {
	r := open(t, &memory{}, time.Now)
	v := verifier(t, r, time.Now)
	for i := range 600 { // 1 of 128 has a short r or s
		raw := must(r.Sign(t.Context(), claims(time.Now(), fmt.Sprint(i)), "", ""))
		if _, err := v.Verify(t.Context(), []byte(raw)); err != nil {
			t.Fatalf("signature %d: %v", i, err)
		}
	}
	for _, bad := range []string{"", "\x30", "\x30\x00", "\x30\x02\x02\x05", "\x30\x03\x02\x01\x01", "\x30\x81\x02", "\x30\x06\x02\x01\x01\x03\x01\x01"} {
		if _, err := rawSignature([]byte(bad)); err == nil {
			t.Errorf("%x was accepted", bad)
		}
	}
}

// The life of a key: NEXT, ACTIVE, EXPIRED, gone; and tokens stay good as long
// as they live.
// TestOnPublish: whoever keeps what is published is told of it at once, of every change, and of nothing else.
func TestOnPublish(t *testing.T) {
	clk := &clock{t: epoch}
	r := open(t, &memory{}, clk.now)
	var told []string
	r.OnPublish(func(document []byte, etag string) {
		if doc, now := r.JWKS(); string(doc) != string(document) || now != etag {
			t.Errorf("told of %s, published is %s", etag, now)
		}
		told = append(told, etag)
	})
	if len(told) != 1 {
		t.Fatalf("told %d times at first", len(told))
	}
	if err := r.Reload(t.Context()); err != nil || len(told) != 1 {
		t.Errorf("told %d times when nothing has changed, %v", len(told), err)
	}
	if err := errors.Join(r.Rotate(t.Context(), ""), r.Tend(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, etag := r.JWKS(); told[len(told)-1] != etag || len(told) < 2 {
		t.Errorf("told of %v, published is %s", told, etag)
	}
}

func TestRotationByTime(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	r := open(t, store, clk.now)
	first, next := r.Keys()[1].ID, r.Keys()[0].ID
	if r.Keys()[0].State != Next {
		first, next = next, first
	}
	kid := func() string {
		var h struct{ Kid string }
		raw := must(r.Sign(t.Context(), claims(clk.now(), "1"), "", ""))
		must(0, json.Unmarshal(must(b64(raw[:strings.IndexByte(raw, '.')])), &h))
		return h.Kid
	}
	tend := func() {
		t.Helper()
		if err := r.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if kid() != first {
		t.Fatal("the NEXT key signs")
	}
	clk.move(90*24*time.Hour - time.Second)
	tend()
	if kid() != first || states(r) != "ES256 ACTIVE, ES256 NEXT" {
		t.Fatalf("rotated too early: %s", states(r))
	}
	v := verifier(t, r, clk.now)
	last := []byte(must(r.Sign(t.Context(), claims(clk.now(), "last"), "", "")))
	clk.move(time.Second)
	tend()
	if kid() != next || states(r) != "ES256 ACTIVE, ES256 EXPIRED, ES256 NEXT" {
		t.Fatalf("not rotated: %s", states(r))
	}
	if _, err := v.Verify(t.Context(), last); err != nil {
		t.Errorf("a token by the expired key: %v", err)
	}
	tend() // nothing is due
	if states(r) != "ES256 ACTIVE, ES256 EXPIRED, ES256 NEXT" {
		t.Error(states(r))
	}
	clk.move(24*time.Hour + lag)
	tend()
	doc, _ := r.JWKS()
	if states(r) != "ES256 ACTIVE, ES256 NEXT" || strings.Contains(string(doc), first) || len(store.records) != 2 {
		t.Errorf("the expired key is still there: %s", states(r))
	}
}

func b64(s string) ([]byte, error) {
	var out []byte
	err := json.Unmarshal([]byte(`"`+strings.NewReplacer("-", "+", "_", "/").Replace(s)+strings.Repeat("=", (4-len(s)%4)%4)+`"`), &out)
	return out, err
}

// A NEXT key that has not been published long enough does not sign by itself.
func TestNextIsPublishedAhead(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	r := open(t, store, clk.now)
	store.mu.Lock()
	for i := range store.records {
		if store.records[i].State == Next {
			store.records[i].Created = epoch.Add(90*24*time.Hour - time.Hour)
		}
	}
	store.mu.Unlock()
	clk.move(90 * 24 * time.Hour)
	must(0, r.Tend(t.Context()))
	if states(r) != "ES256 ACTIVE, ES256 NEXT" {
		t.Errorf("rotated to a key published an hour ago: %s", states(r))
	}
	clk.move(23 * time.Hour)
	must(0, r.Tend(t.Context()))
	if states(r) != "ES256 ACTIVE, ES256 EXPIRED, ES256 NEXT" {
		t.Error(states(r))
	}
}

// Many nodes start, tend and rotate at the same time on one store: in the end
// all sign with one key, and no token of any node was ever refused by another.
func TestNodesRotateAtOnce(t *testing.T) {
	store := &memory{}
	clk := &clock{t: epoch}
	nodes := make([]*Ring, 4)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { nodes[i] = open(t, store, clk.now) })
	}
	wg.Wait()
	settle := func() {
		t.Helper()
		for range 2 {
			for _, n := range nodes {
				must(0, n.Tend(t.Context()))
			}
		}
	}
	active := func() map[string]int {
		out := map[string]int{}
		for _, n := range nodes {
			for _, k := range n.Keys() {
				if k.State == Active {
					out[k.ID]++
				}
			}
		}
		return out
	}
	settle()
	if a := active(); len(a) != 1 {
		t.Fatalf("after the start %d keys are active: %v", len(a), a)
	}
	for round := range 5 {
		before := active()
		clk.move(time.Hour)
		for _, n := range nodes {
			wg.Go(func() {
				raw := must(n.Sign(t.Context(), claims(clk.now(), "x"), "", ""))
				must(0, n.Rotate(t.Context(), ""))
				for _, other := range nodes {
					must(0, other.Reload(t.Context()))
					if _, err := verifier(t, other, clk.now).Verify(t.Context(), []byte(raw)); err != nil {
						t.Errorf("round %d: a token of one node is refused by another: %v", round, err)
					}
				}
			})
		}
		wg.Wait()
		settle()
		after := active()
		if len(after) != 1 {
			t.Fatalf("round %d: %d keys are active", round, len(after))
		}
		for k := range after {
			if before[k] != 0 {
				t.Errorf("round %d: not rotated", round)
			}
		}
	}
	if s := states(nodes[0]); strings.Count(s, "NEXT") != 1 || strings.Count(s, "ACTIVE") != 1 {
		t.Error(s)
	}
}

// Two nodes rotate in lockstep: both have read the same NEXT key before either
// changes it. One change wins, and there is one rotation.
func TestOneWinner(t *testing.T) {
	store := &memory{}
	clk := &clock{t: epoch}
	a, b := open(t, store, clk.now), open(t, store, clk.now)
	must(0, a.Tend(t.Context()))
	must(0, b.Reload(t.Context()))
	next := a.sorted(verify.ES256, Next)[0]
	store.changes = 0
	clk.move(time.Hour)
	must(0, a.promote(t.Context(), next))
	must(0, b.promote(t.Context(), next))
	if store.changes != 1 {
		t.Errorf("%d promotions", store.changes)
	}
	must(0, a.expireOld(t.Context(), verify.ES256))
	must(0, b.expireOld(t.Context(), verify.ES256))
	if len(a.sorted(verify.ES256, Active)) != 1 || len(a.sorted(verify.ES256, Expired)) != 1 {
		t.Error(states(a))
	}
}

// Two nodes have both made a NEXT key: the older one stays, the other goes, and
// nothing is lost, for it has signed nothing.
func TestTwoNextKeys(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	r := open(t, store, clk.now)
	first := r.sorted(verify.ES256, Next)[0].ID
	clk.move(time.Second)
	must(0, r.make(t.Context(), verify.ES256, Next))
	if n := len(r.sorted(verify.ES256, Next)); n != 2 {
		t.Fatalf("%d NEXT keys", n)
	}
	must(0, r.Tend(t.Context()))
	if left := r.sorted(verify.ES256, Next); len(left) != 1 || left[0].ID != first || len(store.records) != 2 {
		t.Errorf("%s, %d records", states(r), len(store.records))
	}
}

func TestRevoke(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	r := open(t, store, clk.now)
	other := open(t, store, clk.now)
	v := verifier(t, r, clk.now)
	raw := []byte(must(r.Sign(t.Context(), claims(epoch, "1"), "", "")))
	tok := must(v.Verify(t.Context(), raw))
	must(0, r.Revoke(t.Context(), tok.KeyID))
	if _, ok := v.VerifyCached(raw); ok {
		t.Error("a token by the revoked key is served from the cache")
	}
	if _, err := v.Verify(t.Context(), raw); verify.ReasonOf(err) != verify.ReasonUnknownKey {
		t.Errorf("%v", err)
	}
	doc, _ := r.JWKS()
	if strings.Contains(string(doc), tok.KeyID) {
		t.Error("the revoked key is published")
	}
	again := []byte(must(r.Sign(t.Context(), claims(epoch, "2"), "", "")))
	if got := must(v.Verify(t.Context(), again)); got.KeyID == tok.KeyID {
		t.Error("the revoked key signs")
	}
	must(0, other.Reload(t.Context()))
	if _, err := verifier(t, other, clk.now).Verify(t.Context(), raw); verify.ReasonOf(err) != verify.ReasonUnknownKey {
		t.Errorf("on another node: %v", err)
	}
	must(0, r.Revoke(t.Context(), tok.KeyID)) // a second time is no error
	if err := r.Revoke(t.Context(), "none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// A token of another node by a key that is not known here yet makes the ring
// look, and not more often than once in 10 s.
func TestKeyOfAnotherNode(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	a, b := open(t, store, clk.now), open(t, store, clk.now)
	v := verifier(t, b, clk.now)
	for _, k := range a.Keys() {
		must(0, a.Revoke(t.Context(), k.ID))
	}
	raw := []byte(must(a.Sign(t.Context(), claims(epoch, "1"), "", "")))
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := b.KeySource().Key(t.Context(), "none", verify.ES256); verify.ReasonOf(err) != verify.ReasonUnknownKey {
		t.Errorf("%v", err)
	}
	if b.KeySource() != b.KeySource() {
		t.Error("the source is another value each time")
	}
}

func TestStoreDown(t *testing.T) {
	clk := &clock{t: epoch}
	store := &memory{}
	r := open(t, store, clk.now)
	store.mu.Lock()
	store.down = true
	store.mu.Unlock()
	for _, err := range []error{r.Tend(t.Context()), r.Reload(t.Context()), r.Rotate(t.Context(), "")} {
		if !errors.Is(err, errDown) {
			t.Errorf("%v", err)
		}
	}
	raw := must(r.Sign(t.Context(), claims(epoch, "1"), "", ""))
	if _, err := verifier(t, r, clk.now).Verify(t.Context(), []byte(raw)); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := OpenRing(t.Context(), RingConfig{Store: store, Sealer: sealer()}); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}

func TestRingRefuses(t *testing.T) {
	if _, err := OpenRing(t.Context(), RingConfig{Store: &memory{}, Sealer: sealer(), Algorithms: []verify.Algorithm{"HS256"}}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("HS256: %v", err)
	}
	store := &memory{}
	open(t, store, time.Now)
	cfg := RingConfig{Tenant: acme, Server: "default", Store: store, Sealer: must(NewSealer(key("k2", 'b')))}
	if _, err := OpenRing(t.Context(), cfg); !fault.Is(err, fault.Denied) {
		t.Errorf("another seal key: %v", err)
	}
	for i := range store.records { // a row that was moved to another ring
		store.records[i].Server = "other"
	}
	cfg.Server, cfg.Sealer = "other", sealer()
	if _, err := OpenRing(t.Context(), cfg); !fault.Is(err, fault.Denied) {
		t.Errorf("a moved key: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	r := open(b, &memory{}, time.Now, verify.ES256, verify.EdDSA, verify.RS256)
	payload := claims(time.Now(), "AT.0123456789012345678901234567890123456789")
	for _, alg := range []verify.Algorithm{verify.ES256, verify.EdDSA, verify.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(b.Context(), payload, "at+jwt", alg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
