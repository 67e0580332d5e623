package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// What a statement names: texts, numbers, entities, and values that are written as calls.

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
