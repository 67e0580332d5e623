package decide

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
	"gatehouse/internal/policy"
)

// evaluatorFunc is an Evaluator.
type evaluatorFunc func(q policy.Question, id string) gateway.Evaluation

// Evaluate implements Evaluator.
func (f evaluatorFunc) Evaluate(q policy.Question, id string, _ netip.Addr) gateway.Evaluation {
	return f(q, id)
}

// readers permits "read", fails on "burn" and notes what it was asked.
func readers(t *testing.T, config Config) (http.Handler, *[]string) {
	t.Helper()
	var ids []string
	return NewAuthZEN(config, evaluatorFunc(func(q policy.Question, id string) gateway.Evaluation {
		if id == "" {
			id = "new"
		}
		ids = append(ids, id+" "+q.Subject.ID+" "+q.Action+" "+q.Resource.ID)
		return gateway.Evaluation{Permitted: q.Action == "read", Failed: q.Action == "burn", ID: id}
	})), &ids
}

const (
	one   = `{"subject":{"type":"user","id":"ana"},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`
	three = `{"subject":{"type":"user","id":"ana"},"action":{"name":"read"},%s"evaluations":[
		{"resource":{"type":"doc","id":"1"}},
		{"resource":{"type":"doc","id":"2"},"action":{"name":"write"}},
		{"resource":{"type":"doc","id":"3"}}]}`
)

// The API of AuthZEN 1.0: one question, several, and the three ways to go through them.
func TestAuthZEN(t *testing.T) {
	with := func(semantic string) string {
		return strings.Replace(three, "%s", `"options":{"evaluations_semantic":"`+semantic+`"},`, 1)
	}
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"one", "evaluation", one, 200, `{"decision":true}`},
		{"denied", "evaluation", strings.Replace(one, "read", "write", 1), 200, `{"decision":false}`},
		{"unknown words are left alone", "evaluation", strings.Replace(one, `{`, `{"extra":1,`, 1), 200, `{"decision":true}`},
		{"failed", "evaluation", strings.Replace(one, "read", "burn", 1), 200, `{"decision":false,"context":{"error":{"status":500,"message":"a rule could not be evaluated"}}}`},
		{"no subject", "evaluation", `{"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`, 400, `"subject has a type and an id"`},
		{"no id", "evaluation", strings.Replace(one, `"ana"`, `""`, 1), 400, `"subject has a type and an id"`},
		{"no action", "evaluation", strings.Replace(one, `"name"`, `"nom"`, 1), 400, `"action has a name"`},
		{"no resource", "evaluation", strings.Replace(one, `"resource"`, `"r"`, 1), 400, `"resource has a type and an id"`},
		{"another kind of id", "evaluation", strings.Replace(one, `"ana"`, `7`, 1), 400, ""},
		{"no JSON", "evaluation", "x", 400, ""},
		{"too long", "evaluation", strings.Replace(one, "ana", strings.Repeat("a", maxWord+1), 1), 400, ""},
		{"all", "evaluations", strings.Replace(three, "%s", "", 1), 200, `{"evaluations":[{"decision":true},{"decision":false},{"decision":true}]}`},
		{"all, said", "evaluations", with(executeAll), 200, `{"evaluations":[{"decision":true},{"decision":false},{"decision":true}]}`},
		{"until a denial", "evaluations", with(stopAtDeny), 200, `{"evaluations":[{"decision":true},{"decision":false}]}`},
		{"until a permission", "evaluations", with(stopAtPermit), 200, `{"evaluations":[{"decision":true}]}`},
		{"another way", "evaluations", with("guess"), 400, ""},
		{"none is one", "evaluations", one, 200, `{"decision":true}`},
		{"an empty list is one", "evaluations", strings.Replace(one, `{`, `{"evaluations":[],`, 1), 200, `{"decision":true}`},
		{
			"one of them is none", "evaluations", `{"action":{"name":"read"},"resource":{"type":"doc","id":"1"},"evaluations":[{},{"subject":{"type":"user","id":"ana"}}]}`, 200,
			`{"evaluations":[{"decision":false,"context":{"error":{"status":400,"message":"subject has a type and an id"}}},{"decision":true}]}`,
		},
		{"too many", "evaluations", `{"evaluations":[` + strings.Repeat("{},", maxEvaluations) + `{}]}`, 413, ""},
	} {
		h, _ := readers(t, Config{})
		w := record(h, posted("/access/v1/"+c.path, c.body))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || c.want != "" && got != c.want {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, got, c.status, c.want)
		}
	}
}

// A question keeps the id that the one who asks has given it; each of several has its own.
func TestAuthZENRequestIDs(t *testing.T) {
	h, ids := readers(t, Config{})
	w := record(h, posted("/access/v1/evaluation", one, "X-Request-Id", "abc-1"))
	if w.Header().Get("X-Request-Id") != "abc-1" || (*ids)[0] != "abc-1 ana read 1" {
		t.Errorf("%v %v", w.Header(), *ids)
	}
	w = record(h, posted("/access/v1/evaluations", strings.Replace(three, "%s", "", 1), "X-Request-Id", "abc-2"))
	if w.Header().Get("X-Request-Id") != "abc-2" || strings.Join((*ids)[1:], ",") != "abc-2.1 ana read 1,abc-2.2 ana write 2,abc-2.3 ana read 3" {
		t.Errorf("%v %v", w.Header(), *ids)
	}
	for _, id := range []string{"a b", "x\"y", strings.Repeat("a", 49)} {
		w = record(h, posted("/access/v1/evaluation", one, "X-Request-Id", id))
		if got := w.Header().Get("X-Request-Id"); got != "new" {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// Whoever may not ask is not answered; a page in a browser cannot ask unasked.
func TestAuthZENTrust(t *testing.T) {
	h, ids := readers(t, Config{Trust: Trust{Token: knows}})
	ok := []string{"Authorization", "Bearer " + secret}
	for name, c := range map[string]struct {
		r    *http.Request
		want int
	}{
		"no token": {posted("/access/v1/evaluation", one), 401},
		"a form":   {posted("/access/v1/evaluation", one, append(ok, "Content-Type", "text/plain")...), 415},
		"a GET":    {httptest.NewRequest(http.MethodGet, "/access/v1/evaluation", http.NoBody), 403},
	} {
		if w := record(h, c.r); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if len(*ids) != 0 {
		t.Errorf("answered %v", *ids)
	}
	if w := record(h, posted("/access/v1/evaluation", one, ok...)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzAuthZEN(f *testing.F) {
	f.Add(one)
	f.Add(strings.Replace(three, "%s", "", 1))
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"evaluation", "evaluations"} {
			h := NewAuthZEN(Config{}, evaluatorFunc(func(q policy.Question, _ string) gateway.Evaluation {
				if q.Subject.Type == "" || q.Subject.ID == "" || q.Action == "" || q.Resource.Type == "" || q.Resource.ID == "" {
					t.Errorf("asked %+v", q)
				}
				return gateway.Evaluation{}
			}))
			w := record(h, posted("/access/v1/"+path, body))
			if w.Code == 200 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("answered %s", w.Body)
			}
		}
	})
}
