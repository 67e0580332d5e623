package gateway

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
	"gatehouse/internal/wire"
)

// keyHouse is a gateway with an API "keyed" that takes keys alone, "either" that
// also takes tokens of "main", "tokens" that takes no keys, and "asked" whose
// issuer is asked about tokens.
type keyHouse struct {
	*opaqueHouse
	keys *APIKeys
	sent []wire.Field
	line string
}

func newKeyHouse(t testing.TB) *keyHouse {
	t.Helper()
	k := &keyHouse{keys: NewAPIKeys()}
	if err := k.keys.Replace(nil); err != nil {
		t.Fatal(err)
	}
	k.opaqueHouse = newOpaqueHouse(t, func(c *Config, s *spec.Snapshot) {
		c.APIKeys = k.keys
		c.Backend = func(spec.API, Backend) (Backend, error) {
			return &backendFunc{func(ex *Exchange) error {
				k.sent, k.line = append([]wire.Field(nil), ex.Out.Fields...), string(bytes.Join(ex.Out.Lines[:], nil))
				return ex.Relay(&wire.Response{Status: 200})
			}}, nil
		}
		api := func(name string, auth ...string) spec.API {
			return spec.API{
				Name: name, BasePath: "/" + name, Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}, Auth: auth, ForwardAuthorization: true,
				Routes: []spec.Route{
					{Method: "GET", Path: "/x", Scopes: [][]string{{"orders:read"}}},
					{Method: "PUT", Path: "/x", Scopes: [][]string{{"orders:write"}}},
					{Method: "GET", Path: "/public", Public: true},
				},
			}
		}
		s.APIs = append(s.APIs, api("keyed", "api_key"), api("either", "main", "api_key"), api("tokens", "main"), api("asked", "a"))
	})
	return k
}

// issue makes a key that is known.
func (k *keyHouse) issue(t testing.TB, change ...func(*APIKey)) (text string, key APIKey) {
	t.Helper()
	text = keys.APIKey()
	key = APIKey{ID: keys.ID("gky"), Hash: keys.Hash(text), App: "0oa1", Scopes: []string{"orders:read", "a"}, Created: time.Now()}
	for _, f := range change {
		f(&key)
	}
	if err := k.keys.Put(key); err != nil {
		t.Fatal(err)
	}
	return text, key
}

// sentAnywhere reports whether the upstream got the text in any field.
func (k *keyHouse) sentAnywhere(text string) bool {
	for _, f := range k.sent {
		if strings.Contains(string(f.Value), text) {
			return true
		}
	}
	return strings.Contains(k.line, text)
}

// A key is found in either place, stands for its app with its scopes, and goes no
// further; also where Authorization does, and on public routes.
func TestAPIKey(t *testing.T) {
	k := newKeyHouse(t)
	text, key := k.issue(t)
	for _, header := range [][2]string{{"X-API-Key", text}, {"x-api-key", text}, {"Authorization", "Bearer " + text}, {"Authorization", "bearer " + text}} {
		for _, api := range []string{"keyed", "either"} {
			k.call("GET", "/"+api+"/x", "", header[0], header[1]).want(t, 200, "")
			if k.sentAnywhere(text) {
				t.Errorf("%s: the upstream got the key from %s", api, header[0])
			}
			if !strings.Contains(k.line, "X-Client-ID: 0oa1\r\n") || !strings.Contains(k.line, "X-Granted-Scopes: a orders:read\r\n") {
				t.Errorf("the upstream is told %q", k.line)
			}
			k.call("PUT", "/"+api+"/x", "", header[0], header[1]).want(t, 403, ReasonMissingScope)
			k.call("GET", "/"+api+"/public", "", header[0], header[1]).want(t, 200, "")
			if k.sentAnywhere(text) {
				t.Errorf("%s: a public route passes the key on from %s", api, header[0])
			}
		}
	}
	k.call("GET", "/either/x", k.main.Token(t, nil)).want(t, 200, "")
	k.call("GET", "/keyed/x", k.main.Token(t, nil)).want(t, 401, ReasonUnknownIssuer)
	uses := k.keys.TakeUses()
	if len(uses) != 1 || uses[0].ID != key.ID || uses[0].Uses != 16 || time.Since(uses[0].Last) > time.Minute {
		t.Errorf("uses: %+v", uses)
	}
	if again := k.keys.TakeUses(); len(again) != 0 {
		t.Errorf("uses are told twice: %+v", again)
	}
}

