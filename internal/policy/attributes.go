package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// What a statement reads of the caller, the resource and the context: which attributes
// there are, and which of them not every request has.

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
		// What is known of an API that is named is known with a request only, and not here.
		if k := c.expr(n.Arg); k != record && k != unknown {
			c.problem(c.wordOf(n.Arg), "%s has no attributes: only principal, resource and context have", k)
		}
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

// parents notes that the caller's groups are wanted as entities.
func (c *checker) parents(left ast.IsNode) {
	if v, ok := left.(ast.NodeTypeVariable); ok && v.Name == "principal" {
		c.uses.parents = true
	}
}
