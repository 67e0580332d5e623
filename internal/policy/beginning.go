package policy

import (
	"iter"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Most policies begin with whom they are about, and most callers are somebody else.
// What a statement asks of the caller alone has the same answer for
// all requests with a token, and is found out once for it: a statement whose
// beginning is false cannot apply, and is not asked any more. A beginning that
// cannot be evaluated decides nothing; the statement is asked, and fails, each time.

// beginning returns a statement's head for principals with those of its parts that read
// nothing but the caller, up to the first part that reads something else and can fail.
// Cedar evaluates from left to right and stops at what is false; what stands between the
// parts is true or false and never an error, so the whole is false where one of them is.
// optional are the attributes that not every request has. It returns nil when nothing is
// asked of the caller.
func beginning(t *ast.Policy, optional []string) *cedar.Policy {
	b := &ast.Policy{Effect: t.Effect, Principal: t.Principal, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{}, Position: t.Position}
	c := &screens{optional: optional}
parts:
	for _, cond := range t.Conditions {
		list := []ast.IsNode{cond.Body}
		if cond.Condition == ast.ConditionWhen {
			list = conjuncts(cond.Body)
		}
		for _, n := range list {
			switch {
			case ofCaller(n):
				b.Conditions = append(b.Conditions, ast.ConditionType{Condition: cond.Condition, Body: n})
			case c.flag(n) == nil:
				break parts
			}
			if cond.Condition == ast.ConditionWhen {
				c.learn(n)
			}
		}
	}
	if _, anybody := t.Principal.(ast.ScopeTypeAll); anybody && len(b.Conditions) == 0 {
		return nil
	}
	return cedar.NewPolicyFromAST((*cedarast.Policy)(b))
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

// cleared returns m, or a new one, with room for n and nothing in it.
func (m mask) cleared(n int) mask {
	words := (n + 63) / 64
	if cap(m) < words {
		return make(mask, words)
	}
	m = m[:words]
	clear(m)
	return m
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

// forCaller is the rules of an operation without those that cannot apply to a caller, or
// to the request.
type forCaller struct {
	*ruleList
	not mask // by their numbers
	out mask // by their places in the list
}

// All implements cedar.PolicyIterator.
func (l *forCaller) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i, r := range l.rules {
			if !l.not.has(r.number) && !l.out.has(i) && !yield(l.ids[i], r.policy) {
				return
			}
		}
	}
}

// reads returns what the rules read, and how many they are.
func (l *forCaller) reads() (resource, context uint16, n int) {
	if l.not == nil && l.out == nil {
		return l.uses.resource, l.uses.context, len(l.rules)
	}
	for i, r := range l.rules {
		if !l.not.has(r.number) && !l.out.has(i) {
			resource, context, n = resource|r.uses.resource, context|r.uses.context, n+1
		}
	}
	return resource, context, n
}
