package login

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/webtest"
)

var saidInCode = regexp.MustCompile(`"([a-z0-9]+(?:_[a-z0-9]+)*)"`)

var (
	templateAction = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	saidAttribute  = regexp.MustCompile(`(?:aria-label|title|alt|placeholder)="([^"]*)"`)
	anyTag         = regexp.MustCompile(`(?s)<[^>]*>`)
	anyWord        = regexp.MustCompile(`\pL+`)
)

// ownWords returns what a template says for itself.
func ownWords(template string) string {
	rest := templateAction.ReplaceAllString(template, "")
	var said []string
	for _, m := range saidAttribute.FindAllStringSubmatch(rest, -1) {
		said = append(said, anyWord.FindAllString(m[1], -1)...)
	}
	return strings.Join(append(said, anyWord.FindAllString(anyTag.ReplaceAllString(rest, " "), -1)...), " ")
}

// Every text that a page, the code or a letter says is there in each language, and
// none is there that nobody says.
func TestWords(t *testing.T) {
	kit := web.New(web.Config{URL: "http://127.0.0.1", Now: time.Now, Words: web.WordsWith(Words())})
	words := kit.Words()
	for _, wrong := range words.Check() {
		t.Error(wrong)
	}
	said := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob("pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(sources, templates...) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saidInCode.FindAllStringSubmatch(string(raw), -1) {
			said[m[1]] = true
		}
	}
	for _, form := range letterForms() {
		prefix := "letter_" + form.name
		said[prefix+"_subject"] = true
		said[prefix+"_link"] = form.link
		for i := range form.before {
			said[prefix+"_"+string(rune('1'+i))] = true
		}
		for i := range form.after {
			said[prefix+"_after_"+string(rune('1'+i))] = true
		}
	}
	for _, key := range eventWords() {
		said[key+"_failed"] = true
	}
	own := web.ReadWords(Words())
	for _, key := range own.Keys(web.DefaultLanguage) {
		if !said[key] && !said[strings.TrimSuffix(strings.TrimSuffix(key, "_one"), "_other")] {
			t.Errorf("nobody says %q", key)
		}
	}
	for key, needed := range said {
		if _, ok := own.Text(web.DefaultLanguage, key); needed && strings.HasPrefix(key, "letter_") && !ok {
			t.Errorf("a letter says %q, which is not there", key)
		}
	}
	for _, name := range templates {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if own := ownWords(string(raw)); own != "" {
			t.Errorf("%s says %q itself, in whatever language the page is", name, own)
		}
	}
	if got := ownWords(`<p title="Of {{.A}}">{{t "a"}} <b>by</b> {{.B}} · </p>`); got != "Of by" {
		t.Errorf("of two words that are written in a page: %q", got)
	}
	p := newPages(kit)
	for _, page := range p.all() {
		for _, key := range webtest.WordsOf(page) {
			_, ok := words.Text(web.DefaultLanguage, key)
			if _, counted := words.Text(web.DefaultLanguage, key+"_other"); !ok && !counted {
				t.Errorf("a page says %q, which is not there", key)
			}
		}
	}
}
