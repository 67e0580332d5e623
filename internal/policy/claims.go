package policy

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Claims in screens. A claim may be missing, and of any type: one is screened where it was
// asked for first (principal.claims has tenant && ...), and in comparisons that no type
// makes fail.

// claimOf returns the name of a claim of the caller.
func claimOf(path []string) (name string, ok bool) {
	if len(path) != 3 || path[0] != "principal" || path[1] != "claims" {
		return "", false
	}
	return path[2], true
}

// claimed is how screens remember that a claim is there.
func claimed(name string) string { return "the claim " + name }

// claim compiles a claim that is there.
func (c *screens) claim(n ast.IsNode) func(*sight) types.Value {
	name, ok := claimOf(pathOf(n))
	if !ok || !c.learned(claimed(name)) {
		return nil
	}
	return func(s *sight) types.Value {
		v, _ := s.who.claims.Get(types.String(name))
		return v
	}
}

// hasClaim compiles principal.claims has tenant.
func hasClaim(name string) test {
	return func(s *sight) bool {
		_, ok := s.who.claims.Get(types.String(name))
		return ok
	}
}

// claimIs compiles == between a claim and a text, a literal or another claim.
func (c *screens) claimIs(left, right ast.IsNode) test {
	of, other := c.claim(left), right
	if of == nil {
		of, other = c.claim(right), left
	}
	if of == nil {
		return nil
	}
	if text := c.text(other); text != nil {
		return func(s *sight) bool { v, ok := of(s).(types.String); return ok && string(v) == text(s) }
	}
	if literal, ok := other.(ast.NodeValue); ok {
		return func(s *sight) bool { return literal.Value.Equal(of(s)) }
	}
	if also := c.claim(other); also != nil {
		return func(s *sight) bool { return of(s).Equal(also(s)) }
	}
	return nil
}
