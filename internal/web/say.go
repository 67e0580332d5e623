package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// LanguagePath takes the form by which a person chooses a language: its field language
// has the tag, and back the path to go to.
const LanguagePath = "/language"

// functions are what templates may call. Each says a text of the page's language:
//
//	t KEY PLACE VALUE...      the text
//	count KEY N PLACE VALUE... the text about a number
//	rich, richly               the same with values that are more than text: those of strong, on and past
//	linked KEY ADDRESS         a text with a link from {link} to {end}
func (k *Kit) functions(lang string) template.FuncMap {
	on := func(t time.Time) template.HTML { return timeElement(t, k.words.Day(lang, t), k.words.Date(lang, t)) }
	past := func(t time.Time) template.HTML {
		return timeElement(t, k.words.Ago(lang, k.cfg.Now().Sub(t)), k.words.Date(lang, t))
	}
	return template.FuncMap{
		"t":     func(key string, fill ...any) string { return k.words.Say(lang, key, fill...) },
		"count": func(key string, n int, fill ...any) string { return k.words.Count(lang, key, n, fill...) },
		"rich":  func(key string, fill ...any) template.HTML { return k.rich(k.words.find(lang, key), fill...) },
		"richly": func(key string, n int, fill ...any) template.HTML {
			return k.rich(k.words.counted(lang, key, n), append([]any{"n", n}, fill...)...)
		},
		"linked": func(key, address string) template.HTML {
			// A page beside this one: what the person has begun here stays.
			open := template.HTML(`<a href="` + template.HTMLEscapeString(address) + `" target="_blank" rel="noopener noreferrer">`) //nolint:gosec // escaped
			return k.rich(k.words.find(lang, key), "link", open, "end", template.HTML("</a>"))
		},
		"strong": func(text string) template.HTML {
			return template.HTML("<strong>" + template.HTMLEscapeString(text) + "</strong>") //nolint:gosec // escaped
		},
		"on": on, "past": past,
	}
}

// rich is a text with its places filled: whatever is not HTML already is escaped.
func (k *Kit) rich(text string, fill ...any) template.HTML {
	show := func(values ...any) string {
		if html, ok := values[0].(template.HTML); ok {
			return string(html)
		}
		return template.HTMLEscapeString(fmt.Sprint(values...))
	}
	return template.HTML(filled(template.HTMLEscapeString(text), fill, show)) //nolint:gosec // all of it is escaped
}

// timeElement is a time for people and for programs.
func timeElement(t time.Time, says, title string) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + template.HTMLEscapeString(title) + `">` + template.HTMLEscapeString(says) + `</time>`) //nolint:gosec // escaped
}

// spoken returns the languages, of which the page is in one.
func (k *Kit) spoken(current string) (out []spoken) {
	for _, lang := range k.words.languages {
		out = append(out, spoken{Tag: lang, Name: k.words.Say(lang, "language_name"), Current: lang == current})
	}
	return out
}

// direction returns rtl for languages that are written from right to left.
func direction(lang string) string {
	first, _, _ := strings.Cut(strings.ToLower(lang), "-")
	if slices.Contains([]string{"ar", "fa", "he", "ur", "ps", "yi", "ckb", "dv", "sd", "ug"}, first) {
		return "rtl"
	}
	return ""
}
