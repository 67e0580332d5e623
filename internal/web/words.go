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
// is shown.
type Words struct {
	languages []string // the default one first
	texts     map[string]map[string]string
}

// ReadWords reads the files words/LANGUAGE.json of each file system; a later one adds
// keys. It panics when one is broken: they are part of the binary.
func ReadWords(from ...fs.FS) *Words {
	w := &Words{texts: map[string]map[string]string{}}
	for _, files := range from {
		names, err := fs.Glob(files, "words/*.json")
		for _, name := range names {
			var raw []byte
			if raw, err = fs.ReadFile(files, name); err != nil {
				break
			}
			lang := strings.TrimSuffix(path.Base(name), ".json")
			if w.texts[lang] == nil {
				w.texts[lang] = map[string]string{}
				w.languages = append(w.languages, lang)
			}
			texts := w.texts[lang]
			if err = json.Unmarshal(raw, &texts); err != nil { // it adds to the map
				break
			}
		}
		if err != nil {
			panic(fmt.Sprintf("web: the words cannot be read: %v", err))
		}
	}
	slices.SortFunc(w.languages, func(a, b string) int {
		if a == DefaultLanguage || b == DefaultLanguage {
			if a == DefaultLanguage {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return w
}

// Languages returns the languages, the default one first.
func (w *Words) Languages() []string { return slices.Clone(w.languages) }

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

// Say returns the text of a key with its places filled: fill is names and values in
// turn. A key that a language does not have is said in the default one.
func (w *Words) Say(lang, key string, fill ...any) string {
	text, ok := w.texts[lang][key]
	if !ok {
		if text, ok = w.texts[DefaultLanguage][key]; !ok {
			return key
		}
	}
	if len(fill) == 0 {
		return text
	}
	pairs := make([]string, 0, len(fill))
	for i := 0; i+1 < len(fill); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(fill[i])+"}", fmt.Sprint(fill[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Match returns the language that fits best: tags are in order of preference, such as
// ui_locales has them (OpenID Connect Core section 3.1.2.1); accept is the header
// Accept-Language (RFC 9110 section 12.5.4), for who named none that there is. A tag
// fits by its first part: de-AT is German.
func (w *Words) Match(tags []string, accept string) string {
	for _, tag := range tags {
		if lang := w.fit(tag); lang != "" {
			return lang
		}
	}
	best, weight := DefaultLanguage, 0.0
	if len(accept) > 1000 {
		return best
	}
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

func (w *Words) fit(tag string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(tag), "-")
	for _, lang := range w.languages {
		if strings.EqualFold(first, lang) {
			return lang
		}
	}
	return ""
}

// Ago says how long something is past.
func (w *Words) Ago(lang string, d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return w.Say(lang, "ago_"+unit)
		}
		return w.Say(lang, "ago_"+unit+"s", "n", n)
	}
	switch {
	case d < time.Minute:
		return w.Say(lang, "ago_now")
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

// Date says when something was, to the minute.
func (w *Words) Date(lang string, t time.Time) string {
	t = t.UTC()
	month := w.Say(lang, "month_"+strconv.Itoa(int(t.Month())))
	return w.Say(lang, "date", "day", t.Day(), "month", month, "year", t.Year(), "time", t.Format("15:04"))
}