// More than one credential has more than one meaning.
func TestTwoCredentials(t *testing.T) {
	k := newKeyHouse(t)
	text, _ := k.issue(t)
	other, _ := k.issue(t)
	token := k.main.Token(t, nil)
	for name, headers := range map[string][]string{
		"a key and a token":        {"X-API-Key", text, "Authorization", "Bearer " + token},
		"a key in both places":     {"X-API-Key", text, "Authorization", "Bearer " + text},
		"two keys":                 {"X-API-Key", text, "X-API-Key", other},
		"the same key twice":       {"X-API-Key", text, "x-api-key", text},
		"a key and another scheme": {"X-API-Key", text, "Authorization", "Basic YTpi"},
	} {
		for _, api := range []string{"keyed", "either"} {
			if l := k.call("GET", "/"+api+"/x", "", headers...); l.status != 400 || l.reason() != ReasonAmbiguousRequest {
				t.Errorf("%s at %s: %d %s", name, api, l.status, l.reason())
			}
		}
	}
	// A bearer token twice is what it is without keys.
	k.call("GET", "/either/x", "", "Authorization", "Bearer "+token, "Authorization", "Bearer "+text).want(t, 400, ReasonAmbiguousRequest)
}

// What is no good key, and why.
func TestRefusedAPIKeys(t *testing.T) {
	k := newKeyHouse(t)
	text, _ := k.issue(t)
	off, _ := k.issue(t, func(a *APIKey) { a.Disabled = true })
	old, _ := k.issue(t, func(a *APIKey) { a.Expires = time.Now().Add(-time.Second) })
	soon, _ := k.issue(t, func(a *APIKey) { a.Expires = time.Now().Add(time.Hour) })
	narrow, _ := k.issue(t, func(a *APIKey) { a.APIs = []string{"either", "billing"} })
	swap := func(i int) string {
		b := []byte(text)
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		return string(b)
	}
	for name, c := range map[string]struct {
		key    string
		status int
		reason string
	}{
		"mistyped in the middle":    {swap(20), 401, ReasonTokenMalformed},
		"mistyped at the end":       {swap(len(text) - 1), 401, ReasonTokenMalformed},
		"cut short":                 {text[:len(text)-1], 401, ReasonTokenMalformed},
		"longer":                    {text + "A", 401, ReasonTokenMalformed},
		"the prefix":                {"gk_live_", 401, ReasonTokenMalformed},
		"something else":            {"hunter2", 401, ReasonTokenMalformed},
		"empty":                     {"", 401, ReasonTokenMalformed},
		"another case":              {strings.ToUpper(text), 401, ReasonTokenMalformed},
		"a space before":            {" " + text, 401, ReasonTokenMalformed},
		"well-formed, never issued": {keys.APIKey(), 401, ReasonKeyDisabled},
		"disabled":                  {off, 401, ReasonKeyDisabled},
		"expired":                   {old, 401, ReasonKeyDisabled},
		"not expired":               {soon, 200, ""},
		"for other APIs":            {narrow, 401, ReasonWrongAudience},
	} {
		if l := k.call("GET", "/keyed/x", "", "X-API-Key", c.key); l.status != c.status || l.reason() != c.reason {
			t.Errorf("%s: %d %q", name, l.status, l.reason())
		}
	}
	k.call("GET", "/either/x", "", "X-API-Key", narrow).want(t, 200, "")
	k.call("GET", "/keyed/x", "").want(t, 401, ReasonNoToken)
	if uses := k.keys.TakeUses(); len(uses) != 2 {
		t.Errorf("refused keys count as used: %+v", uses)
	}
}

// A key that is presented where none is taken is shown to no issuer.
func TestAPIKeyWhereNoneIsTaken(t *testing.T) {
	k := newKeyHouse(t)
	text, _ := k.issue(t)
	k.call("GET", "/asked/x", text).want(t, 401, ReasonTokenTypeNotAccepted)
	k.call("GET", "/tokens/x", text).want(t, 401, ReasonTokenTypeNotAccepted)
	if k.a.asked() != 0 {
		t.Errorf("the issuer was shown %v", k.a.got)
	}
	// X-API-Key is the upstream's own business there.
	k.call("GET", "/tokens/x", k.main.Token(t, nil), "X-API-Key", "theirs").want(t, 200, "")
	if !k.sentAnywhere("theirs") {
		t.Error("the upstream's own key was taken away")
	}
	for _, value := range []string{"Bearer " + text, "Bearer\t" + text, "Basic " + text, text} {
		k.call("GET", "/tokens/public", "", "Authorization", value).want(t, 200, "")
		if k.sentAnywhere(text) {
			t.Errorf("forward_authorization passes an API key on in %q", value)
		}
	}
}

