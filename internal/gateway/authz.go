package gateway

import (
	"slices"
	"strings"
)

// authorize asks whether the caller may use the operation: its scopes, and the
// groups of the person it acts for.
type authorize struct {
	scopes [][]string // any of these sets, all scopes of a set; empty = none needed
	groups []string   // any of these; empty = none needed
}

// Do implements step.
func (s *authorize) Do(ex *Exchange) error {
	if !s.scoped(ex) {
		return errMissingScope
	}
	if len(s.groups) > 0 && !s.grouped(ex) {
		return errGroupRequired
	}
	return nil
}

func (s *authorize) scoped(ex *Exchange) bool {
	for _, set := range s.scopes {
		if ex.token.HasScopes(set...) {
			return true
		}
	}
	return len(s.scopes) == 0
}

func (s *authorize) grouped(ex *Exchange) bool {
	for _, g := range s.groups {
		if slices.Contains(ex.token.Groups, g) {
			return true
		}
	}
	return false
}

func (s *authorize) explain(f *facts) (needed, had string) {
	var parts []string
	for _, set := range s.scopes {
		parts = append(parts, strings.Join(set, " "))
	}
	needed = "scopes " + strings.Join(parts, ", or ")
	if len(s.scopes) == 0 {
		needed = "a valid token"
	}
	if len(s.groups) > 0 {
		needed += "; one of the groups " + strings.Join(s.groups, ", ")
	}
	if f.token == nil {
		return needed, ""
	}
	had = "scopes " + strings.Join(f.token.Scopes, " ")
	if len(f.token.Scopes) == 0 {
		had = "no scopes"
	}
	if len(s.groups) > 0 {
		had += "; groups " + strings.Join(f.token.Groups, ", ")
	}
	return needed, had
}
