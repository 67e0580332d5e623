package authserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzTokenExchange sends bodies of a client that may exchange tokens and is not to be
// trusted: what it gets for a person's token says no more than that one does, and no
// body is an error of ours.
func FuzzTokenExchange(f *testing.F) {
	h := newExchange(f)
	h.audiences("api://default", hr)
	token := h.first.text("access_token")
	const start = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token_type=" + accessTokenType + "&subject_token=TOKEN"
	for _, more := range []string{
		"", "&scope=orders:read", "&scope=orders:write", "&audience=api://default&audience=" + hr, "&resource=" + hr, "&resource=api://default&resource=api://default",
		"&actor_token=TOKEN&actor_token_type=" + accessTokenType, "&requested_token_type=" + idTokenType, "&subject_token=2", "&scope=%00", "&actor_token_type=x", "&%zz",
	} {
		f.Add(start + more)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/default/v1/token", strings.NewReader(strings.ReplaceAll(body, "TOKEN", token)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic(h.service.ID, h.service.Secret))
		w := httptest.NewRecorder()
		h.server.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
		var got struct {
			Token string `json:"access_token"`
			Scope string `json:"scope"`
		}
		if json.Unmarshal(w.Body.Bytes(), &got) != nil || got.Token == "" {
			return
		}
		made := claims(t, got.Token, 1)
		if made["uid"] == nil {
			return // a token of its own, by client credentials
		}
		for scope := range strings.FieldsSeq(got.Scope) {
			if !slices.Contains([]string{"openid", "orders:read"}, scope) {
				t.Fatalf("%q gives the scope %q", body, scope)
			}
		}
		if made["aud"] != "api://default" || made["act"] == nil || made["cid"] != h.service.ID || made["uid"] != h.user.ID {
			t.Fatalf("%q gives %v", body, made)
		}
	})
}
