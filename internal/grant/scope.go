package grant

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// narrow is phase 5: it turns the scope parameter into the list of scopes that
// the request is about, all of which exist on the server and may be had with the
// grant type, of which admit knows. Which of them are granted is decided by the access rules.
func narrow(x *exchange, admit func(*access.Scope) error) error {
	names, err := admitScopes(x.target, x.form.Get("scope"), admit)
	x.scopes = names
	return err
}

// admitScopes is narrow without a request.
func admitScopes(t *Target, asked string, admit func(*access.Scope) error) ([]string, error) {
	if len(asked) > maxScope {
		return nil, Refuse("invalid_scope", nil)
	}
	names, err := splitScopes(asked)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if names = t.Server.DefaultScopes(); len(names) == 0 {
			return nil, Refuse("no_default_scopes", nil)
		}
	}
	for _, n := range names {
		scope, ok := t.Server.Scope(n)
		if !ok {
			return nil, Refuse("no_matching_scope", nil)
		}
		if err := admit(scope); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// splitScopes reads a space-separated list (RFC 6749 section 3.3), each name once
// and in the order in which they were asked for.
func splitScopes(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := make([]string, 0, 1+strings.Count(list, " "))
	for list != "" {
		var n string
		n, list, _ = strings.Cut(list, " ")
		if n == "" || slices.Contains(names, n) {
			continue
		}
		if !access.ValidScopeName(n) {
			return nil, Refuse("invalid_scope", nil)
		}
		names = append(names, n)
		if len(names) > maxScopes {
			return nil, Refuse("invalid_scope", nil)
		}
	}
	return names, nil
}

// maxScopes bounds the scopes of one request.
const maxScopes = 200
