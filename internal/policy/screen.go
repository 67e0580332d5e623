package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Most statements are not about the request at hand, and what says so is simple: an
// hour, an address, a group. Such parts are screened here before Cedar is asked, at a
// hundredth of the price. A screen holds only what cannot fail, in Cedar's own meaning of
// it; a statement with a part that is false does not apply, whatever Cedar would say of the
// parts behind it, since it would not come to them. What passes its screen is Cedar's to
// decide: a screen never denies. Everything that a screen does not know, it leaves alone.

// test is a part of a statement: true or false of a request, and never an error.
type test func(*sight) bool

// sight is a request as screens look at it: asked of its source once, and only for what
// some screen wants.
type sight struct {
	src     Source
	set     *Set
	who     *Principal
	headers map[string][]string // members of those that the rules name

	asked   uint16 // bits of uses.context that are there
	moment  Circumstances
	zones   []string
	country string
	asn     uint32

	method, path, host string
}

// has reports whether what the bit stands for was asked for before, and notes that it is.
func (s *sight) has(bit uint16) bool {
	before := s.asked&bit != 0
	s.asked |= bit
	return before
}

func (s *sight) now() *Circumstances {
	if !s.has(readsMoment) {
		s.moment = s.src.Circumstances()
		s.moment.Now = s.moment.Now.UTC()
	}
	return &s.moment
}

func (s *sight) inZones() []string {
	if !s.has(readsZones) {
		s.zones = s.src.Place(true, false).Zones
	}
	return s.zones
}

func (s *sight) place() *sight {
	if !s.has(readsCountry) {
		p := s.src.Place(false, true)
		s.country, s.asn = p.Country, p.ASN
	}
	return s
}

func (s *sight) target() *sight {
	if !s.has(readsTarget) {
		s.method, s.path, s.host = s.src.Target()
	}
	return s
}

// signInAge returns how old the sign-in is, and whether that is known.
func (s *sight) signInAge() (seconds int64, known bool) {
	c := s.now()
	return c.Now.Unix() - c.SignIn, c.SignIn > 0 && c.SignIn <= c.Now.Unix()
}

// param returns the place of a path's parameter, -1 when the operation has none such.
func (s *sight) param(name string) int { return slices.Index(s.set.params, name) }

// screens compiles statements. there holds what is known to be there: attributes that not
// every request has.
type screens struct {
	optional []string
	there    []string
}

// screenOf returns the parts of a statement, from the first on, that can be screened: the
// statement does not apply where one of them is false. whole says that they are all of it.
func screenOf(t *ast.Policy, optional []string) (parts []test, whole bool) {
	c := &screens{optional: optional}
	for _, cond := range t.Conditions {
		if cond.Condition == ast.ConditionUnless {
			part := c.flag(cond.Body)
			if part == nil {
				return parts, false
			}
			parts = append(parts, func(s *sight) bool { return !part(s) })
			continue
		}
		for _, n := range conjuncts(cond.Body) {
			part := c.flag(n)
			if part == nil {
				return parts, false
			}
			parts = append(parts, part)
			c.learn(n)
		}
	}
	return parts, true
}

// conjuncts returns the parts of a && b && c, in order.
func conjuncts(n ast.IsNode) []ast.IsNode {
	if and, ok := n.(ast.NodeTypeAnd); ok {
		return append(conjuncts(and.Left), conjuncts(and.Right)...)
	}
	return []ast.IsNode{n}
}

// learn remembers what is there where the part is true.
func (c *screens) learn(n ast.IsNode) {
	for _, part := range conjuncts(n) {
		if has, ok := part.(ast.NodeTypeHas); ok {
			path := append(pathOf(has.Arg), string(has.Value))
			if name := nameOf(path); name != "" {
				c.there = append(c.there, name)
			}
			if name, ok := claimOf(path); ok {
				c.there = append(c.there, claimed(name))
			}
		}
	}
}

