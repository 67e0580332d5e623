package web_test

import (
	"embed"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/web"
)

//go:embed words/*.json
var words embed.FS

func TestEveryLanguageHasEveryWord(t *testing.T) {
	for _, wrong := range web.ReadWords(words).Check() {
		t.Error(wrong)
	}
	broken := fstest.MapFS{
		"words/en.json": {Data: []byte(`{"a":"A {x}","b":"B"}`)},
		"words/de.json": {Data: []byte(`{"a":"A {y}","c":"C"}`)},
	}
	if got := web.ReadWords(broken).Check(); len(got) != 3 {
		t.Errorf("of three that are wrong: %q", got)
	}
}

func TestLanguagesMatch(t *testing.T) {
	one := &fstest.MapFile{Data: []byte(`{}`)}
	w := web.ReadWords(fstest.MapFS{"words/de.json": one, "words/en.json": one, "words/fr.json": one, "words/ja.json": one})
	for _, c := range []struct {
		tags   []string
		accept string
		want   string
	}{
		{nil, "", ""},
		{nil, "de-AT,de;q=0.9,en;q=0.8", "de"},
		{nil, "pt,fr;q=0.5,ja;q=0.7", "ja"},
		{nil, "en;q=0.1, FR", "fr"},
		{nil, "de;q=0", ""},
		{nil, "de;q=9, fr;q=0.1", "fr"},
		{nil, "de;q=x", ""},
		{[]string{"pt", "ja"}, "de", "ja"},
		{[]string{"pt"}, "de", "de"},
		{[]string{"../../x", ""}, "*", ""},
	} {
		if got := w.Match(c.tags, c.accept); got != c.want {
			t.Errorf("%q %q: %s, want %s", c.tags, c.accept, got, c.want)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	w := web.ReadWords(words)
	if got := w.Date("en", time.Date(2026, 11, 2, 9, 5, 0, 0, time.UTC)); got != "2 November 2026, 09:05 UTC" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{
		time.Second: "just now", time.Minute: "1 minute ago", 50 * time.Minute: "50 minutes ago", 25 * time.Hour: "1 day ago", 49 * time.Hour: "2 days ago",
	} {
		if got := w.Ago("en", d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	if got := w.Say("xx", "ago_minutes_other", "n", "{n}<"); got != "{n}< minutes ago" {
		t.Error(got)
	}
	if got := w.Count("xx", "ago_minutes", 1); got != "1 minute ago" {
		t.Error(got) // said in the default language, and counted in it
	}
}

// Languages count as they do: Japanese has one form for all numbers, Polish three.
func TestFormsOfNumbers(t *testing.T) {
	w := web.ReadWords(fstest.MapFS{
		"words/en.json": {Data: []byte(`{"days_one":"{n} day","days_other":"{n} days"}`)},
		"words/ja.json": {Data: []byte(`{"days_other":"{n} 日"}`)},
		"words/pl.json": {Data: []byte(`{"days_one":"{n} dzień","days_few":"{n} dni","days_many":"{n} dni!","days_other":"{n} dnia"}`)},
	})
	for _, wrong := range w.Check() {
		t.Error(wrong)
	}
	for want, c := range map[string]struct {
		lang string
		n    int
	}{"1 day": {"en", 1}, "21 days": {"en", 21}, "1 日": {"ja", 1}, "1 dzień": {"pl", 1}, "22 dni": {"pl", 22}, "21 dni!": {"pl", 21}} {
		if got := w.Count(c.lang, "days", c.n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
