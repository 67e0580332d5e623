package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
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

func variable(n ast.IsNode) bool {
	_, ok := n.(ast.NodeTypeVariable)
	return ok
}

// kindOnly returns what an expression is that has been checked.
func (c *checker) kindOnly(n ast.IsNode) kind {
	twin := *c
	twin.problems = nil
	return twin.expr(n)
}
