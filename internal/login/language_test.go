package login

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/internal/web"
)

// The language of a page: what the app asks for, what the person has chosen, what the
// browser prefers, what the site speaks; and a choice that is newer than the app's wish.
func TestLanguageOfAPage(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	kit := web.New(web.Config{URL: "http://127.0.0.1", Words: web.WordsWith(Words())})
	s := &Server{cfg: Config{Kit: kit, Now: func() time.Time { return now }, Site: func(*http.Request) (Site, bool) { return Site{Language: "es"}, true }}}
	chose := func(lang string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, web.LanguagePath, nil)
		r.PostForm = map[string][]string{"language": {lang}, "back": {"/signin/x?y=1"}}
		s.chooseLanguage(w, r)
		if got := w.Header().Get("Location"); got != "/signin/x?y=1" {
			t.Fatal(got)
		}
		if c := w.Result().Cookies(); len(c) == 1 {
			return c[0].Value
		}
		return ""
	}
	for _, c := range []struct {
		name, locales, chosen, accept, want string
		asked                               time.Time
	}{
		{"nothing said", "", "", "", "es", now},
		{"the browser", "", "", "pt, fr;q=0.8", "fr", now},
		{"the person", "", "ja", "fr", "ja", now.Add(-time.Hour)},
		{"the app", "xx de-CH", "", "fr", "de", now},
		{"the app, after an older choice", "de", "ja", "fr", "de", now.Add(time.Hour)},
		{"a choice on the way", "de", "ja", "fr", "ja", now},
		{"an app that asks for what there is not", "pt tlh", "ja", "fr", "ja", now.Add(time.Hour)},
		{"a choice that there is not", "", "tlh", "fr", "fr", now},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.chosen != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: chose(c.chosen)})
		}
		if got := s.languageFor(r, Locales(c.locales), c.asked); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The switch leads back to a page of ours and nowhere else (attack identity 17).
func TestTheSwitchLeadsNowhereElse(t *testing.T) {
	for path, want := range map[string]string{
		"/account?x=1": "/account?x=1", "": "/account", "//evil.test": "/account", "https://evil.test/": "/account", `/\evil.test`: "/account",
		"/\r\nX: y": "/account", "javascript:alert(1)": "/account", "account": "/account", "/signin/a%2f..": "/signin/a%2f..",
	} {
		if got := pageOfOurs(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
