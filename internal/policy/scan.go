package policy

import (
	"strings"
	"unicode/utf8"
)

// word is a piece of Cedar text. Cedar's own tree has no places in it, so they are
// found again in the text: the scanner knows as much of the language as that takes.
type word struct {
	text   string // an identifier, a string without its quotes, or one character
	quoted bool
	at     int // offset of its first byte
	size   int // in bytes, quotes included
}

// scan splits text into words, without spaces and comments. A string that does
// not end is left to the parser to complain about.
func scan(text string) []word {
	var out []word
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case strings.HasPrefix(text[i:], "//"):
			if end := strings.IndexByte(text[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(text)
			}
		case c == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text))
			out = append(out, word{text: text[i+1 : end], quoted: true, at: i, size: min(end+1, len(text)) - i})
			i = end + 1
		case letter(c):
			end := i
			for end < len(text) && (letter(text[end]) || text[end] >= '0' && text[end] <= '9') {
				end++
			}
			out = append(out, word{text: text[i:end], at: i, size: end - i})
			i = end
		default:
			_, size := utf8.DecodeRuneInString(text[i:])
			out = append(out, word{text: text[i : i+size], at: i, size: size})
			i += size
		}
	}
	return out
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// depth returns how deeply brackets are nested, and whether each that closes was open.
func depth(words []word) (deepest int, balanced bool) {
	now := 0
	balanced = true
	for _, w := range words {
		if w.quoted {
			continue
		}
		switch w.text {
		case "(", "[", "{":
			now++
			deepest = max(deepest, now)
		case ")", "]", "}":
			now--
			balanced = balanced && now >= 0
		}
	}
	return deepest, balanced && now == 0
}

// place returns line and column (in characters) of an offset, both from 1.
func place(text string, at int) (line, column int) {
	at = min(max(at, 0), len(text))
	line = 1 + strings.Count(text[:at], "\n")
	return line, 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:at], '\n')+1:at])
}

// attribute finds "variable.name", variable["name"] or "variable has name" in the
// words, and of a longer path its last part; it returns the word of the name, the zero word when it is not there.
func attribute(words []word, path ...string) word {
	for i := range words {
		if words[i].quoted || words[i].text != path[0] || i > 0 && (words[i-1].text == "." || words[i-1].text == ":") {
			continue
		}
		at := i
		for _, name := range path[1:] {
			if at = next(words, at, name); at < 0 {
				break
			}
		}
		if at > i {
			return words[at]
		}
	}
	return word{}
}

// next returns the index of the name behind the word at i, -1 when another follows.
func next(words []word, i int, name string) int {
	if i+2 >= len(words) {
		return -1
	}
	j := i + 1
	if words[j].text == "]" && j+2 < len(words) {
		j++
	}
	switch words[j].text {
	case ".", "has", "[":
		if words[j+1].text == name {
			return j + 1
		}
	}
	return -1
}

// literal finds a string of this text; the zero word when there is none.
func literal(words []word, text string) word {
	for _, w := range words {
		if w.quoted && w.text == text {
			return w
		}
	}
	return word{}
}
