package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// refuser is a decision point that permits what does not name the word.
type refuser struct{ word string }

// Ask implements gateway.DecisionPoint.
func (r refuser) Ask(_ context.Context, _ string, question []byte) (permitted bool, reason string, err error) {
	return !strings.Contains(string(question), r.word), "canary-reason", nil
}

// Decision points are asked on every lane, and what they say is the administrators'.
func TestDecisionPointsOnEveryLane(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h := open(t, func(c *gateway.Config, s *spec.Snapshot) {
				c.DecisionPoint = func(spec.DecisionPoint) (gateway.DecisionPoint, error) { return refuser{`"/orders/2"`}, nil }
				s.DecisionPoints = []spec.DecisionPoint{{Name: "pdp", URL: "https://pdp.test"}}
				s.APIs[0].Authorize = []string{"pdp"}
			}, l.secure)
			c := l.client(h)
			bearer := "Bearer " + h.issuer.Token(t, nil)
			for path, want := range map[string]int{"/orders/1": http.StatusOK, "/orders/2": http.StatusForbidden} {
				a := h.do(t, l, c, "GET", path, "", "Authorization", bearer)
				if a.StatusCode != want || strings.Contains(a.body, "canary-reason") {
					t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
				}
			}
		})
	}
}
