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

// grouped asks who the person behind the token is: whether they are in one of the
// groups, and have one of the roles.
type grouped struct{ groups, roles []string }

// Do implements step.
func (s *grouped) Do(ex *Exchange) error {
	if len(s.groups) > 0 && !anyOf(ex.token.Groups, s.groups) {
		return errGroupRequired
	}
	if len(s.roles) > 0 && !anyOf(ex.token.Roles, s.roles) {
		return errRoleRequired
	}
	return nil
}

// anyOf reports whether one of the wanted is there.
func anyOf(has, wanted []string) bool {
	for _, w := range wanted {
		if slices.Contains(has, w) {
			return true
		}
	}
	return false
}

func (s *grouped) explain(f *facts) (needed, had string) {
	var need, have []string
	for _, one := range []struct {
		word   string
		wanted []string
		has    func() []string
	}{
		{"groups", s.groups, func() []string { return f.token.Groups }},
		{"roles", s.roles, func() []string { return f.token.Roles }},
	} {
		if len(one.wanted) == 0 {
			continue
		}
		need = append(need, "one of the "+one.word+" "+strings.Join(one.wanted, ", "))
		switch {
		case f.token == nil:
		case len(one.has()) == 0:
			have = append(have, "no "+one.word)
		default:
			have = append(have, one.word+" "+strings.Join(one.has(), ", "))
		}
	}
	return strings.Join(need, ", and "), strings.Join(have, "; ")
}
