package gateway

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

// lives runs one gateway after the other on one folder; the clock is the test's.
type lives struct {
	t    *testing.T
	file string
	now  time.Time
	iss  *FakeIssuer
	key  *ProofKey
	sign *PartnerKey
}

func newLives(t *testing.T) *lives {
	return &lives{
		t: t, file: filepath.Join(t.TempDir(), "proofs"), now: time.Now().Truncate(time.Second),
		iss: NewIssuerFor(t, "https://issuer.test"), key: NewProofKey(t), sign: Ed25519Partner(t, "k1"),
	}
}

// begin starts a process.
func (l *lives) begin() *Gateway {
	l.t.Helper()
	c := ConfigFor(l.t, l.iss)
	c.Proofs, c.Now, c.NonceKey = l.file, func() time.Time { return l.now }, []byte("the same for all")
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x", Proof: spec.ProofDPoP}, spec.Route{Method: "GET", Path: "/new", Proof: spec.ProofDPoPNew})
	s.APIs[0].Host = "api.test"
	s.Issuers = append(s.Issuers, spec.Issuer{Name: "acme", Keys: map[string]string{"k1": l.sign.PEM}})
	signed := s.APIs[0]
	signed.Name, signed.BasePath, signed.Auth = "signed", "/signed", []string{"acme"}
	signed.Routes = []spec.Route{{Method: "GET", Path: "/x"}}
	s.APIs = append(s.APIs, signed)
	return newTestGateway(l.t, c, s)
}

// proof makes the headers of a request with a proof of this age and nonce.
func (l *lives) proof(path string, age time.Duration, nonce string) []string {
	token := l.iss.Token(l.t, l.key.Bound())
	claims := map[string]any{"iat": l.now.Add(-age).Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return []string{"Authorization", "DPoP " + token, "DPoP", l.key.Proof(l.t, "GET", "http://api.test"+path, token, nil, claims)}
}

// want sends a request and returns the nonce that it was answered with.
func (l *lives) want(g *Gateway, path string, headers []string, status int) string {
	l.t.Helper()
	lane := newLane("GET", path, headers...)
	g.ServeExchange(lane)
	if lane.status != status {
		l.t.Errorf("%s: %d %s, want %d", path, lane.status, lane.reason(), status)
	}
	return strings.Join(lane.fields["DPoP-Nonce"], "")
}

// A proof that was used is not good again in the next process: one that has ended tells
// it which were used. The rest are good as always.
func TestProofsOverARestart(t *testing.T) {
	l := newLives(t)
	g := l.begin()
	used, fresh := l.proof("/x", 0, ""), l.proof("/x", 0, "")
	nonce := l.want(g, "/new", l.proof("/new", 0, ""), 401)
	usedNew, freshNew := l.proof("/new", 0, nonce), l.proof("/new", 0, nonce)
	l.want(g, "/x", used, 200)
	l.want(g, "/new", usedNew, 200)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	l.want(g, "/x", l.proof("/x", 0, ""), 503) // no more after it was written down
	l.now = l.now.Add(2 * time.Second)
	g = l.begin()
	l.want(g, "/x", used, 401)
	l.want(g, "/new", usedNew, 401)
	l.want(g, "/x", fresh, 200)
	l.want(g, "/new", freshNew, 200)
	if data, err := os.ReadFile(l.file); err != nil || string(data) != "gatehouse-proofs 1 running\n" {
		t.Errorf("while it runs the file says %q %v", data, err)
	}
}

// A process that was cut off has told nobody. The next one takes no proof and no signed
// request of which it cannot know whether it was used before.
func TestProofsAfterACut(t *testing.T) {
	for name, spoil := range map[string]func(*lives){
		"cut off": func(*lives) {},
		"a damaged file": func(l *lives) {
			if err := os.WriteFile(l.file, []byte("gatehouse-proofs 1 ended 00\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t)
			g := l.begin()
			used, ahead := l.proof("/x", 0, ""), l.proof("/x", -25*time.Second, "") // by a clock that is fast
			nonce := l.want(g, "/new", l.proof("/new", 0, ""), 401)
			usedNew := l.proof("/new", 0, nonce)
			input, sig := l.sign.Sign(t, dated(l.now))
			for path, h := range map[string][]string{"/x": used, "/new": usedNew, "/signed/x": {"Signature-Input", input, "Signature", sig}} {
				l.want(g, path, h, 200)
			}
			l.want(g, "/x", ahead, 200)
			spoil(l)
			l.now = l.now.Add(time.Second)
			g = l.begin() // the first one has written nothing
			l.want(g, "/x", used, 401)
			l.want(g, "/x", ahead, 401)
			l.want(g, "/new", usedNew, 401)
			l.want(g, "/signed/x", []string{"Signature-Input", input, "Signature", sig}, 503)
			// Good clients go on: they are told a nonce.
			nonce = l.want(g, "/x", l.proof("/x", 0, ""), 401)
			l.want(g, "/x", l.proof("/x", 0, nonce), 200)
			l.want(g, "/new", l.proof("/new", 0, nonce), 200)
			l.now = l.now.Add(proofAhead + time.Second)
			l.want(g, "/x", l.proof("/x", 0, ""), 200)
			l.want(g, "/x", ahead, 401)
			input, sig = l.sign.Sign(t, dated(l.now))
			l.want(g, "/signed/x", []string{"Signature-Input", input, "Signature", sig}, 200)
		})
	}
}

// One that ends while it does not know itself leaves the next one in the same state.
func TestProofsOfACutAreNotForgotten(t *testing.T) {
	l := newLives(t)
	used := l.proof("/x", 0, "")
	l.want(l.begin(), "/x", used, 200)
	l.now = l.now.Add(time.Second)
	if err := l.begin().Close(); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(time.Second)
	l.want(l.begin(), "/x", used, 401)
}

// dated is what is signed of a request for /signed/x at a time.
func dated(at time.Time) Signed {
	s := target("GET", "/signed/x", "")
	s.Params = fmt.Sprintf(`;created=%d;keyid="k1";nonce=%q`, at.Unix(), rand.Text())
	return s
}

func FuzzProofsFile(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	r := newReplays(0)
	for _, id := range []string{"a", "b"} {
		r.take(replayID("k", id), now, now.Add(time.Minute), false)
	}
	f.Add(r.write(now))
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = newReplays(0).read(body, now) // whatever it is, it ends
		whole := []byte(endedHead(body))
		again := newReplays(0)
		if err := again.read(append(whole, body...), now); err == nil && len(again.write(now)) > len(body) {
			t.Errorf("%d bytes became %d", len(body), len(again.write(now)))
		}
	})
}
