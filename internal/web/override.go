package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// textBytes bounds a text of an operator's.
const textBytes = 4000

// Override takes texts of an operator's: files LANGUAGE.json of keys and texts. Of a
// language that is there they replace single texts; another one has to be whole. The error
// says all that is wrong.
func (w *Words) Override(files fs.FS) error {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("there is no file such as de.json in it")
	}
	var wrong []error
	for _, name := range names {
		if err := w.overrideBy(files, name); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(wrong...)
}

var tagForm = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (w *Words) overrideBy(files fs.FS, name string) error {
	lang := strings.TrimSuffix(path.Base(name), ".json")
	if _, err := language.Parse(lang); err != nil || !tagForm.MatchString(lang) {
		return errors.New("a file is named by its language, such as de.json or pt-BR.json (BCP 47)")
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	texts, err := readTexts(raw)
	if err != nil {
		return err
	}
	if w.Has(lang) {
		return w.replace(lang, texts)
	}
	into := w.language(lang)
	for key, text := range texts {
		into[key] = text
	}
	if wrong := w.check(lang); len(wrong) > 0 {
		return fmt.Errorf("%d texts are wrong, of a language that is not there otherwise (gatehouse words prints all of one that is): %s", len(wrong), strings.Join(shortened(wrong), "; "))
	}
	return nil
}

// replace takes texts of a language that is there.
func (w *Words) replace(lang string, texts map[string]string) error {
	var wrong []string
	want := w.wanted(lang)
	for _, key := range keysOf(texts) {
		original, ok := want[key]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%q is no key of a text (gatehouse words %s prints them)", key, lang))
			continue
		}
		if problem := samePlaces(original, texts[key]); problem != "" {
			wrong = append(wrong, fmt.Sprintf("%q %s", key, problem))
			continue
		}
		w.texts[lang][key] = texts[key]
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(shortened(wrong), "; "))
	}
	return nil
}

// shortened is as much of a list as a person reads.
func shortened(list []string) []string {
	if len(list) > 8 {
		return append(list[:8:8], fmt.Sprintf("and %d more", len(list)-8))
	}
	return list
}

// readTexts reads a JSON object of texts: no key twice, nothing behind it.
func readTexts(raw []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	at := func(err error) error {
		return fmt.Errorf("line %d: %w", 1+bytes.Count(raw[:d.InputOffset()], []byte("\n")), err)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New(`it is a JSON object such as {"signin_title": "Log in"}`)
	}
	out := map[string]string{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, at(err)
		}
		name, _ := key.(string)
		value, err := d.Token()
		if err != nil {
			return nil, at(err)
		}
		text, ok := value.(string)
		if !ok {
			return nil, at(fmt.Errorf("%q has no text", name))
		}
		if _, twice := out[name]; twice {
			return nil, at(fmt.Errorf("%q is there twice", name))
		}
		if strings.TrimSpace(text) == "" || len(text) > textBytes || strings.ContainsFunc(text, unicode.IsControl) {
			return nil, at(fmt.Errorf("%q: a text has 1 to %d bytes and no control characters", name, textBytes))
		}
		out[name] = text
	}
	if _, err := d.Token(); err != nil {
		return nil, at(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, at(errors.New("something follows the object"))
	}
	return out, nil
}

// Export returns the texts of a language as a file of Override.
func (w *Words) Export(lang string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(w.texts[lang]) // sorted by key
	return b.Bytes(), err
}
