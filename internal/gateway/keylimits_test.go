package gateway

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ratelimit"
	"gatehouse/internal/spec"
)

// A key is good from its zones alone; a zone that there is not has nobody in it.
func TestAPIKeyZones(t *testing.T) {
	k := newKeyHouse(t)
	s := k.current.Load().spec
	s.Zones = []spec.Zone{{Name: "office", Networks: []string{"192.0.2.0/24"}}, {Name: "vpn", Networks: []string{"10.0.0.0/8"}}}
	if err := k.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	call := func(text string, peer string) *memoryLane {
		l := newLane("GET", "/keyed/x", "X-API-Key", text)
		l.request.Remote = mustPeer(peer)
		k.ServeExchange(l)
		return l
	}
	here, _ := k.issue(t, func(a *APIKey) { a.Zones = []string{"office"} })
	either, _ := k.issue(t, func(a *APIKey) { a.Zones = []string{"office", "vpn"} })
	gone, gonesKey := k.issue(t, func(a *APIKey) { a.Zones = []string{"nowhere"} })
	for _, c := range []struct {
		name, text, peer string
		status           int
		reason           string
	}{
		{"inside", here, "192.0.2.9:1", 200, ""},
		{"outside", here, "10.1.1.1:1", 403, ReasonZoneNotAllowed},
		{"one of two", either, "10.1.1.1:1", 200, ""},
		{"none of two", either, "203.0.113.1:1", 403, ReasonZoneNotAllowed},
		{"a zone that there is not", gone, "192.0.2.9:1", 403, ReasonZoneNotAllowed},
	} {
		l := call(c.text, c.peer)
		if l.status != c.status || l.reason() != c.reason {
			t.Errorf("%s: %d %s", c.name, l.status, l.reason())
		}
	}
	l := call(gone, "192.0.2.9:1")
	tr, _ := k.Decision(strings.Join(l.fields["X-Request-ID"], ""))
	if s := tr.step("authenticate"); s.Had != "the API key "+gonesKey.ID+" of app 0oa1 may be used from the zones nowhere only" {
		t.Errorf("explained as %+v", s)
	}
}

// Limits of a key come on top of those of the API and the route, count this key and
// those that it was rotated from, wherever they are used, and nobody else.
func TestAPIKeyLimits(t *testing.T) {
	k := newKeyHouse(t)
	now := time.Now()
	k.config.Now = func() time.Time { return now } // no allowance comes back meanwhile
	two, first := k.issue(t, func(a *APIKey) { a.Limits = []string{"2/min", "100/h"} })
	next, _ := k.issue(t, func(a *APIKey) { a.Limits, a.Family = []string{"2/min", "100/h"}, first.ID })
	other, _ := k.issue(t)
	call := func(api, text string) *memoryLane {
		l := newLane("GET", "/"+api+"/x", "X-API-Key", text)
		k.ServeExchange(l)
		return l
	}
	l := call("keyed", two)
	l.want(t, 200, "")
	if p, r := strings.Join(l.fields["RateLimit-Policy"], ""), strings.Join(l.fields["RateLimit"], ""); p != `"key";q=2;w=60, "key-2";q=100;w=3600` || !strings.Contains(r, `"key";r=1`) || !strings.Contains(r, `"key-2";r=99`) {
		t.Errorf("told %q, %q", p, r)
	}
	call("either", next).want(t, 200, "") // the one that replaces it, at another API
	for _, text := range []string{two, next} {
		l := call("keyed", text)
		l.want(t, 429, ReasonRateLimited)
		if len(l.fields["Retry-After"]) != 1 {
			t.Error("no Retry-After")
		}
	}
	l = call("keyed", other)
	l.want(t, 200, "")
	if len(l.fields["RateLimit"]) != 0 {
		t.Errorf("another key is told %v", l.fields["RateLimit"])
	}
	tr, _ := k.Decision(strings.Join(call("keyed", two).fields["X-Request-ID"], ""))
	if s := tr.step("limit"); s.Outcome != OutcomeRefuse || !strings.Contains(s.Had, "key: 0 left") {
		t.Errorf("explained as %+v", s)
	}
	for _, bad := range [][]string{{"x"}, {"1/min per client"}, {"0/min"}, {"1/min", "1/h", "1/s"}} {
		if err := k.keys.Put(APIKey{ID: "bad", Hash: first.Hash, Limits: bad}); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// With the limits of API and route there may be more than those alone may be.
func TestAPIKeyLimitsOnTopOfAll(t *testing.T) {
	k := newKeyHouse(t)
	now := time.Now()
	k.config.Now = func() time.Time { return now } // no allowance comes back meanwhile
	s := k.current.Load().spec
	a := s.APIs[len(s.APIs)-4] // keyed
	if a.Name != "keyed" {
		t.Fatal(a.Name)
	}
	for i := range maxLimits {
		a.Limits = append(a.Limits, spec.Limit{Count: 1000, Period: spec.Duration(time.Duration(i+1) * time.Minute), Per: "api"})
	}
	s.APIs[len(s.APIs)-4] = a
	if err := k.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	text, _ := k.issue(t, func(a *APIKey) { a.Limits = []string{"1/min", "100/h"} })
	for i, status := range []int{200, 429} {
		l := newLane("GET", "/keyed/x", "X-API-Key", text)
		k.ServeExchange(l)
		if l.status != status {
			t.Errorf("request %d: %d %s", i, l.status, l.body)
		}
		if n := strings.Count(strings.Join(l.fields["RateLimit"], ""), ";r="); n < maxLimits+1 {
			t.Errorf("request %d: told of %d limits", i, n)
		}
	}
	// What was refused by the key's limit has counted nowhere.
	l := newLane("GET", "/keyed/x", "X-API-Key", text)
	k.ServeExchange(l)
	if got := strings.Join(l.fields["RateLimit"], ""); !strings.Contains(got, ";r=999") {
		t.Errorf("told %q", got)
	}
}

// A key without limits costs no allocation more than before.
func TestAPIKeyLimitsCostNothingWithout(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	k := newKeyHouse(t)
	k.config.Limiter = ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}))
	text, _ := k.issue(t)
	measure := func(path string, header ...string) float64 {
		l := newLane("GET", path, header...)
		l.quiet = true
		k.ServeExchange(l)
		return testing.AllocsPerRun(100, func() { k.ServeExchange(l) })
	}
	if key, token := measure("/either/x", "X-API-Key", text), measure("/either/x", "Authorization", "Bearer "+k.main.Token(t, nil)); key > token {
		t.Errorf("%v allocations with a key, %v with a token", key, token)
	}
}
