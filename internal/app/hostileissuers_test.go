package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/hostile"
)

// rotating is an issuer elsewhere that publishes other keys when it is told to.
type rotating struct {
	*httptest.Server
	mu    sync.Mutex
	keys  []any
	asked atomic.Int64
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": r.URL, "jwks_uri": r.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		r.asked.Add(1)
		r.mu.Lock()
		defer r.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": r.keys})
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

// publish replaces what is published by a new key of the name, and keeps what is given.
func (r *rotating) publish(t *testing.T, kid string, keep ...any) (*ecdsa.PrivateKey, any) {
	t.Helper()
	key, jwk := newKey(t)
	jwk["kid"], jwk["use"], jwk["alg"] = kid, "sig", "ES256"
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append([]any{jwk}, keep...)
	return key, jwk
}

func (r *rotating) token(t *testing.T, key *ecdsa.PrivateKey, kid string) string {
	t.Helper()
	now := time.Now().Unix()
	return es256(t, key, map[string]any{"kid": kid}, map[string]any{
		"iss": r.URL, "aud": "api://test", "sub": "ana", "cid": "app1", "iat": now, "exp": now + 600, "jti": rand.Text(),
	})
}

// fetches is the metric that an operator's alert stands on.
var fetches = regexp.MustCompile(`gatehouse_issuer_key_fetches_total\{issuer="([^"]+)",outcome="failed"\} ([1-9])`)

// Issuers that misbehave in every way that we know, through the whole program and on
// both lanes: nobody whose token is signed by another gets in, known keys go on, they are
// asked a few times and not for every token, and metrics say so (attack gateway 6, 9-12).
// What an honest issuer changes is taken up at first sight (attack gateway 7, 8).
func TestIssuersThatMisbehave(t *testing.T) {
	up := echoUpstream(t, nil)
	issuers, apis := "", ""
	add := func(name, url string) {
		issuers += fmt.Sprintf("  %s: { url: %q, audience: api://test }\n", name, url)
		apis += fmt.Sprintf("  %s: { base_path: /%s, upstream: %q, auth: %s, routes: { GET /x: {} } }\n", name, name, up.URL, name)
	}
	all := map[string]*hostile.Issuer{}
	turns := map[string]hostile.Answer{}
	for what, answer := range hostile.Answers() {
		if what == "silence" || what == "one byte a second" {
			continue // they cost their time limit, see internal/hostile
		}
		i, err := hostile.New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.Close)
		name := fmt.Sprint("h", len(all))
		all[name], turns[name] = i, answer
		add(name, i.URL)
	}
	adds, swaps, lies := newRotating(t), newRotating(t), newRotating(t)
	oldKey, kept := adds.publish(t, "k1")
	swapped, _ := swaps.publish(t, "k1")
	lyingKey, _ := lies.publish(t, "k1")
	add("adds", adds.URL)
	add("swaps", swaps.URL)
	add("lies", lies.URL+"/") // its metadata name another issuer: the one without the slash
	p := start(t, write(t, "version: 1\nissuers:\n"+issuers+"apis:\n"+apis))
	call := func(path, token string, want int) {
		t.Helper()
		for lane, header := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			if a := p.call(http.MethodGet, path, token, header...); a.Status != want {
				t.Errorf("%s on the %s lane: %d %s, want %d", path, lane, a.Status, a.Body, want)
			}
		}
	}
	mint := func(i *hostile.Issuer, kid string, genuine bool) string {
		t.Helper()
		raw, err := i.Token(kid, genuine)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, i := range all {
		call("/"+name+"/x", mint(i, "k1", true), http.StatusOK)
		i.Asked()
		i.Turn(turns[name])
		for n := range 5 {
			call("/"+name+"/x", mint(i, fmt.Sprint("t", n), false), http.StatusUnauthorized)
		}
		call("/"+name+"/x", mint(i, "k1", false), http.StatusUnauthorized) // few in all: those who forge have a limit
		call("/"+name+"/x", mint(i, "k1", true), http.StatusOK)
		if n := i.Asked(); n > 6 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	failed := map[string]bool{}
	eventually(t, "metrics to tell of failures", func() bool {
		for _, m := range fetches.FindAllStringSubmatch(p.request(http.MethodGet, p.Ready().Console+"/metrics", "", "").Body, -1) {
			failed[m[1]] = true
		}
		return len(failed) >= len(all) && failed[lies.URL+"/"] // one of them may flap to a right answer
	})
	if failed[adds.URL] {
		t.Errorf("metrics tell of failures of %v", failed)
	}

	newer, _ := adds.publish(t, "k2", kept)
	before := adds.asked.Load()
	call("/adds/x", adds.token(t, newer, "k2"), http.StatusOK)
	call("/adds/x", adds.token(t, oldKey, "k1"), http.StatusOK)
	if n := adds.asked.Load() - before; n != 1 {
		t.Errorf("for a new key it was asked %d times", n)
	}
	known := swaps.token(t, swapped, "k1")
	call("/swaps/x", known, http.StatusOK)
	replaced, _ := swaps.publish(t, "k1")
	call("/swaps/x", swaps.token(t, replaced, "k1"), http.StatusOK)
	call("/swaps/x", known, http.StatusUnauthorized) // in no cache either
	call("/lies/x", lies.token(t, lyingKey, "k1"), http.StatusUnauthorized)
}
