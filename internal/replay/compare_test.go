package replay

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/gateway"
)

// judgeFunc is a Judge.
type judgeFunc func(f *gateway.Facts) (gateway.Judgement, error)

// Decide implements Judge.
func (j judgeFunc) Decide(f *gateway.Facts) (gateway.Judgement, error) { return j(f) }

// Who gains and who loses, with losses first; what a configuration does not decide is left out.
func TestCompare(t *testing.T) {
	c := &clock{start}
	s := open(t, t.TempDir(), c, nil)
	add := func(times int, who, path, reason, step string) {
		for range times {
			f := gateway.Facts{Time: start.Add(time.Second), Method: "GET", Path: path, Route: "GET " + path, Reason: reason, Step: step}
			if who != "" {
				f.Caller = &gateway.CallerFacts{Subject: who, User: who}
			}
			s.Record(f)
		}
	}
	add(3, "ana", "/taken", "", "")
	add(1, "ben", "/taken", "", "")
	add(2, "ben", "/given", "missing_scope", "authorize")
	add(4, "ana", "/same", "", "")
	add(1, "ana", "/taken", "rate_limited", "limit")
	add(1, "ana", "/taken", "upstream_timeout", "backend")
	add(5, "", "/taken", "token_expired", "authenticate")
	add(1, "ana", "/taken", "revoked", "revocation")
	add(1, "", "/given", "no_token", "authenticate")
	got, err := Compare(t.Context(), s, start, judgeFunc(func(f *gateway.Facts) (gateway.Judgement, error) {
		switch {
		case f.Path == "/taken":
			return gateway.Judgement{Reason: "group_required", Route: f.Route}, nil
		case f.Path == "/given" && f.Caller == nil:
			return gateway.Judgement{Reason: "no_token"}, nil
		}
		return gateway.Judgement{Allowed: true, Route: f.Route, Unknown: []string{"the header x"}}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Comparison{
		From: start.Add(time.Second), To: start.Add(time.Second), Replayed: 13, Skipped: 6, Unknown: []string{"the header x"}, Unsure: 6,
		Changes: []Change{
			{Who: "ana", Operation: "GET /taken", Now: "group_required", Count: 5},
			{Who: "ben", Operation: "GET /taken", Now: "group_required", Count: 1},
			{Gains: true, Who: "ben", Operation: "GET /given", Was: "missing_scope", Count: 2},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
