package policy

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// What screens compare: attributes that are always there, or known to be, and literals.
// Each function returns nil for everything else.

// text compiles a text.
func (c *screens) text(n ast.IsNode) func(*sight) string {
	if v, ok := n.(ast.NodeValue); ok {
		if s, ok := v.Value.(types.String); ok {
			return func(*sight) string { return string(s) }
		}
		return nil
	}
	name := nameOf(pathOf(n))
	if name == "" || !c.certain(name) {
		return nil
	}
	switch name {
	case "principal.login":
		return func(s *sight) string { return s.who.caller.Login }
	case "principal.id":
		return func(s *sight) string { return s.who.caller.ID }
	case "principal.client":
		return func(s *sight) string { return s.who.caller.Client }
	case "principal.issuer":
		return func(s *sight) string { return s.who.caller.Issuer }
	case "principal.acr":
		return func(s *sight) string { return s.who.caller.ACR }
	case "principal.device":
		return func(s *sight) string { return s.who.caller.Device }
	case "resource.api":
		return func(s *sight) string { return string(s.set.api.ID) }
	case "context.country":
		return func(s *sight) string { return s.place().country }
	case "context.risk":
		return func(s *sight) string { return s.now().Risk }
	case "context.method":
		return func(s *sight) string { return s.target().method }
	case "context.path":
		return func(s *sight) string { return s.target().path }
	case "context.host":
		return func(s *sight) string { return s.target().host }
	}
	if path := pathOf(n); path[0] == "resource" && ofResource[path[1]] == unknown {
		return func(s *sight) string { return s.src.Param(s.param(path[1])) }
	}
	return nil
}

// list compiles a set of texts.
func (c *screens) list(n ast.IsNode) func(*sight) []string {
	if v, ok := n.(ast.NodeTypeSet); ok {
		literal := make([]string, 0, len(v.Elements))
		for _, e := range v.Elements {
			value, ok := e.(ast.NodeValue)
			if !ok {
				return nil
			}
			s, ok := value.Value.(types.String)
			if !ok {
				return nil
			}
			literal = append(literal, string(s))
		}
		return func(*sight) []string { return literal }
	}
	path := pathOf(n)
	if len(path) == 3 && path[0] == "resource" && path[1] == "headers" {
		return func(s *sight) []string { return s.headers[path[2]] }
	}
	switch nameOf(path) {
	case "principal.scopes":
		return func(s *sight) []string { return s.who.caller.Scopes }
	case "principal.groups":
		return func(s *sight) []string { return s.who.caller.Groups }
	case "principal.roles":
		return func(s *sight) []string { return s.who.caller.Roles }
	case "principal.amr":
		return func(s *sight) []string { return s.who.caller.AMR }
	case "context.zones":
		return func(s *sight) []string { return s.inZones() }
	}
	return nil
}
