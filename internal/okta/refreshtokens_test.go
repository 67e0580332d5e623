package okta

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/issued"

	"github.com/google/go-cmp/cmp"
)

// fakeGrants are the grants of one user, in the order of their ids.
type fakeGrants struct {
	list  []issued.Grant
	asked issued.Selection
	ended issued.Selection
}

func (f *fakeGrants) List(_ context.Context, s issued.Selection, after string, limit int) (page []issued.Grant, next string, err error) {
	f.asked = s
	for _, g := range f.list {
		if s.Grant != "" && s.Grant != g.ID || g.ID <= after {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].ID, nil
		}
		page = append(page, g)
	}
	return page, "", nil
}

func (*fakeGrants) Clients(context.Context, string, string) ([]string, error) { return nil, nil }

func (f *fakeGrants) Revoke(_ context.Context, s issued.Selection) (int, error) {
	f.ended = s
	return 1, nil
}

// A refresh token has the shape that was recorded, and is found only below the
// user, app and server that it belongs to.
func TestRefreshTokens(t *testing.T) {
	at := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	grants := &fakeGrants{}
	for _, id := range []string{"oar1", "oar2", "oar3"} {
		grants.list = append(grants.list, issued.Grant{
			ID: id, Server: "aus1", Client: "0oa1", User: "00u1", Issuer: "https://id.test/oauth2/aus1", Scopes: []string{"openid", "offline_access"},
			Created: at, Updated: at, Until: at.Add(7 * 24 * time.Hour),
		})
	}
	a := &api{Config: Config{URL: "https://id.test", Grants: grants}}
	of := func(a *api, _ *call) (issued.Selection, string, error) {
		return issued.Selection{User: "00u1", Client: "0oa1"}, a.href("users", "00u1", "clients", "0oa1", "tokens"), nil
	}
	request := func(query, token string) *call {
		return &call{Request: httptest.NewRequest(http.MethodGet, "/x"+query, http.NoBody), args: map[string]string{"tokenId": token}}
	}
	page, err := a.listRefreshTokens(request("?limit=2", ""), of)
	if list, ok := page.body.([]object); !ok || len(list) != 2 || page.next != "oar2" || err != nil {
		t.Fatalf("%+v %v", page, err)
	}
	one, err := a.getRefreshToken(request("", "oar2"), of)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(one.body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"_links":{"app":{"href":"https://id.test/api/v1/apps/0oa1"},"authorizationServer":{"href":"https://id.test/api/v1/authorizationServers/aus1"},` +
		`"client":{"href":"https://id.test/oauth2/v1/clients/0oa1"},"revoke":{"hints":{"allow":["DELETE"]},"href":"https://id.test/api/v1/users/00u1/clients/0oa1/tokens/oar2"},` +
		`"self":{"href":"https://id.test/api/v1/users/00u1/clients/0oa1/tokens/oar2"},"user":{"href":"https://id.test/api/v1/users/00u1"}},` +
		`"clientId":"0oa1","created":"2026-05-04T09:00:00.000Z","expiresAt":"2026-05-11T09:00:00.000Z","id":"oar2","issuer":"https://id.test/oauth2/aus1",` +
		`"lastUpdated":"2026-05-04T09:00:00.000Z","scopes":["openid","offline_access"],"status":"ACTIVE","userId":"00u1"}`
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Error(d)
	}
	if _, err := a.getRefreshToken(request("", "oar9"), of); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown token: %v", err)
	}
	if grants.asked.User != "00u1" || grants.asked.Client != "0oa1" {
		t.Errorf("asked for %+v", grants.asked)
	}
	if _, err := a.revokeRefreshToken(request("", "oar3"), of); err != nil || grants.ended != (issued.Selection{Grant: "oar3"}) {
		t.Errorf("%+v %v", grants.ended, err)
	}
	if _, err := a.revokeRefreshTokens(request("", ""), of); err != nil || grants.ended != (issued.Selection{User: "00u1", Client: "0oa1"}) {
		t.Errorf("%+v %v", grants.ended, err)
	}
	if _, err := a.revokeRefreshToken(request("", "oar9"), of); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown token: %v", err)
	}
}
