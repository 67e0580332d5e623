package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/colour"
	"gatehouse/internal/spec"
)

// checkAccent takes a colour that can be read on pages.
func checkAccent(legible func(colour.Colour) error) func(string) error {
	return func(s string) error {
		c, err := colour.Parse(s)
		if err != nil {
			return err
		}
		return legible(c)
	}
}

func checkSiteName(s string) error {
	if strings.TrimSpace(s) != s || s == "" {
		return errors.New("a name has text, and no spaces around it")
	}
	return spec.CheckText(s, 60)
}

func checkSentence(s string) error {
	if utf8.RuneCountInString(s) > 200 {
		return errors.New("it is longer than 200 characters: link to a page with help in place of more")
	}
	return spec.CheckText(s, 800)
}

// checkHelp takes the address of a page or a mailbox: what a browser runs is no address.
func checkHelp(s string) error {
	u, err := url.Parse(s)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(s) <= 2000 {
		return nil
	}
	if err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@") && !strings.ContainsAny(s, " <>\"") {
		return nil
	}
	return errors.New("it is an address such as https://help.acme.test or mailto:it@acme.test")
}

var languageTag = regexp.MustCompile(languagePattern)

func checkLanguage(s string) error {
	if !languageTag.MatchString(s) || len(s) > 35 {
		return errors.New("a language is a tag such as de or pt-BR (BCP 47)")
	}
	return nil
}
