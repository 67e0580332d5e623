package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds every text of an event, in bytes: some come from strangers.
const maxText = 512

// clean bounds the texts of an event and takes out what a store or a terminal
// would trip over: control characters and broken UTF-8.
func clean(e *Event) {
	for _, s := range []*string{
		&e.ID, &e.Message, &e.RequestID, &e.Outcome.Reason, &e.Client.IP, &e.Client.UserAgent,
		&e.Actor.ID, &e.Actor.Type, &e.Actor.AlternateID, &e.Actor.DisplayName,
	} {
		*s = cleanText(*s)
	}
	for i := range e.Targets {
		t := &e.Targets[i]
		t.ID, t.Type = cleanText(t.ID), cleanText(t.Type)
		t.AlternateID, t.DisplayName = cleanText(t.AlternateID), cleanText(t.DisplayName)
	}
	for k, v := range e.Debug {
		e.Debug[k] = cleanText(v)
	}
}

func cleanText(s string) string {
	if len(s) <= maxText && plain(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// plain reports whether s is printable ASCII, which nearly all texts are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
