package relying

import (
	"embed"
	"html/template"
	"net/http"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/web"
)

//go:embed words style.css
var paperFiles embed.FS

// paper is what the pages are made of: their shape, and their texts in each language.
type paper struct {
	page  *template.Template
	words *web.Words
	style []byte
}

func newPaper() (*paper, error) {
	style, err := paperFiles.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	return &paper{page: page, words: web.ReadWords(paperFiles), style: style}, nil
}

// view is what a page shows.
type view struct{ Lang, Style, Title, Say, Login, Label string }

const pageText = `<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>{{.Title}}</title><link rel="stylesheet" href="{{.Style}}"></head>
<body><main><h1>{{.Title}}</h1>{{with .Say}}<p>{{.}}</p>{{end}}{{with .Login}}<p><a href="{{.}}">{{$.Label}}</a></p>{{end}}</main></body></html>
`

// fail answers with a page for a person, by the keys of its title and of what more it
// says. It returns the cause for the record.
func (p *Party) fail(w http.ResponseWriter, r *http.Request, status int, title, say string, cause error) error {
	login := ""
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		login = LoginURL(p.path, "", "", "")
	}
	if err := write(w, status, "text/html; charset=utf-8", p.html(r, title, say, login)); err != nil {
		return err
	}
	if cause == nil {
		cause = fault.New(fault.NotFound, "there is no such page")
	}
	return cause
}

// html writes a page in the language that the browser prefers.
func (p *Party) html(r *http.Request, title, say, login string) []byte {
	lang := p.paper.words.Match(nil, r.Header.Get("Accept-Language"))
	if lang == "" {
		lang = web.DefaultLanguage
	}
	v := view{Lang: lang, Style: p.path + "style.css", Title: p.paper.words.Say(lang, title, "method", p.takes(r)), Login: login}
	if say != "" {
		v.Say = p.paper.words.Say(lang, say)
	}
	v.Label = p.paper.words.Say(lang, "sign_in")
	var b strings.Builder
	if err := p.paper.page.Execute(&b, v); err != nil {
		return []byte(template.HTMLEscapeString(v.Title))
	}
	return []byte(b.String())
}

// takes is the method of the page that was asked for.
func (p *Party) takes(r *http.Request) string {
	return p.pages[strings.TrimPrefix(r.URL.Path, p.path)].method
}

// style answers with the style of the pages: it is the same for everybody, and says
// nothing about who asks.
func (p *Party) style(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return write(w, http.StatusOK, "text/css; charset=utf-8", p.paper.style)
}
