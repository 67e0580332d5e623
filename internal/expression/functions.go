package expression

import (
	"strings"
	"unicode/utf16"
)

type call struct {
	function string
	args     []node
	do       func(env Environment, args []any) (any, error)
}

func (n *call) eval(env Environment) (any, error) {
	args := make([]any, len(n.args))
	for i, a := range n.args {
		v, err := a.eval(env)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return n.do(env, args)
}

// function is one of the closed table. Most is the most arguments; -1: any number.
type function struct {
	least, most int
	do          func(env Environment, args []any) (any, error)
}

func newCall(p *parser, path string, args []node) (node, error) {
	switch path {
	case "getFilteredGroups":
		return newFilteredGroups(p, args)
	case "user.getGroups", "user.isMemberOf":
		return newCriteria(p, path, args)
	}
	f, ok := functions(path)
	if !ok {
		return nil, p.wrong("there is no function " + path)
	}
	if len(args) < f.least || f.most >= 0 && len(args) > f.most {
		return nil, p.wrong(path + " has another number of arguments")
	}
	return &call{path, args, f.do}, nil
}

// functions returns a function by its name.
func functions(path string) (function, bool) {
	switch path {
	case "String.len":
		return function{1, 1, func(_ Environment, a []any) (any, error) {
			s, err := textOf(a[0])
			return units(s), err
		}}, true
	case "String.toUpperCase", "toUpperCase":
		return onText(strings.ToUpper), true
	case "String.toLowerCase", "toLowerCase":
		return onText(strings.ToLower), true
	case "String.removeSpaces":
		return onText(func(s string) string { return strings.ReplaceAll(s, " ", "") }), true
	case "String.startsWith":
		return onTwo(strings.HasPrefix), true
	case "String.stringContains":
		return onTwo(strings.Contains), true
	case "String.append":
		return texts(2, 2, func(a []string) string { return a[0] + a[1] }), true
	case "String.replace":
		return function{3, 3, func(_ Environment, a []any) (any, error) { return replaced(a, -1) }}, true
	case "String.replaceFirst":
		return function{3, 3, func(_ Environment, a []any) (any, error) { return replaced(a, 1) }}, true
	case "String.substringBefore", "substringBefore":
		return texts(2, 2, func(a []string) string {
			before, _, _ := strings.Cut(a[0], a[1])
			return before
		}), true
	case "String.substringAfter", "substringAfter":
		return texts(2, 2, func(a []string) string {
			_, after, _ := strings.Cut(a[0], a[1])
			return after
		}), true
	case "String.join":
		return texts(2, -1, func(a []string) string { return strings.Join(a[1:], a[0]) }), true
	case "String.substring", "substring":
		return function{3, 3, substring}, true
	case "String.stringSwitch":
		return texts(4, -1, stringSwitch), true
	}
	return listFunctions(path)
}

func listFunctions(path string) (function, bool) {
	switch path {
	case "Arrays.contains":
		return function{2, 2, func(_ Environment, a []any) (any, error) {
			for _, e := range listOf(a[0]) {
				if same(e, a[1]) {
					return true, nil
				}
			}
			return false, nil
		}}, true
	case "Arrays.size":
		return function{1, 1, func(_ Environment, a []any) (any, error) { return float64(len(listOf(a[0]))), nil }}, true
	case "Arrays.isEmpty":
		return function{1, 1, func(_ Environment, a []any) (any, error) { return len(listOf(a[0])) == 0, nil }}, true
	case "isMemberOfGroup", "isMemberOfAnyGroup":
		return inGroup(func(g Group, s string) bool { return g.ID == s }), true
	case "isMemberOfGroupName":
		return inGroup(func(g Group, s string) bool { return g.Name == s }), true
	case "isMemberOfGroupNameStartsWith":
		return inGroup(func(g Group, s string) bool { return strings.HasPrefix(g.Name, s) }), true
	case "isMemberOfGroupNameContains":
		return inGroup(func(g Group, s string) bool { return strings.Contains(g.Name, s) }), true
	case "user.getInternalProperty":
		return function{1, 1, func(env Environment, a []any) (any, error) {
			name, err := textOf(a[0])
			if err != nil || name != "id" && name != "status" {
				return nil, wrong("user.getInternalProperty knows id and status")
			}
			v, ok := env.Attribute("user.$" + name)
			if !ok {
				return nil, wrong("there is no user")
			}
			return v, nil
		}}, true
	}
	return arrayFunctions(path)
}

// textOf returns a text; null is an empty one.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", wrong("expected a text, and found %s", kindOf(v))
}

// listOf returns a list: of a text with commas its parts.
func listOf(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		var out []any
		for part := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(part))
		}
		return out
	}
	return nil
}

// texts is a function of texts; null for a null as the first.
func texts(least, most int, f func([]string) string) function {
	return function{least, most, func(_ Environment, args []any) (any, error) {
		in := make([]string, 0, len(args))
		for i, a := range args {
			s, err := textOf(a)
			if err != nil {
				return nil, err
			}
			if a == nil && i == 0 {
				return nil, nil
			}
			in = append(in, s)
		}
		out := f(in)
		if len(out) > maxText {
			return nil, wrong("the text becomes too long")
		}
		return out, nil
	}}
}

func onText(f func(string) string) function {
	return texts(1, 1, func(a []string) string { return f(a[0]) })
}

// onTwo is a predicate of two texts; false for null.
func onTwo(f func(s, part string) bool) function {
	return function{2, 2, func(_ Environment, a []any) (any, error) {
		s, err := textOf(a[0])
		if err != nil {
			return nil, err
		}
		part, err := textOf(a[1])
		return a[0] != nil && a[1] != nil && f(s, part), err
	}}
}

// replaced replaces the first n occurrences, or all when n is negative.
func replaced(args []any, n int) (any, error) {
	var in [3]string
	for i := range in {
		var err error
		if in[i], err = textOf(args[i]); err != nil {
			return nil, err
		}
	}
	switch {
	case args[0] == nil:
		return nil, nil
	case in[1] == "":
		return in[0], nil
	case len(in[0])+len(in[2])*strings.Count(in[0], in[1]) > maxText:
		return nil, wrong("the text becomes too long")
	}
	return strings.Replace(in[0], in[1], in[2], n), nil
}

// stringSwitch returns the value of the first key that is part of the text.
func stringSwitch(a []string) string {
	for i := 2; i+1 < len(a); i += 2 {
		if strings.Contains(a[0], a[i]) {
			return a[i+1]
		}
	}
	return a[1]
}

// substring counts in UTF-16 units; what lies outside is an error.
func substring(_ Environment, args []any) (any, error) {
	if args[0] == nil {
		return nil, nil
	}
	s, err := textOf(args[0])
	if err != nil {
		return nil, err
	}
	from, okFrom := args[1].(float64)
	to, okTo := args[2].(float64)
	u := utf16.Encode([]rune(s))
	if !okFrom || !okTo || from < 0 || to < from || to > float64(len(u)) {
		return nil, wrong("String.substring is asked for what lies outside of the text")
	}
	return string(utf16.Decode(u[int(from):int(to)])), nil
}

// inGroup reports whether the user is in a group that one of the texts names.
func inGroup(match func(Group, string) bool) function {
	return function{1, -1, func(env Environment, args []any) (any, error) {
		groups, err := env.Groups()
		if err != nil {
			return nil, err
		}
		for _, a := range args {
			s, err := textOf(a)
			if err != nil {
				return nil, err
			}
			for _, g := range groups {
				if s != "" && match(g, s) {
					return true, nil
				}
			}
		}
		return false, nil
	}}
}
