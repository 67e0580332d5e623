// Package strictjson reads the JSON bodies that strangers send to the management
// edges, and writes their answers: one value and nothing behind it, numbers as they
// were written, brackets no deeper than the edge says. It must not know what a body
// means, nor how an edge says that one is wrong.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// What is wrong with a body beyond what encoding/json says.
var (
	ErrTooDeep = errors.New("nested too deeply")
	ErrBehind  = errors.New("something stands behind the value")
)

// Decode reads the one value of a body into v, numbers as json.Number where v does
// not say otherwise. Fields that v does not have are ignored. It returns ErrTooDeep when
// brackets nest deeper than depth, ErrBehind, or an error of encoding/json.
func Decode(raw []byte, v any, depth int) error {
	if deeper(raw, depth) {
		return ErrTooDeep
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ErrBehind
	}
	return nil
}

// deeper reports whether brackets outside of strings nest deeper than most.
func deeper(raw []byte, most int) bool {
	depth, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case text && b == '\\':
			i++
		case b == '"':
			text = !text
		case text:
		case b == '{' || b == '[':
			if depth++; depth > most {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}

// Encode returns v as JSON on one line, without escapes for HTML.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
