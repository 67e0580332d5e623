package app

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gatehouse/internal/config"
	"gatehouse/internal/login"
	"gatehouse/internal/web"
)

// look is how the pages of this process look: whose they are, and their words.
type look struct {
	brand    web.Brand
	words    *web.Words
	language string // of who prefers none that there is; empty: the default one
}

// pageWords returns the texts of all rooms that have pages.
func pageWords() *web.Words { return web.WordsWith(login.Words()) }

// PageWords returns the texts of pages and letters in a language, as a file that
// server.brand.words takes; the error names the languages that there are.
func PageWords(lang string) ([]byte, error) {
	words := pageWords()
	if !words.Has(lang) {
		return nil, fmt.Errorf("there are no texts in %q: languages are %s", lang, strings.Join(words.Languages(), ", "))
	}
	return words.Export(lang)
}

// readLook reads the files of the brand. What is wrong with one keeps the process from
// starting, by name.
func readLook(b config.Brand) (look, error) {
	out := look{
		brand: web.Brand{Name: b.Name, Accent: b.Accent, Help: b.Help, Support: b.Support},
		words: pageWords(), language: b.Language,
	}
	var err error
	if out.brand.Logo, err = readLogo(b.Logo); err != nil {
		return look{}, err
	}
	if out.brand.LogoDark, err = readLogo(b.LogoDark); err != nil {
		return look{}, err
	}
	if b.Words != "" {
		if err := out.words.Override(os.DirFS(b.Words)); err != nil {
			return look{}, fmt.Errorf("server.brand.words: %s: %w", b.Words, err)
		}
	}
	spoken := out.words.Languages()
	if b.Language != "" && !slices.Contains(spoken, b.Language) {
		return look{}, fmt.Errorf("server.brand.language: there are no texts in %q: languages are %s; others come from server.brand.words", b.Language, strings.Join(spoken, ", "))
	}
	for lang := range b.Support {
		if lang != "" && !slices.Contains(spoken, lang) {
			return look{}, fmt.Errorf("server.brand.support: there are no pages in %q: languages are %s; others come from server.brand.words", lang, strings.Join(spoken, ", "))
		}
	}
	return out, nil
}

// readLogo returns the picture of a file, nil for none.
func readLogo(path string) (*web.Picture, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("server.brand.logo: %w", err)
	}
	p, err := web.ReadPicture(raw)
	if err != nil {
		return nil, fmt.Errorf("server.brand.logo: %s: %w", path, err)
	}
	return p, nil
}
