package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// checker checks the names and kinds of one statement, and notes what it reads.
type checker struct {
	*names
	path     string // of the setting
	text     string // the whole text
	words    []word // of the statement
	before   int    // bytes of text that stand before what the author wrote
	uses     uses
	work     int
	asked    []string // "context.auth_age": what a has asks for
	problems []Problem
}

// problem reports what is wrong at a word; the zero word is the statement's beginning.
func (c *checker) problem(w word, format string, args ...any) *Problem {
	if w.size == 0 && len(c.words) > 0 {
		w = c.words[0]
	}
	line, column := place(c.text[c.before:], w.at-c.before)
	width := utf8.RuneCountInString(c.text[min(w.at, len(c.text)):min(w.at+w.size, len(c.text))])
	c.problems = append(c.problems, Problem{Path: c.path, Line: line, Column: column, Width: max(width, 1), Message: fmt.Sprintf(format, args...)})
	return &c.problems[len(c.problems)-1]
}

func (c *checker) unknown(w word, name string, known []string, format string, args ...any) {
	p := c.problem(w, format, args...)
	p.Word, p.Known = name, known
}

// boolean checks an expression that must be true or false.
func (c *checker) boolean(n ast.IsNode) {
	before := len(c.problems)
	if k := c.expr(n); k != flag && k != unknown && len(c.problems) == before {
		c.problem(c.wordOf(n), "the condition is %s, not true or false", k)
	}
}

// expr checks an expression and returns what it is.
func (c *checker) expr(n ast.IsNode) kind {
	c.work++
	switch v := n.(type) {
	case ast.NodeValue:
		return c.value(v.Value)
	case ast.NodeTypeVariable:
		c.problem(c.bare(string(v.Name)), "%s stands alone here: name an attribute of it, such as principal.login", v.Name)
		return entity
	case ast.NodeTypeAccess:
		return c.access(v)
	case ast.NodeTypeHas:
		c.has(v)
		return flag
	case ast.NodeTypeEquals:
		c.same(v.Left, v.Right, "compares")
		return flag
	case ast.NodeTypeNotEquals:
		c.same(v.Left, v.Right, "compares")
		return flag
	case ast.NodeTypeIn:
		c.subject(v.Left)
		c.subject(v.Right)
		c.parents(v.Left)
		return flag
	case ast.NodeTypeIs:
		c.subject(v.Left)
		c.entityType(v.EntityType)
		return flag
	case ast.NodeTypeIsIn:
		c.subject(v.Left)
		c.entityType(v.EntityType)
		c.subject(v.Entity)
		c.parents(v.Left)
		return flag
	case ast.NodeTypeHasTag, ast.NodeTypeGetTag:
		c.problem(word{}, "nothing has tags here: use attributes")
		return unknown
	default:
		return c.operator(n)
	}
}

// operator checks what is made of operands of one kind.
func (c *checker) operator(n ast.IsNode) kind {
	switch v := n.(type) {
	case ast.NodeTypeAnd:
		c.operands(flag, "&& joins", v.Left, v.Right)
	case ast.NodeTypeOr:
		c.operands(flag, "|| joins", v.Left, v.Right)
	case ast.NodeTypeNot:
		c.operands(flag, "! turns round", v.Arg)
	case ast.NodeTypeLessThan:
		c.ordered(v.Left, v.Right)
	case ast.NodeTypeLessThanOrEqual:
		c.ordered(v.Left, v.Right)
	case ast.NodeTypeGreaterThan:
		c.ordered(v.Left, v.Right)
	case ast.NodeTypeGreaterThanOrEqual:
		c.ordered(v.Left, v.Right)
	case ast.NodeTypeAdd:
		c.operands(number, "+ adds", v.Left, v.Right)
		return number
	case ast.NodeTypeSub:
		c.operands(number, "- subtracts", v.Left, v.Right)
		return number
	case ast.NodeTypeMult:
		c.operands(number, "* multiplies", v.Left, v.Right)
		return number
	case ast.NodeTypeNegate:
		c.operands(number, "- negates", v.Arg)
		return number
	case ast.NodeTypeLike:
		c.operands(text, "like matches", v.Arg)
	case ast.NodeTypeContains:
		c.operands(set, ".contains asks", v.Left)
		c.member(v.Left, v.Right)
	case ast.NodeTypeContainsAll:
		c.operands(set, ".containsAll compares", v.Left, v.Right)
	case ast.NodeTypeContainsAny:
		c.operands(set, ".containsAny compares", v.Left, v.Right)
	case ast.NodeTypeIsEmpty:
		c.operands(set, ".isEmpty asks", v.Arg)
	default:
		return c.compound(n)
	}
	return flag
}

