package verify

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadataURLs(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://a.test":                 {"https://a.test/.well-known/openid-configuration", "https://a.test/.well-known/oauth-authorization-server"},
		"https://a.test/":                {"https://a.test/.well-known/openid-configuration", "https://a.test/.well-known/oauth-authorization-server"},
		"https://a.test/oauth2/default":  {"https://a.test/oauth2/default/.well-known/openid-configuration", "https://a.test/.well-known/oauth-authorization-server/oauth2/default"},
		"https://a.test:8443/t%2F1/v2.0": {"https://a.test:8443/t%2F1/v2.0/.well-known/openid-configuration", "https://a.test:8443/.well-known/oauth-authorization-server/t%2F1/v2.0"},
	} {
		if d := cmp.Diff(want, metadataURLs(issuer)); d != "" {
			t.Error(d)
		}
	}
}

func TestReadMetadata(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		ok        bool
	}{
		{"good", `{"issuer":"https://a.test","jwks_uri":"https://keys.test/k"}`, true},
		{"no keys", `{"issuer":"https://a.test"}`, false},
		{"keys over plain http", `{"issuer":"https://a.test","jwks_uri":"http://a.test/k"}`, false},
		{"keys from a file", `{"issuer":"https://a.test","jwks_uri":"file:///etc/passwd"}`, false},
		{"keys with a password", `{"issuer":"https://a.test","jwks_uri":"https://u:p@a.test/k"}`, false},
		{"relative", `{"issuer":"https://a.test","jwks_uri":"/k"}`, false},
		{"no host", `{"issuer":"https://a.test","jwks_uri":"https:///k"}`, false},
		{"another issuer", `{"issuer":"https://b.test","jwks_uri":"https://a.test/k"}`, false},
		{"no issuer", `{"jwks_uri":"https://a.test/k"}`, false},
		{"issuer twice", `{"issuer":"https://b.test","issuer":"https://a.test","jwks_uri":"https://a.test/k"}`, false},
		{"not JSON", `<html>`, false},
		{"large", `{"issuer":"https://a.test","jwks_uri":"https://a.test/k"}` + strings.Repeat(" ", 1<<20), false},
	} {
		if _, err := readMetadata([]byte(c.doc), "https://a.test"); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNewRemoteKeysRefuses(t *testing.T) {
	for _, c := range []RemoteConfig{
		{},
		{Issuer: "a.test"},
		{Issuer: "ftp://a.test"},
		{Issuer: "https://"},
		{Issuer: "https://u@a.test"},
		{Issuer: "https://a.test#x"},
		{Issuer: "https://a.test", JWKSURL: "http://a.test/k"},
		{Issuer: "https://a.test", JWKSURL: "k"},
	} {
		if r, err := NewRemoteKeys(c); err == nil {
			_ = r.Close()
			t.Errorf("accepted %+v", c)
		}
	}
}

// attack gateway 11 with the client that is there by default, and attack gateway
// 4: a real server that counts.
func TestDefaultClient(t *testing.T) {
	var inside, sets atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		_, _ = w.Write(jwks(jwk("k", edKey(), nil)))
	}))
	defer target.Close()
	var answer atomic.Pointer[http.HandlerFunc]
	good := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks(jwk("k", edKey(), nil))) })
	answer.Store(&good)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/.well-known/oauth-authorization-server/tenant", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, srv.URL+"/tenant", srv.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		sets.Add(1)
		(*answer.Load())(w, r)
	})
	keys := must(NewRemoteKeys(RemoteConfig{Issuer: srv.URL + "/tenant"}))
	defer func() { _ = keys.Close() }()
	if err := keys.Fetch(t.Context()); err != nil { // by the second form of discovery
		t.Fatal(err)
	}
	v := must(New(Config{Issuers: []Issuer{{URL: srv.URL + "/tenant", Keys: keys}}, Now: at(start)}))
	claims := oktaClaims(obj{"iss": srv.URL + "/tenant"})
	must(v.Verify(t.Context(), mint(EdDSA, edKey(), "k", claims)))
	for _, name := range []string{"jku", "x5u"} {
		head := fmt.Sprintf(`{"alg":"RS256","kid":"k","%s":%q}`, name, target.URL)
		_, err := v.Verify(t.Context(), []byte(sign(RS256, otherRSA(), head, text(claims))))
		want(t, err, ReasonUnknownKey)
	}
	if inside.Load() != 0 {
		t.Error("an address of a token was fetched")
	}
	for name, h := range map[string]http.HandlerFunc{
		"100 MB": func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 1<<16); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) },
		"error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, string(jwks(jwk("k", edKey(), nil))), http.StatusInternalServerError)
		},
		"hung up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"HTML":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		answer.Store(&h)
		if err := keys.Fetch(t.Context()); ReasonOf(err) != ReasonIssuerUnreachable {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := keys.Key(t.Context(), "k", EdDSA); err != nil {
			t.Errorf("%s: the good keys were lost: %v", name, err)
		}
	}
	if inside.Load() != 0 {
		t.Error("a redirect was followed")
	}
}
