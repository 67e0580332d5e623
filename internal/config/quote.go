package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// quote returns s as one YAML scalar that reads as the text s: as it is when nobody
// could take it for anything else, and otherwise in double quotes.
func quote(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r >= 0x80 && r < 0xa0 || r >= 0x2000 && r < 0x2070 || r == 0xfeff || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainText reports whether s needs no quotes, in a list on one line either.
func plainText(s string) bool {
	if s == "" || !plainStart(s) || s[len(s)-1] == ':' || s[len(s)-1] == ' ' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ':
			if i+1 < len(s) && s[i+1] == '#' {
				return false
			}
		case c == ':':
			if i+1 < len(s) && s[i+1] == ' ' {
				return false
			}
		case c < '!' || c > '~' || strings.IndexByte("[]{},\"'`\\", c) >= 0:
			// "${env:NAME}" and "{name}" are plain outside of lists on one line; with
			// quotes they are right everywhere, so only keys are left as they are.
			if c != '{' && c != '}' || !strings.Contains(s, " /") {
				return false
			}
		}
	}
	return !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}, strings.ToLower(s))
}

// plainStart: letters and "/" begin nothing but text. What begins with a digit is
// text when it has a letter that no number and no date has.
func plainStart(s string) bool {
	c := s[0]
	if c >= '0' && c <= '9' {
		return strings.ContainsAny(s, "hmnsHMNS/")
	}
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/'
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
