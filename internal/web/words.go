package web

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultLanguage is that of who asks for none that there is.
const DefaultLanguage = "en"

// Words are the texts of pages and letters by language: one file for each, of keys
// and texts. A text may have places, such as {name}, for what is known only when it
// is shown. A text about a number has a key for each form that its language has for
// numbers, such as days_one and days_other.
type Words struct {
	languages []string // the default one first
	texts     map[string]map[string]string
	numbers   map[string]numbers
}

// ReadWords reads the files words/LANGUAGE.json of each file system; a later one adds
// keys. It panics when one is broken: they are part of the binary.
func ReadWords(from ...fs.FS) *Words {
	w := &Words{texts: map[string]map[string]string{}, numbers: map[string]numbers{}}
	for _, files := range from {
		names, err := fs.Glob(files, "words/*.json")
		for _, name := range names {
			var raw []byte
			if raw, err = fs.ReadFile(files, name); err != nil {
				break
			}
			texts := w.language(strings.TrimSuffix(path.Base(name), ".json"))
			if err = json.Unmarshal(raw, &texts); err != nil { // it adds to the map
				break
			}
		}
		if err != nil {
			panic(fmt.Sprintf("web: the words cannot be read: %v", err))
		}
	}
	return w
}

// WordsWith returns the kit's own texts and those of more rooms.
func WordsWith(more ...fs.FS) *Words {
	return ReadWords(append([]fs.FS{files}, more...)...)
}

// language returns the texts of a language, of none when it is new.
func (w *Words) language(lang string) map[string]string {
	if w.texts[lang] == nil {
		w.texts[lang], w.numbers[lang] = map[string]string{}, numbersOf(lang)
		w.languages = append(w.languages, lang)
		slices.SortFunc(w.languages, func(a, b string) int {
			if a == DefaultLanguage || b == DefaultLanguage {
				return strings.Compare(strconv.FormatBool(b == DefaultLanguage), strconv.FormatBool(a == DefaultLanguage))
			}
			return strings.Compare(a, b)
		})
	}
	return w.texts[lang]
}

// Languages returns the languages, the default one first.
func (w *Words) Languages() []string { return slices.Clone(w.languages) }

// Has reports whether there are texts in the language.
func (w *Words) Has(lang string) bool { return w.texts[lang] != nil }

// Text returns a text as it is written in the file.
func (w *Words) Text(lang, key string) (string, bool) {
	text, ok := w.texts[lang][key]
	return text, ok
}

// Keys returns the keys of a language, sorted.
func (w *Words) Keys(lang string) []string {
	var out []string
	for k := range w.texts[lang] {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// find returns a text, in the default language when the language does not have it.
func (w *Words) find(lang, key string) string {
	text, ok := w.texts[lang][key]
	if !ok {
		if text, ok = w.texts[DefaultLanguage][key]; !ok {
			return key
		}
	}
	return text
}

// Say returns the text of a key with its places filled: fill is names and values in
// turn. A key that a language does not have is said in the default one.
func (w *Words) Say(lang, key string, fill ...any) string {
	return filled(w.find(lang, key), fill, fmt.Sprint)
}

// filled puts values in the places of a text, as show writes them.
func filled(text string, fill []any, show func(...any) string) string {
	if len(fill) == 0 {
		return text
	}
	pairs := make([]string, 0, len(fill))
	for i := 0; i+1 < len(fill); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(fill[i])+"}", show(fill[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Count returns the text of a key for a number, in the form that the language has for
// it, with the number in the place {n}.
func (w *Words) Count(lang, key string, n int, fill ...any) string {
	return filled(w.counted(lang, key, n), append([]any{"n", n}, fill...), fmt.Sprint)
}

// counted returns the text of the form for a number.
func (w *Words) counted(lang, key string, n int) string {
	if w.texts[lang][key+"_other"] == "" {
		lang = DefaultLanguage
	}
	if text, ok := w.texts[lang][key+"_"+w.numbers[lang].form(n)]; ok {
		return text
	}
	return w.find(lang, key+"_other")
}

// Match returns the language that fits best: tags are in order of preference, such as
// ui_locales has them (OpenID Connect Core section 3.1.2.1); accept is the header
// Accept-Language (RFC 9110 section 12.5.4), for who named none that there is. It is
// empty when nothing fits.
func (w *Words) Match(tags []string, accept string) string {
	for _, tag := range tags {
		if lang := w.fit(tag); lang != "" {
			return lang
		}
	}
	if len(accept) > 1000 {
		return ""
	}
	best, weight := "", 0.0
	for _, one := range strings.Split(accept, ",") {
		tag, parameters, _ := strings.Cut(one, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 0
			}
		}
		if lang := w.fit(tag); lang != "" && q > weight && q <= 1 {
			best, weight = lang, q
		}
	}
	return best
}

// fit returns the language of a tag, which loses its last part until there is one (RFC
// 4647 section 3.4): de-AT is German. A language that is there in a variety alone, such
// as pt-BR, serves who asks for another one of it.
func (w *Words) fit(tag string) string {
	tag = strings.TrimSpace(tag)
	for rest := tag; rest != ""; {
		for _, lang := range w.languages {
			if strings.EqualFold(rest, lang) {
				return lang
			}
		}
		cut := strings.LastIndexByte(rest, '-')
		if cut < 0 {
			break
		}
		rest = rest[:cut]
	}
	first, _, _ := strings.Cut(tag, "-")
	for _, lang := range w.languages {
		if own, _, _ := strings.Cut(lang, "-"); strings.EqualFold(first, own) {
			return lang
		}
	}
	return ""
}

// Ago says how long something is past.
func (w *Words) Ago(lang string, d time.Duration) string {
	switch {
	case d < time.Minute:
		return w.Say(lang, "ago_now")
	case d < time.Hour:
		return w.Count(lang, "ago_minutes", int(d/time.Minute))
	case d < 24*time.Hour:
		return w.Count(lang, "ago_hours", int(d/time.Hour))
	}
	return w.Count(lang, "ago_days", int(d/(24*time.Hour)))
}

// Day says on which day something was.
func (w *Words) Day(lang string, t time.Time) string {
	t = t.UTC()
	return w.Say(lang, "day", "day", t.Day(), "month", w.Say(lang, "month_"+strconv.Itoa(int(t.Month()))), "year", t.Year())
}

// Date says when something was, to the minute.
func (w *Words) Date(lang string, t time.Time) string {
	t = t.UTC()
	month := w.Say(lang, "month_"+strconv.Itoa(int(t.Month())))
	return w.Say(lang, "date", "day", t.Day(), "month", month, "year", t.Year(), "time", t.Format("15:04"))
}
