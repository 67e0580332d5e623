package policy

import (
	"iter"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Most policies begin with whom they are about, and most callers are somebody else.
// What the beginning of a statement asks of the caller alone has the same answer for
// all requests with a token, and is found out once for it: a statement whose
// beginning is false cannot apply, and is not asked any more. A beginning that
// cannot be evaluated decides nothing; the statement is asked, and fails, each time.

// beginning returns a statement's head for principals with as many of its
// conditions, from the first on, as read nothing but the caller. Cedar evaluates
// from left to right and stops at what is false, so the whole is false where this is.
// It returns nil when nothing is asked of the caller first.
func beginning(t *ast.Policy) *cedar.Policy {
	b := &ast.Policy{Effect: t.Effect, Principal: t.Principal, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{}, Position: t.Position}
	for _, cond := range t.Conditions {
		if ofCaller(cond.Body) {
			b.Conditions = append(b.Conditions, cond)
			continue
		}
		if first := leading(cond.Body); first != nil && cond.Condition == ast.ConditionWhen {
			b.Conditions = append(b.Conditions, ast.ConditionType{Condition: ast.ConditionWhen, Body: first})
		}
		break
	}
	if _, anybody := t.Principal.(ast.ScopeTypeAll); anybody && len(b.Conditions) == 0 {
		return nil
	}
	return cedar.NewPolicyFromAST((*cedarast.Policy)(b))
}

// leading returns the longest part before a && that reads nothing but the caller,
// nil when there is none: a && b && c is (a && b) && c.
func leading(n ast.IsNode) ast.IsNode {
	and, ok := n.(ast.NodeTypeAnd)
	switch {
	case !ok:
		return nil
	case !ofCaller(and.Left):
		return leading(and.Left)
	}
	if inner := leading(and.Right); inner != nil { // a && (b && c)
		and.Right = inner
		return and
	}
	return and.Left
}

// ofCaller reports whether an expression reads nothing but the caller.
func ofCaller(n ast.IsNode) bool {
	alone := true
	ast.Inspect(ast.NewNode(n), func(n ast.IsNode) bool {
		if v, ok := n.(ast.NodeTypeVariable); ok && v.Name != "principal" {
			alone = false
		}
		return alone
	})
	return alone
}

// mask is a set of policies, by their numbers.
type mask []uint64

func (m mask) has(i int) bool { return i/64 < len(m) && m[i/64]&(1<<(i%64)) != 0 }

func (m *mask) add(i int) {
	*m = append(*m, make(mask, max(0, i/64+1-len(*m)))...)
	(*m)[i/64] |= 1 << (i % 64)
}

func (m mask) remove(i int) { m[i/64] &^= 1 << (i % 64) }

// notAbout returns the policies that cannot apply to a caller.
func (c *Compiled) notAbout(p *Principal) (m mask) {
	if len(c.beginnings.rules) == 0 {
		return nil
	}
	_, d := cedar.Authorize(c.beginnings, &entities{principal: p}, cedar.Request{Principal: p.entity.UID})
	for _, r := range c.beginnings.rules {
		m.add(r.number)
	}
	for _, holds := range d.Reasons {
		m.remove(c.beginnings.byID(holds.PolicyID).number)
	}
	for _, failed := range d.Errors {
		m.remove(c.beginnings.byID(failed.PolicyID).number)
	}
	return m
}

// forCaller is the rules of an operation without those that cannot apply to a caller.
type forCaller struct {
	*ruleList
	not mask
}

// All implements cedar.PolicyIterator.
func (l *forCaller) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i, r := range l.rules {
			if !l.not.has(r.number) && !yield(l.ids[i], r.policy) {
				return
			}
		}
	}
}

// reads returns what the rules read, and how many they are.
func (l *forCaller) reads() (resource, context uint16, n int) {
	if l.not == nil {
		return l.uses.resource, l.uses.context, len(l.rules)
	}
	for _, r := range l.rules {
		if !l.not.has(r.number) {
			resource, context, n = resource|r.uses.resource, context|r.uses.context, n+1
		}
	}
	return resource, context, n
}