// compound checks what is made of operands of any kind.
func (c *checker) compound(n ast.IsNode) kind {
	switch v := n.(type) {
	case ast.NodeTypeIfThenElse:
		c.boolean(v.If)
		a, b := c.expr(v.Then), c.expr(v.Else)
		if a == b {
			return a
		}
	case ast.NodeTypeSet:
		for _, e := range v.Elements {
			c.expr(e)
		}
		return set
	case ast.NodeTypeRecord:
		for _, e := range v.Elements {
			c.expr(e.Value)
		}
		return record
	case ast.NodeTypeExtensionCall:
		return c.extension(v)
	default:
		c.problem(word{}, "this is not supported here")
	}
	return unknown
}

// operands checks that each operand is of the kind.
func (c *checker) operands(want kind, what string, list ...ast.IsNode) {
	for _, n := range list {
		before := len(c.problems)
		if k := c.expr(n); k != want && k != unknown && len(c.problems) == before {
			c.problem(c.wordOf(n), "%s %s, and this is %s", what, want, k)
		}
	}
}

// ordered checks < and the like: numbers, or values of extensions.
func (c *checker) ordered(left, right ast.IsNode) {
	var kinds [2]kind
	for i, n := range []ast.IsNode{left, right} {
		if kinds[i] = c.expr(n); kinds[i] != number && kinds[i] != moment && kinds[i] != unknown {
			c.problem(c.wordOf(n), "only numbers and times have an order, and this is %s", kinds[i])
			return
		}
	}
	if kinds[0] != kinds[1] && kinds[0] != unknown && kinds[1] != unknown {
		c.problem(c.wordOf(left), "this compares %s with %s", kinds[0], kinds[1])
	}
}

// same checks == and !=: values of different kinds are never equal, which would
// make a policy that never applies.
func (c *checker) same(left, right ast.IsNode, what string) {
	if variable(left) || variable(right) {
		c.subject(left)
		c.subject(right)
		return
	}
	a, b := c.expr(left), c.expr(right)
	if a == b || a == unknown || b == unknown {
		return
	}
	help := ""
	if a == set && b == text || a == text && b == set {
		help = ": write .contains(...) to ask whether the text is one of them"
	}
	c.problem(c.wordOf(left), "this %s %s with %s, which are never equal%s", what, a, b, help)
}

// member checks what a set is asked for.
func (c *checker) member(of, n ast.IsNode) {
	k := c.expr(n)
	path := pathOf(of)
	if k != text && k != unknown && path != nil {
		c.problem(c.wordOf(n), "the members of %s are texts, and this is %s", strings.Join(path, "."), k)
	}
	v, ok := n.(ast.NodeValue)
	if !ok || len(path) != 2 || path[0] != "context" || path[1] != "zones" {
		return
	}
	if s, ok := v.Value.(types.String); ok && !slices.Contains(c.zones, string(s)) {
		w := literal(c.words, string(s))
		c.unknown(w, string(s), c.zones, "there is no zone of this name")
	}
}

