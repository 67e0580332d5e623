package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"gatehouse/internal/access"
)

// FuzzAuthorize sends queries of strangers to the authorization endpoint: whatever
// they say, nobody is told anything at an address that is not registered, and a
// request that is right asks only for what the server has.
func FuzzAuthorize(f *testing.F) {
	s := newSignIn(f, nil)
	s.audiences("api://default", orders, hr)
	good := url.Values{
		"client_id": {s.app.ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid orders:read"}, "state": {"x"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode()
	for _, more := range []string{
		"", "&resource=" + orders + "&resource=" + hr, "&resource=" + hr + "%0a" + orders, "&prompt=none+login", "&max_age=-1", "&acr_values=x", "&dpop_jkt=x", "&state=2",
		"&request=e30.e30.e30", "&request_uri=urn:ietf:params:oauth:request_uri:x", "&authorization_details=[]", "&%", "&=&&", "&response_mode=okta_post_message",
	} {
		f.Add(good + more)
	}
	t := s.target()
	f.Fuzz(func(t2 *testing.T, query string) {
		r := httptest.NewRequestWithContext(t2.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.RawQuery = query
		q, app, err := s.server.readAuthorization(httptest.NewRecorder(), r, t)
		if q.RedirectURI != "" && (app == nil || !app.Redirects(q.RedirectURI)) {
			t2.Fatalf("led to %q by %q (%v)", q.RedirectURI, query, err)
		}
		if err != nil {
			return
		}
		if app.Status != access.Active || len(q.Scopes) == 0 || len(q.ResponseType) == 0 {
			t2.Fatalf("accepted %q: %+v", query, q)
		}
		for _, name := range q.Scopes {
			if _, ok := t.Server.Scope(name); !ok {
				t2.Fatalf("accepted the scope %q", name)
			}
		}
		for _, name := range q.Resources {
			if !t.Server.HasAudience(t.URL, name) {
				t2.Fatalf("accepted the resource %q", name)
			}
		}
	})
}
