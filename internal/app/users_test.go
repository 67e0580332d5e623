package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
)

// Users are imported through the management API of the program, and are there for
// the Okta-compatible one; a portion with a login that is taken adds nobody.
func TestUsersAreImported(t *testing.T) {
	p := start(t, "")
	users := make([]client.NewUser, 250)
	for i := range users {
		users[i] = client.NewUser{Login: fmt.Sprintf("new%d@acme.test", i), FirstName: "N", Attributes: map[string]any{"department": "hr"}}
	}
	if err := p.admin().ImportUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	a := p.okta(http.MethodGet, "/api/v1/users/new249@acme.test", "")
	if a.Status != http.StatusOK || !strings.Contains(a.Body, `"PROVISIONED"`) || !strings.Contains(a.Body, `"department":"hr"`) || !strings.Contains(a.Body, `"email":"new249@acme.test"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	err := p.admin().ImportUsers(t.Context(), []client.NewUser{{Login: "late@acme.test"}, {Login: "NEW0@acme.test"}})
	var problem *client.Error
	if !errors.As(err, &problem) || problem.Status != http.StatusConflict || !strings.Contains(problem.Detail, "user 2") {
		t.Errorf("a login that is taken: %v", err)
	}
	if a := p.okta(http.MethodGet, "/api/v1/users/late@acme.test", ""); a.Status != http.StatusNotFound {
		t.Errorf("who was sent beside them: %d %s", a.Status, a.Body)
	}
}
