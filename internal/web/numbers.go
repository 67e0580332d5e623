package web

import (
	"slices"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// numbers are the forms that a language has for whole numbers (Unicode CLDR, plural
// rules): English has one and other, Japanese other alone, Polish one, few and many.
type numbers struct{ tag language.Tag }

func numbersOf(lang string) numbers {
	return numbers{language.Make(lang)} // of a tag that is none: the rules of no language
}

// form returns the name of the form for a number, as CLDR calls it.
func (n numbers) form(of int) string {
	switch plural.Cardinal.MatchPlural(n.tag, of, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	case plural.Other:
	}
	return "other"
}

// forms returns the names of those that numbers of people's use have.
func (n numbers) forms() (out []string) {
	for i := range 200 {
		if f := n.form(i); !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// formed returns the text's key without the form of a number; false when it has none.
func formed(key string) (base string, ok bool) {
	for _, form := range []string{"_zero", "_one", "_two", "_few", "_many", "_other"} {
		if len(key) > len(form) && key[len(key)-len(form):] == form {
			return key[:len(key)-len(form)], true
		}
	}
	return "", false
}
