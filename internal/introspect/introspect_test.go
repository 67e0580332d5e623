package introspect

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/verify"
)

// What an answer says is what a token would have said.
func TestFacts(t *testing.T) {
	f := newFakeIssuer(t, nil)
	c, at := newTestClient(t, f)
	exp := at.now().Add(time.Hour).Unix()
	f.answers(says(fmt.Sprintf(`{"active":true,"iss":%q,"sub":"ana","client_id":"app1","scope":"b a","aud":["x","api://test"],"exp":%d,
		"iat":%d,"jti":"j1","sid":"s1","groups":["g"],"token_type":"Bearer","email":"a@b","username":null}`, f.URL, exp, exp-7200)))
	tok, err := c.Ask(t.Context(), []byte("opaque+/=token"))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Issuer != f.URL || tok.Subject != "ana" || tok.UserID != "ana" || tok.ClientID != "app1" || !tok.HasScopes("a", "b") ||
		!tok.HasAudience("api://test") || tok.Expires != exp || tok.ID != "j1" || tok.Session != "s1" || len(tok.Groups) != 1 {
		t.Errorf("%+v", tok)
	}
	if email, _ := tok.Claim("email"); email != "a@b" {
		t.Errorf("email: %v", email)
	}
	if tok.Algorithm != "" {
		t.Errorf("nobody has signed it, but it has the algorithm %s", tok.Algorithm)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// The parts are form-encoded within Basic (RFC 6749 section 2.3.1).
	if f.last.token != "opaque+/=token" || f.last.hint != "access_token" || f.last.user != "gate%3Ahouse" || f.last.password != "s3+cr%2Bt" {
		t.Errorf("asked as %+v", f.last)
	}
}

// What an answer says about the token, and what becomes of it.
func TestJudgement(t *testing.T) {
	f := newFakeIssuer(t, nil)
	_, at := newTestClient(t, f)
	in := func(d time.Duration) int64 { return at.now().Add(d).Unix() }
	for name, c := range map[string]struct {
		answer string
		want   verify.Reason // "" = accepted
	}{
		"active":                      {`{"active":true}`, ""},
		"inactive":                    {`{"active":false}`, ReasonRevoked},
		"inactive with facts":         {`{"active":false,"sub":"ana","scope":"a"}`, ReasonRevoked},
		"inactive and too old":        {fmt.Sprintf(`{"active":false,"exp":%d}`, in(-time.Hour)), verify.ReasonExpired},
		"active, but too old":         {fmt.Sprintf(`{"active":true,"exp":%d}`, in(-time.Hour)), verify.ReasonExpired},
		"too old within leeway":       {fmt.Sprintf(`{"active":true,"exp":%d}`, in(-leeway/2)), ""},
		"not yet":                     {fmt.Sprintf(`{"active":true,"nbf":%d}`, in(time.Hour)), verify.ReasonNotYetValid},
		"of another issuer":           {`{"active":true,"iss":"https://other.test"}`, verify.ReasonUnknownIssuer},
		"of the issuer with a slash":  {fmt.Sprintf(`{"active":true,"iss":"%s/"}`, f.URL), verify.ReasonUnknownIssuer},
		"a refresh token":             {`{"active":true,"token_type":"refresh_token"}`, verify.ReasonTokenType},
		"a refresh token of Keycloak": {`{"active":true,"typ":"Refresh"}`, verify.ReasonTokenType},
		"an ID token of Keycloak":     {`{"active":true,"typ":"ID"}`, verify.ReasonTokenType},
		"an ID token of Cognito":      {`{"active":true,"token_use":"id"}`, verify.ReasonTokenType},
		"an access token of Cognito":  {`{"active":true,"token_use":"access"}`, ""},
		"of a type that is no text":   {`{"active":true,"token_type":7}`, verify.ReasonTokenType},
		"bearer in any case":          {`{"active":true,"token_type":"bEARER"}`, ""},
		"DPoP without its key":        {`{"active":true,"token_type":"DPoP"}`, verify.ReasonTokenType},
		"DPoP with its key":           {`{"active":true,"token_type":"DPoP","cnf":{"jkt":"abc"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.answers(says(c.answer))
			client, _ := newTestClient(t, f, func(cfg *Config) { cfg.Now = at.now })
			tok, err := client.Ask(t.Context(), []byte("opaque"))
			if reasonOf(err) != c.want || (tok == nil) != (c.want != "") {
				t.Fatalf("%v, %v", tok, err)
			}
			again, known, err := client.Cached([]byte("opaque"))
			if strings.Contains(name, "within leeway") {
				if known {
					t.Error("kept past its exp")
				}
				return
			}
			if !known || again != tok || reasonOf(err) != c.want {
				t.Errorf("cached: %v, %v, %v", again, known, err)
			}
		})
	}
}

// Attack gateway 27: without exp an answer counts for a minute at most, with it
// not longer than it says; and a limit can only be shorter.
func TestHowLongAnAnswerCounts(t *testing.T) {
	f := newFakeIssuer(t, nil)
	for name, c := range map[string]struct {
		exp, life, want time.Duration
	}{
		"no exp":               {0, 0, MaxLife},
		"exp far away":         {time.Hour, 0, MaxLife},
		"exp close":            {20 * time.Second, 0, 20 * time.Second},
		"a limit":              {time.Hour, 5 * time.Second, 5 * time.Second},
		"a limit that is long": {time.Hour, time.Hour, MaxLife},
	} {
		t.Run(name, func(t *testing.T) {
			client, at := newTestClient(t, f, func(cfg *Config) { cfg.Life = c.life })
			at.Store(time.Now().Truncate(time.Second).UnixNano())
			text := `{"active":true}`
			if c.exp != 0 {
				text = fmt.Sprintf(`{"active":true,"exp":%d}`, at.now().Add(c.exp).Unix())
			}
			// The time that the answer takes is the issuer's to lose.
			f.answers(func(w http.ResponseWriter, r *http.Request) {
				at.forward(2 * time.Second)
				says(text)(w, r)
			})
			tok, err := client.Ask(t.Context(), []byte("opaque"))
			if err != nil {
				t.Fatal(err)
			}
			if tok.Expires == 0 {
				t.Error("the token has no end")
			}
			at.forward(c.want - 2*time.Second - time.Millisecond)
			if _, known, _ := client.Cached([]byte("opaque")); !known {
				t.Error("forgotten too early")
			}
			at.forward(time.Millisecond)
			if _, known, _ := client.Cached([]byte("opaque")); known {
				t.Error("it still counts")
			}
		})
	}
}

// The issuer goes down: what it said counts to its end, and nothing after that.
func TestIssuerGoesDown(t *testing.T) {
	f := newFakeIssuer(t, says(`{"active":true,"sub":"ana"}`))
	c, at := newTestClient(t, f)
	if _, err := c.Ask(t.Context(), []byte("known")); err != nil {
		t.Fatal(err)
	}
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if _, err := c.Ask(t.Context(), []byte("known")); err != nil {
		t.Errorf("what it has said: %v", err)
	}
	if _, err := c.Ask(t.Context(), []byte("new")); reasonOf(err) != verify.ReasonIssuerUnreachable {
		t.Errorf("what it has not said: %v", err)
	}
	at.forward(MaxLife)
	if tok, err := c.Ask(t.Context(), []byte("known")); tok != nil || reasonOf(err) != verify.ReasonIssuerUnreachable {
		t.Errorf("a minute later: %v, %v", tok, err)
	}
}

// A token that was active and is not any more has expired when its own exp says so.
func TestExpiredOrRevoked(t *testing.T) {
	f := newFakeIssuer(t, nil)
	c, at := newTestClient(t, f)
	f.answers(says(fmt.Sprintf(`{"active":true,"exp":%d}`, at.now().Add(90*time.Second).Unix())))
	for _, token := range []string{"a", "b"} {
		if _, err := c.Ask(t.Context(), []byte(token)); err != nil {
			t.Fatal(err)
		}
	}
	f.answers(says(`{"active":false}`))
	at.forward(MaxLife)
	if _, err := c.Ask(t.Context(), []byte("a")); reasonOf(err) != ReasonRevoked {
		t.Errorf("before its exp: %v", err)
	}
	at.forward(MaxLife)
	if _, err := c.Ask(t.Context(), []byte("b")); reasonOf(err) != verify.ReasonExpired {
		t.Errorf("after its exp: %v", err)
	}
}

// Attack gateway 28: a flood of tokens that are none is bounded in memory, pushes
// out nobody's good token, and the same one costs one call.
func TestFlood(t *testing.T) {
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.FormValue("token"), "good") {
			says(`{"active":true,"sub":"ana"}`)(w, r)
			return
		}
		says(`{"active":false}`)(w, r)
	})
	c, _ := newTestClient(t, f, func(c *Config) { c.Tokens, c.Inactive = 64, 64 })
	if _, err := c.Ask(t.Context(), []byte("good")); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := c.Ask(t.Context(), []byte("bad")); reasonOf(err) != ReasonRevoked {
			t.Fatal(err)
		}
	}
	if n := f.asked.Load(); n != 2 {
		t.Errorf("asked %d times about two tokens", n)
	}
	for i := range 1000 {
		_, _ = c.Ask(t.Context(), fmt.Appendf(nil, "bad%d", i))
	}
	if active, inactive := c.cache.size(); active != 1 || inactive > 64 {
		t.Errorf("kept: %d and %d", active, inactive)
	}
	if tok, known, _ := c.Cached([]byte("good")); !known || tok == nil {
		t.Error("a good token was pushed out")
	}
	for i := range 300 {
		_, _ = c.Ask(t.Context(), fmt.Appendf(nil, "good%d", i))
	}
	if active, _ := c.cache.size(); active > 64 {
		t.Errorf("kept: %d", active)
	}
}

// The text of answers is bounded too.
func TestLargeAnswersAreBounded(t *testing.T) {
	f := newFakeIssuer(t, says(`{"active":true,"x":"`+strings.Repeat("x", 60<<10)+`"}`))
	c, _ := newTestClient(t, f)
	c.cache = newCache(1000, 1000, shards*(100<<10))
	for i := range 100 {
		if _, err := c.Ask(t.Context(), fmt.Appendf(nil, "t%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if active, _ := c.cache.size(); active > shards {
		t.Errorf("%d answers of 60 KiB in %d rooms of 100 KiB", active, shards)
	}
}

// Many ask at once, one asks the issuer; who goes away takes the answer from nobody.
func TestSingleFlight(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(entered) })
		<-release
		says(`{"active":true,"sub":"ana"}`)(w, r)
	})
	c, _ := newTestClient(t, f)
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Ask(gone, []byte("opaque"))
		first <- err
	}()
	<-entered
	var wg sync.WaitGroup
	tokens := make([]*verify.Token, 20)
	for i := range tokens {
		wg.Go(func() { tokens[i], _ = c.Ask(t.Context(), []byte("opaque")) })
	}
	impatient, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Ask(impatient, []byte("opaque")); reasonOf(err) != verify.ReasonIssuerUnreachable {
		t.Errorf("who does not wait: %v", err)
	}
	leave()
	close(release)
	wg.Wait()
	if err := <-first; err != nil {
		t.Error(err)
	}
	for i := range tokens {
		if tokens[i] == nil || tokens[i] != tokens[0] {
			t.Fatalf("caller %d got another answer", i)
		}
	}
	if n := f.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// No more calls at a time than are allowed.
func TestConcurrencyIsBounded(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		says(`{"active":true}`)(w, r)
		mu.Lock()
		now--
		mu.Unlock()
	})
	c, _ := newTestClient(t, f, func(c *Config) { c.Concurrent = 3 })
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if _, err := c.Ask(t.Context(), fmt.Appendf(nil, "t%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most > 3 {
		t.Errorf("%d at a time", most)
	}
}

// Metadata is asked for once an hour, and when it cannot be had the last word counts.
func TestMetadataIsKept(t *testing.T) {
	f := newFakeIssuer(t, says(`{"active":true}`))
	c, at := newTestClient(t, f)
	if _, err := c.Ask(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	c.cfg.Issuer += "/not-what-it-says" // from here on the metadata is of somebody else
	at.forward(2 * metadataLife)
	if _, err := c.Ask(t.Context(), []byte("b")); err != nil {
		t.Error(err)
	}
}

// A token that is known costs no allocation.
func TestCachedDoesNotAllocate(t *testing.T) {
	f := newFakeIssuer(t, says(`{"active":true,"sub":"ana"}`))
	c, _ := newTestClient(t, f)
	raw := []byte("opaque")
	if _, err := c.Ask(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = c.Cached(raw) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCached(b *testing.B) {
	c, err := New(Config{Issuer: "https://x.test", ClientID: "a", Secret: "b", HTTP: nobody{}})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := range 10000 {
		raw := fmt.Appendf(nil, "token number %d", i)
		c.cache.put(sumOf(raw), &entry{token: &verify.Token{}, until: now.Add(time.Hour).UnixNano(), size: 1}, now.UnixNano())
	}
	raw := []byte("token number 77")
	b.ReportAllocs()
	for b.Loop() {
		if _, known, _ := c.Cached(raw); !known {
			b.Fatal("it is not known")
		}
	}
}
