package gateway

import (
	"slices"
	"strings"
)

// authorize asks whether the token may be used for the operation: its scopes.
type authorize struct {
	scopes [][]string // any of these sets, all scopes of a set; never empty
}

// Do implements step.
func (s *authorize) Do(ex *Exchange) error {
	for _, set := range s.scopes {
		if ex.token.HasScopes(set...) {
			return nil
		}
	}
	return errMissingScope
}

func (s *authorize) explain(f *facts) (needed, had string) {
	parts := make([]string, len(s.scopes))
	for i, set := range s.scopes {
		parts[i] = strings.Join(set, " ")
	}
	needed = "scopes " + strings.Join(parts, ", or ")
	switch {
	case f.token == nil:
	case len(f.token.Scopes) == 0:
		had = "no scopes"
	default:
		had = "scopes " + strings.Join(f.token.Scopes, " ")
	}
	return needed, had
}

// grouped asks whether the person that the token acts for is in one of the groups.
type grouped struct{ groups []string }

// Do implements step.
func (s *grouped) Do(ex *Exchange) error {
	for _, g := range s.groups {
		if slices.Contains(ex.token.Groups, g) {
			return nil
		}
	}
	return errGroupRequired
}

func (s *grouped) explain(f *facts) (needed, had string) {
	needed = "one of the groups " + strings.Join(s.groups, ", ")
	switch {
	case f.token == nil:
	case len(f.token.Groups) == 0:
		had = "no groups"
	default:
		had = "groups " + strings.Join(f.token.Groups, ", ")
	}
	return needed, had
}
