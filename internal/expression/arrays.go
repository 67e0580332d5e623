package expression

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxList bounds every list that an evaluation makes.
const maxList = 1000

// arrayFunctions are those that make lists and numbers, and those of groups.
func arrayFunctions(path string) (function, bool) {
	switch path {
	case "Arrays.toCsvString":
		return function{1, 1, func(_ Environment, a []any) (any, error) {
			parts := make([]string, 0, 8)
			for _, e := range listOf(a[0]) {
				parts = append(parts, written(e))
			}
			return bounded(strings.Join(parts, ","))
		}}, true
	case "Arrays.flatten":
		return function{1, -1, flatten}, true
	case "Arrays.add":
		return function{2, 2, func(_ Environment, a []any) (any, error) {
			return boundedList(append(slices.Clone(listOf(a[0])), a[1]))
		}}, true
	case "Arrays.remove":
		return function{2, 2, func(_ Environment, a []any) (any, error) {
			return slices.DeleteFunc(slices.Clone(listOf(a[0])), func(e any) bool { return same(e, a[1]) }), nil
		}}, true
	case "Arrays.clear":
		return function{1, 1, func(Environment, []any) (any, error) { return []any{}, nil }}, true
	case "Arrays.get":
		return function{2, 2, func(_ Environment, a []any) (any, error) {
			i, ok := a[1].(float64)
			all := listOf(a[0])
			if !ok || i < 0 || i != math.Trunc(i) || i >= float64(len(all)) {
				return nil, wrong("Arrays.get is asked for what the list does not have")
			}
			return all[int(i)], nil
		}}, true
	case "Convert.toInt":
		return function{1, 1, toInt}, true
	case "Convert.toNum":
		return function{1, 1, func(_ Environment, a []any) (any, error) {
			s, err := textOf(a[0])
			if err != nil {
				return nil, err
			}
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
				return nil, wrong("Convert.toNum needs a text that is a number")
			}
			return f, nil
		}}, true
	}
	return groupFunctions(path)
}

func groupFunctions(path string) (function, bool) {
	switch path {
	case "Groups.startsWith":
		return groupNames(strings.HasPrefix), true
	case "Groups.contains":
		return groupNames(strings.Contains), true
	case "Groups.endsWith":
		return groupNames(strings.HasSuffix), true
	case "hasDirectoryUser", "hasWorkdayUser":
		return function{0, 0, func(Environment, []any) (any, error) { return false, nil }}, true // there are no such directories
	case "findDirectoryUser", "findWorkdayUser":
		return function{0, 0, func(Environment, []any) (any, error) { return nil, nil }}, true
	}
	return countryFunctions(path)
}

func bounded(s string) (any, error) {
	if len(s) > maxText {
		return nil, wrong("the text becomes too long")
	}
	return s, nil
}

func boundedList(l []any) (any, error) {
	if len(l) > maxList {
		return nil, wrong("the list becomes too long")
	}
	return l, nil
}

// flatten makes one list of values and lists.
func flatten(_ Environment, args []any) (any, error) {
	out := []any{}
	for _, a := range args {
		l, ok := a.([]any)
		if !ok {
			l = []any{a}
		}
		for _, e := range l {
			if e == nil {
				return nil, wrong("Arrays.flatten cannot take null")
			}
			out = append(out, e)
		}
	}
	return boundedList(out)
}

// toInt rounds to the nearest number, and halves up, as Java does.
func toInt(_ Environment, a []any) (any, error) {
	f, ok := a[0].(float64)
	if s, isText := a[0].(string); isText {
		n, err := strconv.ParseInt(s, 10, 32)
		f, ok = float64(n), err == nil
	}
	if f = math.Floor(f + 0.5); !ok || f > math.MaxInt32 || f < math.MinInt32 {
		return nil, wrong("Convert.toInt needs a number of 32 bits")
	}
	return f, nil
}

// limitOf is the last argument of a function of groups: 1 to 100.
func limitOf(v any) (int, error) {
	n, ok := v.(float64)
	if !ok || n != math.Trunc(n) || n < 1 || n > 100 {
		return 0, wrong("the limit of groups must be a whole number from 1 to 100")
	}
	return int(n), nil
}

// groupNames returns the names of the user's groups that match; null when none does.
// The first argument says where the groups come from: all are the directory's own.
func groupNames(match func(name, pattern string) bool) function {
	return function{3, 3, func(env Environment, args []any) (any, error) {
		from, err := textOf(args[0])
		if err != nil {
			return nil, err
		}
		pattern, ok := args[1].(string)
		if !ok {
			return nil, wrong("the pattern of groups must be a text")
		}
		limit, err := limitOf(args[2])
		if err != nil || from != "OKTA" {
			return nil, err
		}
		groups, err := env.Groups()
		if err != nil {
			return nil, err
		}
		var out []any
		for _, g := range groups {
			if match(g.Name, pattern) && len(out) < limit {
				out = append(out, g.Name)
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return out, nil
	}}
}

// filteredGroups is getFilteredGroups: of the listed groups those that the user is
// in, each as the inner expression says. That is compiled with the whole.
type filteredGroups struct {
	ids, limit node
	each       *Expression
}

func newFilteredGroups(p *parser, args []node) (node, error) {
	if len(args) != 3 {
		return nil, p.wrong("getFilteredGroups has another number of arguments")
	}
	l, ok := args[1].(*literal)
	text, isText := "", false
	if ok {
		text, isText = l.value.(string)
	}
	if !isText {
		return nil, p.wrong("getFilteredGroups needs a text with an expression")
	}
	each, err := Compile(text)
	if err != nil {
		return nil, err
	}
	return &filteredGroups{ids: args[0], each: each, limit: args[2]}, nil
}

func (n *filteredGroups) eval(env Environment) (any, error) {
	ids, err := n.ids.eval(env)
	if err != nil {
		return nil, err
	}
	list, ok := ids.([]any)
	if !ok {
		return nil, wrong("getFilteredGroups needs a list of ids")
	}
	l, err := n.limit.eval(env)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(l)
	if err != nil {
		return nil, err
	}
	groups, err := env.Groups()
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, g := range groups {
		if !slices.Contains(list, any(g.ID)) {
			continue
		}
		v, err := n.each.Evaluate(oneGroup(g))
		if err != nil {
			return nil, err
		}
		if out = append(out, v); len(out) > limit {
			return nil, wrong("more groups match than the limit allows")
		}
	}
	return out, nil
}

// oneGroup is what the inner expression sees. It implements Environment.
type oneGroup Group

func (g oneGroup) Attribute(path string) (any, bool) {
	name, ok := strings.CutPrefix(path, "group.")
	if !ok {
		return nil, false
	}
	return Group(g).attribute(name)
}

func (g oneGroup) Groups() ([]Group, error) {
	return nil, wrong("an expression about one group sees no others")
}
