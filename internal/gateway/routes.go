package gateway

import (
	"slices"
	"strings"

	"gatehouse/internal/fault"
)

// How the trees are built that match searches.

// template is a parsed route template.
type template struct {
	segments []string // literals as they are; "" for a parameter
	params   []string
	isParam  []bool
	rest     bool
}

// parseTemplate reads a route template: literal segments in canonical form,
// {name} for one segment, and "/*" at the end for this path and all below.
func parseTemplate(path string) (template, error) {
	var t template
	if path == "" || path[0] != '/' {
		return t, fault.New(fault.Invalid, "path %q does not begin with /", path)
	}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		switch {
		case part == "*" && i == len(parts)-1:
			t.rest = true
		case len(part) > 2 && part[0] == '{' && part[len(part)-1] == '}':
			name := part[1 : len(part)-1]
			if strings.ContainsAny(name, "{}*") || slices.Contains(t.params, name) {
				return t, fault.New(fault.Invalid, "path %q: parameter {%s} is malformed or used twice", path, name)
			}
			t.params = append(t.params, name)
			t.segments, t.isParam = append(t.segments, ""), append(t.isParam, true)
		case strings.ContainsAny(part, "{}*"):
			return t, fault.New(fault.Invalid, "path %q: %q must be a literal, {name}, or * as the last segment", path, part)
		default:
			canonical, _, why := canonicalPath(nil, []byte("/"+part))
			if why != "" || part == "" && i < len(parts)-1 {
				return t, fault.New(fault.Invalid, "path %q: segment %q can never match: %s", path, part, whyOrSegment(why))
			}
			t.segments, t.isParam = append(t.segments, string(canonical[1:])), append(t.isParam, false)
		}
	}
	if len(t.params) > maxParams {
		return t, fault.New(fault.Invalid, "path %q has more than %d parameters", path, maxParams)
	}
	return t, nil
}

func whyOrSegment(why string) string {
	if why == "" {
		return whySegment
	}
	return why
}

// at returns the methods of the template in the tree, made when they are not there.
func (s *segment) at(t template) *methods {
	for i, lit := range t.segments {
		if t.isParam[i] {
			if s.param == nil {
				s.param = &segment{}
			}
			s = s.param
			continue
		}
		if s.literals == nil {
			s.literals = map[string]*segment{}
		}
		next := s.literals[lit]
		if next == nil {
			next = &segment{}
			s.literals[lit] = next
		}
		s = next
	}
	slot := &s.end
	if t.rest {
		slot = &s.rest
	}
	if *slot == nil {
		*slot = &methods{}
	}
	return *slot
}

// set puts a route under a method and returns the one that is there already, if any.
func (m *methods) set(name string, r *route) *route {
	k := methodOf([]byte(name))
	var old *route
	switch {
	case name == "*":
		old = m.any
		if old == nil {
			m.any = r
		}
	case k == methodOther:
		if m.other == nil {
			m.other = map[string]*route{}
		}
		if old = m.other[name]; old == nil {
			m.other[name] = r
		}
	default:
		if old = m.known[k]; old == nil {
			m.known[k] = r
		}
	}
	return old
}

// tree returns the route tree of a host ("" for any) and base path, made when it is not there.
func (r *router) tree(host, base string) (*segment, error) {
	if base != "" {
		canonical, _, why := canonicalPath(nil, []byte(base))
		if why != "" || string(canonical) != base || strings.HasSuffix(base, "/") {
			return nil, fault.New(fault.Invalid, "base path %q is not in canonical form: %s", base, whyOrSegment(why))
		}
	}
	root := r.any
	if host != "" {
		root = r.hosts[host]
	}
	if root == nil {
		root = &baseNode{}
		if host == "" {
			r.any = root
		} else {
			if r.hosts == nil {
				r.hosts = map[string]*baseNode{}
			}
			r.hosts[host] = root
		}
	}
	for _, part := range strings.Split(base, "/")[1:] {
		if root.below == nil {
			root.below = map[string]*baseNode{}
		}
		next := root.below[part]
		if next == nil {
			next = &baseNode{}
			root.below[part] = next
		}
		root = next
	}
	if root.routes == nil {
		root.routes = &segment{}
	}
	return root.routes, nil
}