// nameOf returns "context.hour" of the path of an attribute of a variable, else "".
func nameOf(path []string) string {
	if len(path) != 2 {
		return ""
	}
	return path[0] + "." + path[1]
}

// certain reports whether an attribute is there in every request that comes so far.
func (c *screens) certain(name string) bool {
	return !slices.Contains(c.optional, name) || c.learned(name)
}

func (c *screens) learned(name string) bool { return slices.Contains(c.there, name) }

// flag compiles an expression that is true or false; nil: it is not for a screen.
func (c *screens) flag(n ast.IsNode) test {
	switch v := n.(type) {
	case ast.NodeValue:
		if b, ok := v.Value.(types.Boolean); ok {
			return func(*sight) bool { return bool(b) }
		}
	case ast.NodeTypeAnd:
		return c.and(v)
	case ast.NodeTypeOr:
		if left, right := c.flag(v.Left), c.flag(v.Right); left != nil && right != nil {
			return func(s *sight) bool { return left(s) || right(s) }
		}
	case ast.NodeTypeNot:
		if arg := c.flag(v.Arg); arg != nil {
			return func(s *sight) bool { return !arg(s) }
		}
	case ast.NodeTypeHas:
		return c.has(v)
	case ast.NodeTypeEquals:
		return c.same(v.Left, v.Right)
	case ast.NodeTypeNotEquals:
		if same := c.same(v.Left, v.Right); same != nil {
			return func(s *sight) bool { return !same(s) }
		}
	case ast.NodeTypeLike:
		if arg := c.text(v.Arg); arg != nil {
			return func(s *sight) bool { return v.Value.Match(types.String(arg(s))) }
		}
	case ast.NodeTypeIs:
		if of, ok := v.Left.(ast.NodeTypeVariable); ok && of.Name == "principal" {
			return func(s *sight) bool { return s.who.entity.UID.Type == v.EntityType }
		}
	case ast.NodeTypeIn:
		return c.member(v)
	case ast.NodeTypeIfThenElse:
		return c.choice(v)
	default:
		return c.comparison(n)
	}
	return nil
}

// and compiles a && b: what a asks for is there in b.
func (c *screens) and(v ast.NodeTypeAnd) test {
	left := c.flag(v.Left)
	if left == nil {
		return nil
	}
	before := c.there
	c.learn(v.Left)
	right := c.flag(v.Right)
	c.there = before[:len(before):len(before)]
	if right == nil {
		return nil
	}
	return func(s *sight) bool { return left(s) && right(s) }
}

// choice compiles if a then b else c: what a asks for is there in b.
func (c *screens) choice(v ast.NodeTypeIfThenElse) test {
	either, before := c.flag(v.If), c.there
	c.learn(v.If)
	then := c.flag(v.Then)
	c.there = before[:len(before):len(before)]
	otherwise := c.flag(v.Else)
	if either == nil || then == nil || otherwise == nil {
		return nil
	}
	return func(s *sight) bool {
		if either(s) {
			return then(s)
		}
		return otherwise(s)
	}
}

// has compiles a question for an attribute.
func (c *screens) has(v ast.NodeTypeHas) test {
	path := append(pathOf(v.Arg), string(v.Value))
	if name, ok := claimOf(path); ok {
		return hasClaim(name)
	}
	switch name := nameOf(path); {
	case name == "context.auth_age":
		return func(s *sight) bool { _, known := s.signInAge(); return known }
	case name == "context.risk":
		return func(s *sight) bool { return s.now().Risk != "" }
	case slices.Contains(c.optional, name): // a parameter that not every operation has
		return func(s *sight) bool { return s.param(string(v.Value)) >= 0 }
	}
	return nil
}

