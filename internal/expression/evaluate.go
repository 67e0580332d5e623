package expression

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"gatehouse/internal/fault"
)

// Environment is what an expression can see.
type Environment interface {
	// Attribute returns the value of a dotted path such as "user.department": a
	// string, float64, bool, list of these, or nil when it is not set. It reports
	// false for what does not exist.
	Attribute(path string) (any, bool)
	// Groups returns the ids and names of the groups that the user is in.
	Groups() ([]Group, error)
}

// Group is a group that the user is in.
type Group struct {
	ID, Name          string
	Type, Description string // as in Okta's API: OKTA_GROUP, BUILT_IN
}

// maxText bounds every text that an evaluation makes.
const maxText = 64 << 10

// Evaluate returns the value of the expression: a string, float64, bool, list of
// these, or nil. The error is fault.Invalid when the expression does not fit what
// it is evaluated on.
func (e *Expression) Evaluate(env Environment) (any, error) { return e.root.eval(env) }

// Bool is Evaluate of a condition.
func (e *Expression) Bool(env Environment) (bool, error) {
	v, err := e.root.eval(env)
	if err != nil {
		return false, err
	}
	return truth(v)
}

type node interface {
	eval(env Environment) (any, error)
}

func wrong(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

// truth returns a boolean, and refuses to guess what else may mean.
func truth(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, wrong("a condition must be true or false, and is %s", kindOf(v))
	}
	return b, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case Group:
		return "a group"
	}
	return "a list"
}

type literal struct{ value any }

func (n *literal) eval(Environment) (any, error) { return n.value, nil }

type attribute struct{ path string }

func (n *attribute) eval(env Environment) (any, error) {
	v, ok := env.Attribute(n.path)
	if !ok {
		return nil, wrong("there is no attribute %s", n.path)
	}
	return plain(v), nil
}

// plain returns a value as this package has them: numbers are float64.
func plain(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case interface{ Float64() (float64, error) }:
		if f, err := v.Float64(); err == nil {
			return f
		}
		return nil
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

type list struct{ items []node }

func (n *list) eval(env Environment) (any, error) {
	out := make([]any, len(n.items))
	for i, item := range n.items {
		v, err := item.eval(env)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

type choice struct{ cond, yes, no node }

func (n *choice) eval(env Environment) (any, error) {
	v, err := n.cond.eval(env)
	if err != nil {
		return nil, err
	}
	ok, err := truth(v)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return n.yes.eval(env)
	}
	return n.no.eval(env)
}

// elvis is the left side unless that is null or an empty text.
type elvis struct{ left, right node }

func (n *elvis) eval(env Environment) (any, error) {
	v, err := n.left.eval(env)
	if err != nil || v != nil && v != "" {
		return v, err
	}
	return n.right.eval(env)
}

type unary struct {
	op string
	of node
}

func (n *unary) eval(env Environment) (any, error) {
	v, err := n.of.eval(env)
	if err != nil {
		return nil, err
	}
	if n.op == "!" {
		b, err := truth(v)
		return !b, err
	}
	f, ok := v.(float64)
	if !ok {
		return nil, wrong("- needs a number, and has %s", kindOf(v))
	}
	return -f, nil
}

type binary struct {
	op          string
	left, right node
	pattern     *regexp.Regexp // of matches
}

func newBinary(p *parser, op string, left, right node) (node, error) {
	n := &binary{op: op, left: left, right: right}
	if op != "matches" {
		return n, nil
	}
	var pattern string
	l, ok := right.(*literal)
	if ok {
		pattern, ok = l.value.(string)
	}
	if !ok {
		return nil, p.wrong("matches needs a text with a pattern")
	}
	var err error
	if n.pattern, err = regexp.Compile(`^(?:` + pattern + `)$`); err != nil {
		return nil, p.wrong("the pattern is not a regular expression (RE2)")
	}
	return n, nil
}

func (n *binary) eval(env Environment) (any, error) {
	a, err := n.left.eval(env)
	if err != nil {
		return nil, err
	}
	if n.op == "&&" || n.op == "||" {
		ok, err := truth(a)
		if err != nil || ok == (n.op == "||") {
			return ok, err
		}
		b, err := n.right.eval(env)
		if err != nil {
			return nil, err
		}
		return truth(b)
	}
	b, err := n.right.eval(env)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "==":
		return same(a, b), nil
	case "!=":
		return !same(a, b), nil
	case "matches":
		s, ok := a.(string)
		return ok && n.pattern.MatchString(s), nil
	case "+":
		return add(a, b)
	case "-":
		x, okX := a.(float64)
		y, okY := b.(float64)
		if !okX || !okY {
			return nil, wrong("- needs two numbers")
		}
		return x - y, nil
	}
	return less(n.op, a, b)
}

func same(a, b any) bool {
	x, okX := a.([]any)
	y, okY := b.([]any)
	if !okX || !okY {
		return !okX && !okY && a == b
	}
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !same(x[i], y[i]) {
			return false
		}
	}
	return true
}

// add adds numbers and joins texts. What is null adds nothing.
func add(a, b any) (any, error) {
	x, okX := a.(float64)
	y, okY := b.(float64)
	if okX && okY {
		return x + y, nil
	}
	s := written(a) + written(b)
	if len(s) > maxText {
		return nil, wrong("the text becomes too long")
	}
	return s, nil
}

func written(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case Group:
		return v.ID
	}
	return fmt.Sprint(v)
}

// less compares numbers or texts; with null nothing is less or more.
func less(op string, a, b any) (any, error) {
	if a == nil || b == nil {
		return false, nil
	}
	c := 0
	x, okX := a.(float64)
	y, okY := b.(float64)
	s, okS := a.(string)
	t, okT := b.(string)
	switch {
	case okX && okY && x < y:
		c = -1
	case okX && okY && x > y:
		c = 1
	case okX && okY:
	case okS && okT:
		c = strings.Compare(s, t)
	default:
		return nil, wrong("%s cannot compare %s with %s", op, kindOf(a), kindOf(b))
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// units is the length of a text as Okta counts it, in UTF-16 units.
func units(s string) float64 { return float64(len(utf16.Encode([]rune(s)))) }
