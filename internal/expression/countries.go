package expression

import (
	_ "embed" // the table of countries
	"strings"
)

// countries is ISO 3166-1, a line for each country: alpha-2, alpha-3, numeric, name.
//
//go:embed countries.txt
var countries string

// countryFunctions are Iso3166Convert: the code of a country in any of its forms,
// in another one. What is no code becomes null.
func countryFunctions(path string) (function, bool) {
	form, ok := strings.CutPrefix(path, "Iso3166Convert.")
	if !ok {
		return function{}, false
	}
	for i, name := range [...]string{"toAlpha2", "toAlpha3", "toNumeric", "toName"} {
		if form == name {
			return function{1, 1, func(_ Environment, a []any) (any, error) {
				code, err := textOf(a[0])
				if err != nil {
					return nil, err
				}
				return country(code, i), nil
			}}, true
		}
	}
	return function{}, false
}

// country returns a form of the country that the code names; nil for none.
func country(code string, form int) any {
	const alpha2, alpha3, numeric = 2, 3, 3
	code = strings.ToUpper(code)
	switch {
	case len(code) == alpha2 && code[0] >= 'A', len(code) == alpha3 && code[0] >= 'A', len(code) == numeric:
	default:
		return nil
	}
	for line := range strings.Lines(countries) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if parts[0] != "#" && (parts[0] == code || parts[1] == code || parts[2] == code) {
			return parts[form]
		}
	}
	return nil
}