// subject checks what stands on either side of == between entities, of in and of is.
func (c *checker) subject(n ast.IsNode) {
	c.work++
	switch v := n.(type) {
	case ast.NodeTypeVariable:
		if v.Name == "context" {
			c.problem(word{}, "context stands alone here: name an attribute of it, such as context.hour")
		}
	case ast.NodeValue:
		if c.value(v.Value) != entity {
			c.problem(c.wordOf(n), `only entities can stand here, such as Group::"staff": to compare a text, name an attribute such as principal.login`)
		}
	case ast.NodeTypeSet:
		for _, e := range v.Elements {
			c.subject(e)
		}
	default:
		if k := c.expr(n); k != entity {
			c.problem(c.wordOf(n), `only entities can stand here, such as Group::"staff", and this is %s`, k)
		}
	}
}

// parents notes that the caller's groups are wanted as entities.
func (c *checker) parents(left ast.IsNode) {
	if v, ok := left.(ast.NodeTypeVariable); ok && v.Name == "principal" {
		c.uses.parents = true
	}
}

func variable(n ast.IsNode) bool {
	_, ok := n.(ast.NodeTypeVariable)
	return ok
}

// pathOf returns variable and names of an attribute access, nil for anything else.
func pathOf(n ast.IsNode) []string {
	switch v := n.(type) {
	case ast.NodeTypeVariable:
		return []string{string(v.Name)}
	case ast.NodeTypeAccess:
		if p := pathOf(v.Arg); p != nil {
			return append(p, string(v.Value))
		}
	}
	return nil
}

// bare finds a variable that no attribute of follows.
func (c *checker) bare(name string) word {
	for i, w := range c.words {
		follows := i+1 < len(c.words) && slices.Contains([]string{".", "[", "has", ",", ":", "in", "is"}, c.words[i+1].text)
		if w.text == name && !w.quoted && !follows && (i == 0 || c.words[i-1].text != ".") && (name != "resource" || i > 5) {
			return w
		}
	}
	return word{}
}

// wordOf finds where an expression stands, as far as that can be told.
func (c *checker) wordOf(n ast.IsNode) word {
	if p := pathOf(n); len(p) > 0 {
		w := attribute(c.words, p...)
		return w
	}
	if v, ok := n.(ast.NodeValue); ok {
		if s, ok := v.Value.(types.String); ok {
			w := literal(c.words, string(s))
			return w
		}
	}
	return word{}
}

// access checks an attribute that is read.
func (c *checker) access(n ast.NodeTypeAccess) kind {
	path := pathOf(n)
	if path == nil {
		if k := c.expr(n.Arg); k != record && k != unknown {
			c.problem(word{}, "%s has no attributes: only principal, resource and context have", k)
		}
		return unknown
	}
	k, ok := c.attribute(path)
	if !ok {
		return unknown
	}
	if len(path) == 2 && k == record {
		c.problem(c.wordOf(n), "name what you want of %s.%s, such as %s.%s[\"name\"]", path[0], path[1], path[0], path[1])
		return unknown
	}
	c.uses.note(path)
	return k
}

// attribute checks the names of a path and returns what it leads to.
func (c *checker) attribute(path []string) (kind, bool) {
	w := attribute(c.words, path...)
	known := c.attributes(path[0])
	if known == nil {
		c.problem(w, "%s has no attributes: context.method, context.path and context.host say what was asked for", path[0])
		return unknown, false
	}
	k, ok := known[path[1]]
	if !ok {
		c.unknown(w, path[1], slices.Sorted(maps.Keys(known)), "%s has no attribute %q", path[0], path[1])
		return unknown, false
	}
	if path[0] == "resource" && ofResource[path[1]] != unknown && c.params[path[1]] > 0 {
		c.problem(w, "resource.%s is the name of a path parameter as well: rename the parameter", path[1])
		return unknown, false
	}
	switch {
	case len(path) == 2:
		return k, true
	case k != record:
		c.problem(w, "%s.%s is %s and has no attributes", path[0], path[1], k)
		return unknown, false
	case path[1] == "claims":
		return unknown, true
	}
	return c.header(path, w)
}

// header checks the name of a header: resource.headers["x-role"].
func (c *checker) header(path []string, w word) (kind, bool) {
	name := path[2]
	switch {
	case len(path) > 3:
		c.problem(w, "a header is a set of texts and has no attributes")
	case !headerName(name):
		c.problem(w, "a header is named in lower-case letters, digits and hyphens, such as resource.headers[\"x-role\"]")
	case slices.Contains(notToRead, name):
		c.problem(w, "the header %s carries credentials, which policies do not see", name)
	default:
		return set, true
	}
	return unknown, false
}

