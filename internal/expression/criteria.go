package expression

import (
	"encoding/json"
	"slices"
	"strings"
)

// The functions that choose among the user's groups by criteria:
// user.getGroups({'group.type': {'OKTA_GROUP'}}, {'group.profile.name': 'West'}) and
// user.isMemberOf. A criterion is a map, which is nothing else anywhere; its keys are
// written out, its values are expressions. A list means any of it, several maps mean
// all of them.

// mapping is { key: value, … }.
type mapping struct {
	keys   []string
	values []node
}

// eval is not reached: a map that is not a criterion does not compile.
func (*mapping) eval(Environment) (any, error) { return nil, wrong("a map is no value") }

// mapping reads a map whose first key has been read.
func (p *parser) mapping(key node, depth int) (node, error) {
	m := &mapping{}
	p.maps++
	for {
		k, ok := keyOf(key)
		if !ok || slices.Contains(m.keys, k) {
			return nil, p.wrong("a map has texts as keys, each once")
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		v, err := p.choice(depth + 1)
		if err != nil {
			return nil, err
		}
		m.keys, m.values = append(m.keys, k), append(m.values, v)
		if ok, err := p.take("}"); err != nil || ok {
			return m, err
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
		if key, err = p.unary(depth + 1); err != nil {
			return nil, err
		}
	}
}

func keyOf(n node) (string, bool) {
	switch n := n.(type) {
	case *literal:
		s, ok := n.value.(string)
		return s, ok
	case *attribute:
		return n.path, true
	}
	return "", false
}

// criterion is one map of a call, compiled.
type criterion struct {
	of    func(Group) string
	exact bool
	value node
}

// criteria is user.getGroups and user.isMemberOf.
type criteria struct {
	all     []criterion
	isAny   bool   // of isMemberOf
	project string // of .![name]; empty: the groups themselves
}

func newCriteria(p *parser, path string, args []node) (node, error) {
	if len(args) == 0 {
		return nil, p.wrong(path + " has another number of arguments")
	}
	n := &criteria{isAny: path == "user.isMemberOf"}
	for _, a := range args {
		m, ok := a.(*mapping)
		if !ok {
			return nil, p.wrong(path + " takes maps such as {'group.profile.name': 'West'}")
		}
		p.maps--
		c, err := newCriterion(p, m)
		if err != nil {
			return nil, err
		}
		n.all = append(n.all, c)
	}
	return n, nil
}

func newCriterion(p *parser, m *mapping) (criterion, error) {
	c := criterion{exact: true}
	for i, key := range m.keys {
		switch key {
		case "operator":
			continue
		case "group.id":
			c.of = func(g Group) string { return g.ID }
		case "group.type":
			c.of = func(g Group) string { return g.Type }
		case "group.source.id":
			c.of = func(Group) string { return "" } // all are the directory's own
		case "group.profile.name":
			c.of, c.exact = func(g Group) string { return g.Name }, false
		default:
			return c, p.wrong("groups are chosen by group.id, group.type, group.source.id or group.profile.name, not by " + key)
		}
		if c.value != nil {
			return c, p.wrong("a map names one thing by which groups are chosen")
		}
		c.value = m.values[i]
	}
	if c.of == nil {
		return c, p.wrong("a map names one thing by which groups are chosen")
	}
	return c, c.operator(p, m)
}

// operator reads how names are compared: by their beginning, unless it is said.
func (c *criterion) operator(p *parser, m *mapping) error {
	i := slices.Index(m.keys, "operator")
	if i < 0 {
		return nil
	}
	l, ok := m.values[i].(*literal)
	switch {
	case ok && l.value == "EXACT":
		c.exact = true
	case ok && l.value == "STARTS_WITH" && slices.Contains(m.keys, "group.profile.name"):
	default:
		return p.wrong("the operator is EXACT, or for names STARTS_WITH")
	}
	return nil
}

// chooses evaluates the criterion once and returns what it chooses.
func (c *criterion) chooses(env Environment) (func(Group) bool, error) {
	v, err := c.value.eval(env)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var wanted []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, wrong("groups are chosen by a text or a list of texts, not by %s", kindOf(e))
		}
		if !c.exact {
			s = strings.TrimSuffix(s, ".*") // as many write it; it is no pattern
		}
		if s != "" {
			wanted = append(wanted, s)
		}
	}
	return func(g Group) bool {
		have := c.of(g)
		return slices.ContainsFunc(wanted, func(s string) bool {
			return have == s || !c.exact && strings.HasPrefix(have, s)
		})
	}, nil
}

func (n *criteria) eval(env Environment) (any, error) {
	groups, err := env.Groups()
	if err != nil {
		return nil, err
	}
	out := []any{}
	chosen := slices.Clone(groups)
	for i := range n.all {
		chooses, err := n.all[i].chooses(env)
		if err != nil {
			return nil, err
		}
		chosen = slices.DeleteFunc(chosen, func(g Group) bool { return !chooses(g) })
	}
	if n.isAny {
		return len(chosen) > 0, nil
	}
	for _, g := range chosen {
		if n.project == "" {
			out = append(out, g)
			continue
		}
		v, _ := g.attribute(n.project)
		out = append(out, v)
	}
	return boundedList(out)
}

// attribute returns what a projection or the expression of getFilteredGroups sees of
// a group.
func (g Group) attribute(name string) (any, bool) {
	switch strings.TrimPrefix(name, "profile.") {
	case "id":
		return g.ID, name == "id"
	case "type":
		return g.Type, name == "type"
	case "name":
		return g.Name, true
	case "description":
		return g.Description, true
	}
	return nil, false
}

// MarshalJSON writes a group as Okta's API does, as far as it is known.
func (g Group) MarshalJSON() ([]byte, error) {
	type profile struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
	}
	return json.Marshal(struct {
		ID      string  `json:"id"`
		Type    string  `json:"type,omitempty"`
		Profile profile `json:"profile"`
	}{g.ID, g.Type, profile{g.Name, g.Description}})
}

// projection reads .![name] behind user.getGroups(…).
func (p *parser) projection(of node) (node, error) {
	n, ok := of.(*criteria)
	if !ok || n.isAny || n.project != "" {
		return nil, p.wrong("a projection stands behind user.getGroups alone")
	}
	for _, s := range []string{"!", "["} {
		if err := p.expect(s); err != nil {
			return nil, err
		}
	}
	path := p.word
	for {
		if p.kind != name {
			return nil, p.wrong("expected the name of an attribute of groups")
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		if ok, err := p.take("."); err != nil || !ok {
			if err != nil {
				return nil, err
			}
			break
		}
		path += "." + p.word
	}
	if _, ok := (Group{}).attribute(path); !ok {
		return nil, p.wrong("a group has no attribute " + path)
	}
	n.project = path
	return n, p.expect("]")
}