// A key is off from the moment that Put, or a revocation, returns.
func TestDisablingIsInstant(t *testing.T) {
	k := newKeyHouse(t)
	text, key := k.issue(t)
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 200, "")
	key.Disabled = true
	if err := k.keys.Put(key); err != nil {
		t.Fatal(err)
	}
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 401, ReasonKeyDisabled)

	text, key = k.issue(t)
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 200, "")
	if err := k.config.Revocations.Add(time.Now(), cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: APIKeyIssuer, Value: key.ID}); err != nil {
		t.Fatal(err)
	}
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 401, ReasonKeyDisabled)

	text, key = k.issue(t)
	k.keys.Remove(key.ID)
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 401, ReasonKeyDisabled)
}

// A node that does not know the keys does not guess.
func TestKeysThatWereNeverLoaded(t *testing.T) {
	k := newKeyHouse(t)
	text, _ := k.issue(t)
	k.keys.loaded.Store(false)
	k.call("GET", "/keyed/x", "", "X-API-Key", text).want(t, 503, ReasonRevocationStateUnknown)
}

// The set holds what it was given, and says when that is nothing that it can hold.
func TestAPIKeysSet(t *testing.T) {
	s := NewAPIKeys()
	if s.Known() {
		t.Error("an empty set knows")
	}
	a, b := APIKey{ID: "a", Hash: keys.Hash("a")}, APIKey{ID: "b", Hash: keys.Hash("b")}
	if err := s.Replace([]APIKey{a, b}); err != nil || !s.Known() || len(s.All()) != 2 {
		t.Fatalf("%v, %+v", err, s.All())
	}
	b.Hash = keys.Hash("c")
	if err := s.Put(b); err != nil || s.find([]byte("b")) != nil || s.find([]byte("c")) == nil {
		t.Error("a key that has changed is found by its old text")
	}
	if err := s.Replace([]APIKey{b}); err != nil || s.find([]byte("a")) != nil {
		t.Error("a key that is not on the list is found")
	}
	for _, hash := range []string{"", "xyz", keys.Hash("a")[:62]} {
		if err := s.Put(APIKey{ID: "x", Hash: hash}); !fault.Is(err, fault.Invalid) {
			t.Errorf("hash %q: %v", hash, err)
		}
		if err := s.Replace([]APIKey{{ID: "x", Hash: hash}}); !fault.Is(err, fault.Invalid) || len(s.All()) != 1 {
			t.Errorf("hash %q: %v", hash, err)
		}
	}
}

// Uses are neither lost nor counted twice while keys change.
func TestUsesUnderChange(t *testing.T) {
	k := newKeyHouse(t)
	text, key := k.issue(t)
	var wg sync.WaitGroup
	var got int64
	for range 4 {
		wg.Go(func() {
			for range 200 {
				k.keys.find([]byte(text)).used(time.Now())
			}
		})
	}
	wg.Wait()
	if err := k.keys.Put(key); err != nil {
		t.Fatal(err)
	}
	for _, u := range k.keys.TakeUses() {
		got += u.Uses
	}
	if got != 800 {
		t.Errorf("%d uses", got)
	}
}

// Explain knows keys: who calls, and what a described caller would get.
func TestExplainAPIKey(t *testing.T) {
	k := newKeyHouse(t)
	text, key := k.issue(t)
	tr, err := k.Explain(t.Context(), Hypothetical{Path: "/keyed/x", Token: text})
	if err != nil || !tr.Allowed || tr.Decision.ClientID != "0oa1" {
		t.Fatalf("%v %+v", err, tr)
	}
	if s := tr.Steps[3]; !strings.Contains(s.Had, key.ID) || !strings.Contains(s.Needed, "an API key") || strings.Contains(s.Had, text) {
		t.Errorf("%+v", s)
	}
	tr, err = k.Explain(t.Context(), Hypothetical{Path: "/keyed/x", Client: "x", Scopes: []string{"orders:read"}})
	if err != nil || !tr.Allowed {
		t.Errorf("a described caller: %v %+v", err, tr)
	}
	if uses := k.keys.TakeUses(); len(uses) != 0 {
		t.Errorf("what is explained counts as used: %+v", uses)
	}
}

func BenchmarkAPIKey(b *testing.B) {
	k := newKeyHouse(b)
	text, _ := k.issue(b)
	token := k.main.Token(b, nil)
	for name, c := range map[string]struct {
		path    string
		headers []string
	}{"key": {"/either/x", []string{"X-API-Key", text}}, "token": {"/either/x", []string{"Authorization", "Bearer " + token}}, "public": {"/either/public", nil}} {
		b.Run(name, func(b *testing.B) {
			l := newLane("GET", c.path, c.headers...)
			l.quiet = true
			b.ReportAllocs()
			for b.Loop() {
				k.ServeExchange(l)
			}
		})
	}
}
