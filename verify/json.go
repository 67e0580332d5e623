package verify

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects may nest.
const maxDepth = 64

// The ways in which a document is not strict JSON.
var (
	errJSONSyntax    = errors.New("not valid JSON")
	errJSONDepth     = errors.New("JSON nested deeper than 64 levels")
	errJSONDuplicate = errors.New("a name occurs twice in a JSON object")
	errJSONText      = errors.New("JSON text that is not UTF-8")
	errJSONTrailing  = errors.New("more text after the JSON value")
	errJSONObject    = errors.New("not a JSON object")
)

// decodeObject reads exactly one JSON object (RFC 8259) more strictly than
// encoding/json: a name that occurs twice in an object is refused at every depth, names
// are compared byte for byte, and text must be valid UTF-8 with paired
// surrogates. Numbers come back as json.Number. Strings without escapes share the memory of
// text.
func decodeObject(text string) (map[string]any, error) {
	d := decoder{text: text}
	d.space()
	if d.peek() != '{' {
		return nil, errJSONObject
	}
	v, err := d.object(1)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at != len(d.text) {
		return nil, errJSONTrailing
	}
	return v, nil
}

type decoder struct {
	text string
	at   int
}

// peek returns the next byte, or 0 at the end; 0 starts no token of JSON.
func (d *decoder) peek() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (any, error) {
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth + 1)
	case c == '[':
		return d.array(depth + 1)
	case c == '"':
		return d.str()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	default:
		return nil, errJSONSyntax
	}
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.text[d.at:], w) {
		return errJSONSyntax
	}
	d.at += len(w)
	return nil
}

func (d *decoder) object(depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, errJSONDepth
	}
	d.at++    // {
	hint := 0 // inner objects may be many and empty: a short text must not cost much memory
	if depth == 1 {
		hint = 8
	}
	m := make(map[string]any, hint)
	d.space()
	if d.peek() == '}' {
		d.at++
		return m, nil
	}
	for {
		d.space()
		if d.peek() != '"' {
			return nil, errJSONSyntax
		}
		name, err := d.str()
		if err != nil {
			return nil, err
		}
		if _, twice := m[name]; twice {
			return nil, errJSONDuplicate
		}
		d.space()
		if d.peek() != ':' {
			return nil, errJSONSyntax
		}
		d.at++
		d.space()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		m[name] = v
		end, err := d.next('}')
		if err != nil {
			return nil, err
		}
		if end {
			return m, nil
		}
	}
}

func (d *decoder) array(depth int) ([]any, error) {
	if depth > maxDepth {
		return nil, errJSONDepth
	}
	d.at++ // [
	list := []any{}
	d.space()
	if d.peek() == ']' {
		d.at++
		return list, nil
	}
	for {
		d.space()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		end, err := d.next(']')
		if err != nil {
			return nil, err
		}
		if end {
			return list, nil
		}
	}
}

// next steps over a comma, or over the closing byte and reports that it was one.
func (d *decoder) next(closing byte) (end bool, err error) {
	d.space()
	switch d.peek() {
	case ',':
		d.at++
		return false, nil
	case closing:
		d.at++
		return true, nil
	default:
		return false, errJSONSyntax
	}
}

// number reads by the grammar of RFC 8259 section 6.
func (d *decoder) number() (json.Number, error) {
	start := d.at
	if d.peek() == '-' {
		d.at++
	}
	switch c := d.peek(); {
	case c == '0':
		d.at++
	case c >= '1' && c <= '9':
		d.digits()
	default:
		return "", errJSONSyntax
	}
	if d.peek() == '.' {
		d.at++
		if !d.digits() {
			return "", errJSONSyntax
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.at++
		if c := d.peek(); c == '+' || c == '-' {
			d.at++
		}
		if !d.digits() {
			return "", errJSONSyntax
		}
	}
	return json.Number(d.text[start:d.at]), nil
}

func (d *decoder) digits() bool {
	start := d.at
	for d.at < len(d.text) && d.text[d.at] >= '0' && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at > start
}

// str reads a string. The common case, no escape, copies nothing.
func (d *decoder) str() (string, error) {
	d.at++ // the opening quote
	start, ascii := d.at, true
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			s := d.text[start:d.at]
			d.at++
			if !ascii && !utf8.ValidString(s) {
				return "", errJSONText
			}
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", errJSONSyntax
		case c >= utf8.RuneSelf:
			ascii = false
		}
		d.at++
	}
	return "", errJSONSyntax
}

// escaped reads the rest of a string that has an escape at d.at.
func (d *decoder) escaped(start int) (string, error) {
	b := []byte(d.text[start:d.at])
	for d.at < len(d.text) {
		c := d.text[d.at]
		d.at++
		switch {
		case c == '"':
			if !utf8.Valid(b) {
				return "", errJSONText
			}
			return string(b), nil
		case c < 0x20:
			return "", errJSONSyntax
		case c != '\\':
			b = append(b, c)
		default:
			r, err := d.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		}
	}
	return "", errJSONSyntax
}

// escape reads what follows a backslash.
func (d *decoder) escape() (rune, error) {
	c := d.peek()
	d.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, errJSONSyntax
	}
	r, ok := d.hex4()
	if !ok {
		return 0, errJSONSyntax
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if !strings.HasPrefix(d.text[min(d.at, len(d.text)):], `\u`) {
		return 0, errJSONText
	}
	d.at += 2
	low, ok := d.hex4()
	if !ok {
		return 0, errJSONSyntax
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, errJSONText
	}
	return r, nil
}

func (d *decoder) hex4() (rune, bool) {
	if d.at+4 > len(d.text) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(d.text[d.at : d.at+4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	d.at += 4
	return r, true
}