// comparison compiles what compares numbers and times, and what asks sets and addresses.
func (c *screens) comparison(n ast.IsNode) test {
	switch v := n.(type) {
	case ast.NodeTypeLessThan:
		return c.ordered(v.Left, v.Right, func(a, b int64) bool { return a < b })
	case ast.NodeTypeLessThanOrEqual:
		return c.ordered(v.Left, v.Right, func(a, b int64) bool { return a <= b })
	case ast.NodeTypeGreaterThan:
		return c.ordered(v.Left, v.Right, func(a, b int64) bool { return a > b })
	case ast.NodeTypeGreaterThanOrEqual:
		return c.ordered(v.Left, v.Right, func(a, b int64) bool { return a >= b })
	case ast.NodeTypeContains:
		of, one, claim := c.list(v.Left), c.text(v.Right), c.claim(v.Right)
		switch {
		case of != nil && one != nil:
			return func(s *sight) bool { return slices.Contains(of(s), one(s)) }
		case of != nil && claim != nil:
			return func(s *sight) bool { v, ok := claim(s).(types.String); return ok && slices.Contains(of(s), string(v)) }
		}
	case ast.NodeTypeContainsAll:
		if of, all := c.list(v.Left), c.list(v.Right); of != nil && all != nil {
			return func(s *sight) bool {
				have := of(s)
				return !slices.ContainsFunc(all(s), func(one string) bool { return !slices.Contains(have, one) })
			}
		}
	case ast.NodeTypeContainsAny:
		if of, some := c.list(v.Left), c.list(v.Right); of != nil && some != nil {
			return func(s *sight) bool {
				have := of(s)
				return slices.ContainsFunc(some(s), func(one string) bool { return slices.Contains(have, one) })
			}
		}
	case ast.NodeTypeIsEmpty:
		if of := c.list(v.Arg); of != nil {
			return func(s *sight) bool { return len(of(s)) == 0 }
		}
	case ast.NodeTypeExtensionCall:
		return c.network(v)
	}
	return nil
}

// same compiles == between texts, claims, addresses, numbers or times.
func (c *screens) same(left, right ast.IsNode) test {
	if a, b := c.text(left), c.text(right); a != nil && b != nil {
		return func(s *sight) bool { return a(s) == b(s) }
	}
	if claim := c.claimIs(left, right); claim != nil {
		return claim
	}
	if a, b := addressOf(left), addressOf(right); a != nil && b != nil {
		return func(s *sight) bool { return a(s).Equal(b(s)) }
	}
	return c.ordered(left, right, func(a, b int64) bool { return a == b })
}

func (c *screens) ordered(left, right ast.IsNode, holds func(a, b int64) bool) test {
	a, b := c.number(left), c.number(right)
	if a.value == nil || b.value == nil || a.unit != b.unit {
		return nil
	}
	return func(s *sight) bool { return holds(a.value(s), b.value(s)) }
}

// member compiles principal in Group::"staff".
func (c *screens) member(v ast.NodeTypeIn) test {
	who, ok := v.Left.(ast.NodeTypeVariable)
	of, literal := v.Right.(ast.NodeValue)
	if !ok || !literal || who.Name != "principal" {
		return nil
	}
	e, ok := of.Value.(types.EntityUID)
	if !ok {
		return nil
	}
	return func(s *sight) bool {
		return s.who.entity.UID == e || e.Type == typeGroup && slices.Contains(s.who.caller.Groups, string(e.ID))
	}
}

// screen leaves out the rules that cannot apply to the request, and reports whether the
// condition, if there is one, was found to hold: then it is out as well. out is an empty
// mask with room for all.
func (l *forCaller) screen(s *sight, condition *Rule, out mask) (held bool) {
	for i, r := range l.rules {
		if l.not.has(r.number) {
			continue
		}
		applies := !slices.ContainsFunc(r.screen, func(part test) bool { return !part(s) })
		switch {
		case r == condition:
			if held = applies && r.whole; held {
				out.add(i)
			}
		case !applies:
			out.add(i)
		}
	}
	l.out = out
	return held
}
