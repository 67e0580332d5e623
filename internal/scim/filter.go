package scim

import (
	"errors"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/scimfilter"
)

// Filters (RFC 7644 section 3.4.2.2) and the paths of PATCH (section 3.5.2) have one
// grammar.
func grammar() scimfilter.Grammar {
	return scimfilter.Grammar{Elements: true, Attribute: attributePath}
}

// filter is a parsed filter: a comparison, some of them joined, or a condition on
// elements.
type filter scimfilter.Filter

// inner returns the condition on elements; nil for none.
func (f *filter) inner() *filter { return (*filter)(f.Inner) }

// parseFilter returns the filter, nil for an empty text, or a fault that says where it
// is wrong.
func parseFilter(text string) (*filter, error) {
	f, err := grammar().Parse(text)
	return (*filter)(f), misread(err, invalidFilter)
}

// parsePath returns the path of a PATCH operation.
func parsePath(text string) (scimfilter.Path, error) {
	p, err := grammar().ParsePath(text)
	return p, misread(err, invalidPath)
}

// misread is what is wrong with a filter or a path, as a fault with the scimType.
func misread(err error, scimType string) error {
	var wrong *scimfilter.Error
	if !errors.As(err, &wrong) {
		return err
	}
	return fault.New(fault.Invalid, "%s", wrong).WithReason(scimType)
}

// attributePath reports whether the word is a name, a dotted one, or one behind a URN.
func attributePath(word string) bool {
	if word == "" || len(word) > 255 {
		return false
	}
	for i := range len(word) {
		c := word[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '$'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte("-_:.$", c) < 0) {
			return false
		}
	}
	return true
}
