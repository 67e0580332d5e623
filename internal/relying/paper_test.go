package relying

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/web"
)

func TestPaper(t *testing.T) {
	words := web.ReadWords(paperFiles)
	keys := words.Keys(web.DefaultLanguage)
	for _, lang := range words.Languages() {
		if !slices.Equal(words.Keys(lang), keys) {
			t.Errorf("%s has other words", lang)
		}
	}
	e := newEdge(t, nil)
	for accept, want := range map[string]string{
		"": "Sign-in did not work", "sv": "Sign-in did not work", "de-AT,en;q=0.5": "Die Anmeldung hat nicht geklappt", "fr": "La connexion n’a pas abouti",
		"en;q=0.1, es-MX": "No se pudo iniciar sesión", "ja": "サインインできませんでした",
	} {
		res := e.browser().send(http.MethodGet, e.Path()+"callback?state=x", "", "Accept-Language", accept)
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, "<h1>"+want+"</h1>") {
			t.Errorf("%q: %d %s", accept, res.StatusCode, res.body)
		}
	}
	res := e.browser().send(http.MethodPost, e.Path()+"login", "", "Accept-Language", "de")
	if res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(res.body, "Diese Adresse nimmt nur GET an") || !strings.Contains(res.body, `lang="de"`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	style := e.browser().get(e.Path() + "style.css")
	if style.StatusCode != http.StatusOK || style.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(res.body, e.Path()+"style.css") {
		t.Errorf("%d %v", style.StatusCode, style.Header)
	}
}

// Every refusal has its words: a key that there is not would be shown as it is.
func TestEveryRefusalHasWords(t *testing.T) {
	e := newEdge(t, nil)
	for _, err := range []error{
		fault.New(fault.Full, "full"), fault.New(fault.Unavailable, "down"), fault.Because(refused{code: "access_denied"}, fault.Denied, "no"), fault.New(fault.Denied, "bad"),
	} {
		for _, lang := range e.paper.words.Languages() {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, e.Path()+"login", nil)
			r.Header.Set("Accept-Language", lang)
			_ = e.failed(w, r, err)
			if body := w.Body.String(); strings.Contains(body, "_title") || strings.Contains(body, "_text") || !strings.Contains(body, "<p>") {
				t.Errorf("%s, %v: %s", lang, err, body)
			}
		}
	}
}
