// Package webtest checks that pages and what they show fit together: a field that a
// template names and its view does not have is found by a test, and not by the
// first person for whom that branch is taken. It must not be part of a program
// that is not a test.
package webtest

import (
	"fmt"
	"html/template"
	"reflect"
	"text/template/parse"
)

// Page is a page of the kit.
type Page interface {
	Template() (t *template.Template, frame any)
}

// Check returns what is wrong with a page: names that its view does not have.
func Check(p Page) []string {
	t, frame := p.Template()
	c := checker{templates: t, visiting: map[string]bool{}}
	c.template("layout", reflect.TypeOf(frame))
	return c.wrong
}

type checker struct {
	templates *template.Template
	visiting  map[string]bool
	wrong     []string
}

// scope is the types of dot and of the variables; nil types are not known.
type scope struct {
	dot  reflect.Type
	vars map[string]reflect.Type
}

func (s scope) with(name string, t reflect.Type) scope {
	vars := make(map[string]reflect.Type, len(s.vars)+1)
	for k, v := range s.vars {
		vars[k] = v
	}
	vars[name] = t
	return scope{s.dot, vars}
}

func (c *checker) template(name string, dot reflect.Type) {
	t := c.templates.Lookup(name)
	if t == nil || t.Tree == nil {
		c.wrong = append(c.wrong, "there is no template "+name)
		return
	}
	key := fmt.Sprint(name, dot)
	if c.visiting[key] {
		return
	}
	c.visiting[key] = true
	c.list(t.Tree.Root, scope{dot, map[string]reflect.Type{"$": dot}})
}

func (c *checker) list(l *parse.ListNode, s scope) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			t := c.pipe(n.Pipe, s)
			for _, v := range n.Pipe.Decl {
				s = s.with(v.Ident[0], t)
			}
		case *parse.IfNode:
			c.pipe(n.Pipe, s)
			c.list(n.List, s)
			c.list(n.ElseList, s)
		case *parse.WithNode:
			inner := s
			inner.dot = c.pipe(n.Pipe, s)
			c.list(n.List, inner)
			c.list(n.ElseList, s)
		case *parse.RangeNode:
			c.rangeOver(n, s)
		case *parse.TemplateNode:
			var dot reflect.Type
			if n.Pipe != nil {
				dot = c.pipe(n.Pipe, s)
			}
			c.template(n.Name, dot)
		}
	}
}

func (c *checker) rangeOver(n *parse.RangeNode, s scope) {
	inner := s
	if t := c.pipe(n.Pipe, s); t != nil {
		if t.Kind() == reflect.Slice {
			inner.dot = t.Elem()
		} else {
			c.wrong = append(c.wrong, fmt.Sprintf("%s ranges over a %s", n.Pipe, t))
		}
	}
	if d := n.Pipe.Decl; len(d) > 0 {
		inner = inner.with(d[len(d)-1].Ident[0], inner.dot)
		if len(d) == 2 {
			inner = inner.with(d[0].Ident[0], reflect.TypeFor[int]())
		}
	}
	c.list(n.List, inner)
	c.list(n.ElseList, s)
}

// pipe returns the type of a pipe that is one value, nil for the result of a function.
func (c *checker) pipe(p *parse.PipeNode, s scope) (t reflect.Type) {
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			t = c.value(arg, s)
		}
		if len(cmd.Args) > 1 {
			t = nil
		}
	}
	if len(p.Cmds) > 1 {
		t = nil
	}
	return t
}

func (c *checker) value(n parse.Node, s scope) reflect.Type {
	switch n := n.(type) {
	case *parse.DotNode:
		return s.dot
	case *parse.FieldNode:
		return c.fields(s.dot, n.Ident, n.String())
	case *parse.VariableNode:
		t, ok := s.vars[n.Ident[0]]
		if !ok {
			return nil
		}
		return c.fields(t, n.Ident[1:], n.String())
	case *parse.PipeNode:
		return c.pipe(n, s)
	case *parse.StringNode:
		return reflect.TypeFor[string]()
	}
	return nil
}

func (c *checker) fields(t reflect.Type, names []string, text string) reflect.Type {
	for _, name := range names {
		if t == nil {
			return nil
		}
		if m, ok := t.MethodByName(name); ok {
			t = m.Type.Out(0)
			continue
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem() // as a template does
		}
		if t.Kind() != reflect.Struct {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: a %s has no %s", text, t, name))
			return nil
		}
		f, ok := t.FieldByName(name)
		if !ok {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: a %s has no %s", text, t, name))
			return nil
		}
		t = f.Type
	}
	return t
}