// has checks a question for an attribute, and remembers that it was asked.
func (c *checker) has(n ast.NodeTypeHas) {
	p := pathOf(n.Arg)
	if p == nil {
		c.expr(n.Arg)
		return
	}
	p = append(p, string(n.Value))
	if len(p) > 1 {
		if _, ok := c.attribute(p); ok {
			c.asked = append(c.asked, strings.Join(p, "."))
			if len(p) > 2 || c.attributes(p[0])[p[1]] != record {
				c.uses.note(p)
			}
		}
	}
}

// guards refuses attributes that not every request has, when nothing asks whether
// this one does: the statement would fail, and deny, where its author did not mean it.
func (c *checker) guards() {
	for _, p := range c.uses.shown {
		name := strings.Join(p, ".")
		if slices.Contains(c.optional, name) && !slices.Contains(c.asked, name) {
			w := attribute(c.words, p...)
			c.problem(w, "not every request has %s: write %s has %s && ... before it is used", name, p[0], p[1])
		}
	}
}

// value checks a literal.
func (c *checker) value(v types.Value) kind {
	switch v := v.(type) {
	case types.String:
		return text
	case types.Long:
		return number
	case types.Boolean:
		return flag
	case types.Set:
		for e := range v.All() {
			c.value(e)
		}
		return set
	case types.Record:
		return record
	case types.EntityUID:
		c.entity(v)
		return entity
	case types.IPAddr:
		return address
	default:
		return unknown
	}
}

// entity checks that what is named exists, as far as a snapshot knows: users, apps
// and groups are their issuers' business.
func (c *checker) entity(e types.EntityUID) {
	w := literal(c.words, string(e.ID))
	c.entityType(e.Type)
	switch e.Type {
	case typeAction:
		if !slices.Contains(c.actions, string(e.ID)) {
			c.unknown(w, string(e.ID), c.actions, "there is no operation of this name; it is METHOD PATH with the base path")
		}
	case typeAPI:
		if !slices.Contains(c.apis, string(e.ID)) {
			c.unknown(w, string(e.ID), c.apis, "there is no API of this name")
		}
	}
}

func (c *checker) entityType(t types.EntityType) {
	known := []string{typeUser, typeApp, typeAnonymous, typeGroup, typeAction, typeAPI}
	if slices.Contains(known, string(t)) {
		return
	}
	var at word
	for _, w := range c.words {
		if w.text == string(t) {
			at = w
			break
		}
	}
	c.unknown(at, string(t), known, "there are no entities of the type %s", t)
}

// extension checks a call such as ip("10.0.0.0/8"); a literal that means nothing is
// found out now and not with the first request.
func (c *checker) extension(n ast.NodeTypeExtensionCall) kind {
	constant := len(n.Args) == 1
	for _, a := range n.Args {
		c.expr(a)
		_, literal := a.(ast.NodeValue)
		constant = constant && literal
	}
	switch n.Name {
	case "ip", "decimal", "datetime", "duration":
		if !constant {
			c.problem(word{}, "%s(...) takes a literal text", n.Name)
			break
		}
		if _, err := eval.Eval(n, eval.Env{}); err != nil {
			c.problem(c.wordOf(n.Args[0]), "this is no %s that Cedar reads", n.Name)
		}
		switch n.Name {
		case "ip":
			return address
		case "datetime":
			return moment
		}
	case "isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange":
		if k := c.kindOnly(n.Args[0]); k != address && k != unknown {
			c.problem(c.wordOf(n.Args[0]), "%s asks an address, and this is %s", n.Name, k)
		}
		return flag
	}
	return unknown
}

// kindOnly returns what an expression is that has been checked.
func (c *checker) kindOnly(n ast.IsNode) kind {
	twin := *c
	twin.problems = nil
	return twin.expr(n)
}
