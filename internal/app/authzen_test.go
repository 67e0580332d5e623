package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startAuthZEN starts the program with the models of the interoperability events.
func startAuthZEN(t *testing.T) *program {
	t.Helper()
	b, err := os.ReadFile("testdata/authzen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return start(t, write(t, strings.Replace(string(b), "version: 1\n", "version: 1\n"+decideServer(t), 1)))
}

// The vectors of AuthZEN's interoperability events, where they are at hand, against
// the whole program.
func TestAuthZENVectors(t *testing.T) {
	want := map[string]int{"gateway-decisions.json": 25, "todo-decisions.json": 43}
	var p *program
	for name, count := range want {
		b, err := os.ReadFile(filepath.Join("../../../shared/authzen", name))
		if err != nil {
			t.Skip("the vectors are not at hand")
		}
		if p == nil {
			p = startAuthZEN(t)
		}
		var vectors struct {
			Evaluation []struct {
				Request  json.RawMessage `json:"request"`
				Expected bool            `json:"expected"`
			} `json:"evaluation"`
			Evaluations []struct {
				Request  json.RawMessage `json:"request"`
				Expected json.RawMessage `json:"expected"`
			} `json:"evaluations"`
		}
		if err := json.Unmarshal(b, &vectors); err != nil {
			t.Fatal(err)
		}
		bearer := []string{"Authorization", "Bearer " + decideToken}
		for _, v := range vectors.Evaluation {
			got := p.post(p.Ready().Decide+"/access/v1/evaluation", string(v.Request), bearer...)
			if d, ok := got.json(t)["decision"].(bool); got.Status != http.StatusOK || !ok || d != v.Expected {
				t.Errorf("%s: %d %s, want %v", v.Request, got.Status, got.Body, v.Expected)
			}
		}
		for _, v := range vectors.Evaluations {
			got := p.post(p.Ready().Decide+"/access/v1/evaluations", string(v.Request), bearer...)
			var expected any
			if err := json.Unmarshal(v.Expected, &expected); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(expected, got.json(t)["evaluations"]); d != "" || got.Status != http.StatusOK {
				t.Errorf("%s: %d\n%s", v.Request, got.Status, d)
			}
		}
		if n := len(vectors.Evaluation) + len(vectors.Evaluations); n != count {
			t.Errorf("%s has %d vectors, want %d", name, n, count)
		}
	}
}

// Who may ask, where, and why it was answered so.
func TestAuthZENThroughTheProgram(t *testing.T) {
	p := startAuthZEN(t)
	const q = `{"subject":{"type":"user","id":"CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"},
		"action":{"name":"can_create_todo"},"resource":{"type":"todo","id":"1"}}`
	for _, base := range []string{p.Ready().Decide, p.Ready().Console} {
		got := p.post(base+"/access/v1/evaluation", q, "Authorization", "Bearer "+decideToken, "X-Request-Id", "mine-1")
		if got.Status != http.StatusOK || strings.TrimSpace(got.Body) != `{"decision":false}` || got.Header.Get("X-Request-Id") != "mine-1" {
			t.Errorf("%s: %d %s %v", base, got.Status, got.Body, got.Header)
		}
		for _, header := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "SSWS " + p.Ready().APIToken}} {
			if got := p.post(base+"/access/v1/evaluation", q, header...); got.Status != http.StatusUnauthorized {
				t.Errorf("%s with %v: %d %s", base, header, got.Status, got.Body)
			}
		}
		got = p.request(http.MethodGet, base+"/.well-known/authzen-configuration", "", "")
		if m := got.json(t); m["policy_decision_point"] != base || m["access_evaluation_endpoint"] != base+"/access/v1/evaluation" {
			t.Errorf("%s: %s", base, got.Body)
		}
	}
	for _, base := range []string{p.Ready().Identity, p.Ready().Gateway} {
		if got := p.post(base+"/access/v1/evaluation", q, "Authorization", "Bearer "+decideToken); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", base, got.Status, got.Body)
		}
	}
	d, err := p.decision("mine-1")
	if err != nil || d.Decision != "deny" || d.Reason != "policy_forbids" || len(d.Steps) != 1 || d.Steps[0].Had != "no policy of the model permits it" {
		t.Errorf("explained as %+v %v", d, err)
	}
	out, err := p.admin().Export(t.Context(), 0)
	if err != nil || !strings.Contains(string(out), "roles: [admin, evil_genius]") {
		t.Errorf("exported as %s %v", out, err)
	}
}
