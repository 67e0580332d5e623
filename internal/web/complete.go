package web

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var place = regexp.MustCompile(`\{[a-z_]+\}`)

// Check returns what is wrong with the texts: a language that lacks one, has one too
// many, or has other places in it than the default language.
func (w *Words) Check() (wrong []string) {
	for _, lang := range w.languages {
		wrong = append(wrong, w.check(lang)...)
	}
	return wrong
}

// check returns what is wrong with a language, beside the default one.
func (w *Words) check(lang string) (wrong []string) {
	want := w.wanted(lang)
	for _, key := range w.Keys(lang) {
		if _, there := w.texts[DefaultLanguage][key]; want[key] == "" && !(there && strings.HasSuffix(key, "_other")) { // the form of fractions does no harm
			wrong = append(wrong, fmt.Sprintf("%s has %q, which nothing says", lang, key))
		}
	}
	for _, key := range keysOf(want) {
		said, ok := w.texts[lang][key]
		if !ok || said == "" {
			wrong = append(wrong, fmt.Sprintf("%s does not say %q", lang, key))
			continue
		}
		if problem := samePlaces(want[key], said); problem != "" {
			wrong = append(wrong, fmt.Sprintf("%s: %q %s", lang, key, problem))
		}
	}
	return wrong
}

// wanted returns the keys that a language has to have, each with the text of the default
// language: of texts about numbers those forms that the language has.
func (w *Words) wanted(lang string) map[string]string {
	out := map[string]string{}
	for key, text := range w.texts[DefaultLanguage] {
		base, ok := formed(key)
		if _, counted := w.texts[DefaultLanguage][base+"_other"]; !ok || !counted {
			out[key] = text
			continue
		}
		for _, form := range w.numbers[lang].forms() {
			out[base+"_"+form] = w.texts[DefaultLanguage][base+"_other"]
		}
	}
	return out
}

func keysOf(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// samePlaces says what is wrong with the places of a text; empty: nothing. A number may
// be a word of the text where its form stands for one number.
func samePlaces(original, text string) string {
	want, have := placesOf(original), placesOf(text)
	if slices.Equal(want, have) {
		return ""
	}
	if without := slices.DeleteFunc(slices.Clone(want), func(p string) bool { return p == "{n}" }); slices.Equal(without, have) {
		return ""
	}
	if len(want) == 0 {
		return fmt.Sprintf("has the places %s, and there are none to fill", strings.Join(have, ", "))
	}
	return fmt.Sprintf("has the places %v and not %v", have, want)
}

func placesOf(text string) []string {
	all := place.FindAllString(text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}
