package gateway

import (
	"bytes"
	"slices"
	"strings"
)

// Matching. APIs are found by host and the longest base path that the path lies
// below; the routes of all APIs that share both form one tree of segments. Most
// specific wins, segment by segment from the left: a literal before {name} before
// /*. A path's own entry for the method is looked for along that order, so a
// route for another method does not hide a less specific one that fits. Every
// lookup is a map of literals or one pointer: ten thousand routes cost what ten do.

// maxParams bounds the {name} segments of one route.
const maxParams = 16

// span is a part of the canonical path.
type span struct{ from, to uint16 }

// match is the step that finds the route.
type match struct{}

// Do implements step.
func (match) Do(ex *Exchange) error {
	if ex.serveOwn() {
		return nil
	}
	r := (*route)(nil)
	if !unroutable(ex.method) {
		r = ex.snap.router.match(ex.host, &ex.lookup)
	}
	if ex.slash && (r == nil || !r.api.spec.EncodedSlashes) {
		ex.stopped = stepCanonicalize
		return errEncodedSlash
	}
	if r == nil {
		if ex.known || unroutable(ex.method) {
			return errMethod
		}
		return errNoRoute
	}
	ex.route = r
	return nil
}

func (match) explain(f *facts) (needed, had string) {
	if f.route != nil {
		had = f.route.name
	}
	return "a route for this method, host and path", had
}

var (
	errNoRoute      = Refuse(ReasonNoRoute, nil, "no route has this host and path")
	errMethod       = Refuse(ReasonMethodNotAllowed, nil, "the path has routes, but none for this method")
	errEncodedSlash = Refuse(ReasonAmbiguousRequest, nil, whyEncodedSlash)
)

// unroutable reports whether the method is never passed on: TRACE shows the
// upstream's view of the request, CONNECT is for proxies of another kind.
func unroutable(m []byte) bool { return string(m) == "TRACE" || string(m) == "CONNECT" }

// router finds the route of a canonical request. Immutable once built.
type router struct {
	hosts map[string]*baseNode
	any   *baseNode // APIs without a host; nil when there are none
}

// baseNode is one segment of base paths.
type baseNode struct {
	below  map[string]*baseNode
	routes *segment // nil when no base path ends here
}

// segment is one node of a tree of route templates.
type segment struct {
	literals map[string]*segment
	param    *segment
	end      *methods // the template ends here
	rest     *methods // "/*" follows here
}

// methods are the routes of one template by method.
type methods struct {
	known [methodCount]*route
	other map[string]*route
	any   *route
}

type method uint8

const (
	methodOther method = iota
	methodGet
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete
	methodOptions
	methodCount
)

var methodNames = [methodCount]string{"", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func methodOf(m []byte) method {
	switch string(m) {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "POST":
		return methodPost
	case "PUT":
		return methodPut
	case "PATCH":
		return methodPatch
	case "DELETE":
		return methodDelete
	case "OPTIONS":
		return methodOptions
	}
	return methodOther
}

// route returns the route for a method. HEAD is answered where GET is, under the
// same policy; "*" is any method that has no route of its own. TRACE and CONNECT
// never have one: see canonicalize.
func (m *methods) route(k method, name []byte) *route {
	r := m.known[k]
	switch {
	case r != nil:
	case k == methodHead && m.known[methodGet] != nil:
		r = m.known[methodGet]
	case k == methodOther && m.other != nil:
		r = m.other[string(name)]
	}
	if r == nil {
		return m.any
	}
	return r
}

// lookup is what a match needs of an exchange, and what it finds.
type lookup struct {
	kind   method
	method []byte
	path   []byte // canonical
	params [maxParams]span
	base   int  // where the part below the base path begins
	known  bool // some route has this path, for another method
}

// match finds the route, or nil. The params and base of l are set then.
func (r *router) match(host []byte, l *lookup) *route {
	tree, base := r.base(host, l.path)
	l.base, l.known = base, false
	if tree == nil {
		return nil
	}
	if base == len(l.path) {
		// "/hr" under the base path "/hr": what is below is the root itself.
		if root := tree.literals[""]; root != nil && root.end != nil {
			if found := l.take(root.end); found != nil {
				return found
			}
		}
		if m := tree.rest; m != nil {
			return l.take(m)
		}
		return nil
	}
	return l.walk(tree, base, 0)
}

// base finds the tree of the longest base path. On a tie the API that names the
// host wins over the one that does not.
func (r *router) base(host, path []byte) (*segment, int) {
	var tree *segment
	at := -1
	if root := r.hosts[string(host)]; root != nil {
		tree, at = root.longest(path)
	}
	if r.any != nil {
		if t, n := r.any.longest(path); n > at {
			return t, n
		}
	}
	return tree, at
}

func (b *baseNode) longest(path []byte) (*segment, int) {
	tree, at := b.routes, -1
	if tree != nil {
		at = 0
	}
	for pos := 0; pos < len(path) && b.below != nil; {
		end := segmentEnd(path, pos+1)
		b = b.below[string(path[pos+1:end])]
		if b == nil {
			break
		}
		if b.routes != nil {
			tree, at = b.routes, end
		}
		pos = end
	}
	return tree, at
}

// walk matches path[pos:], which begins with "/", below s. n counts parameters.
func (l *lookup) walk(s *segment, pos, n int) *route {
	end := segmentEnd(l.path, pos+1)
	seg := l.path[pos+1 : end]
	if next := s.literals[string(seg)]; next != nil {
		if r := l.below(next, end, n); r != nil {
			return r
		}
	}
	if s.param != nil && len(seg) > 0 {
		l.params[n] = span{uint16(pos + 1), uint16(end)} // a path is at most 8 KiB
		if r := l.below(s.param, end, n+1); r != nil {
			return r
		}
	}
	if s.rest != nil {
		return l.take(s.rest)
	}
	return nil
}

// below goes on at a node that a segment led to.
func (l *lookup) below(s *segment, end, n int) *route {
	if end < len(l.path) {
		return l.walk(s, end, n)
	}
	if s.end != nil {
		if r := l.take(s.end); r != nil {
			return r
		}
	}
	if s.rest != nil {
		return l.take(s.rest)
	}
	return nil
}

func (l *lookup) take(m *methods) *route {
	r := m.route(l.kind, l.method)
	if r == nil {
		l.known = true
	}
	return r
}

// allowed lists the methods that the path has, for the Allow line of a 405.
func (r *router) allowed(host, path []byte) string {
	var names []string
	l := lookup{path: path}
	add := func(name string) {
		l.kind, l.method = methodOf([]byte(name)), []byte(name)
		if r.match(host, &l) != nil {
			names = append(names, name)
		}
	}
	for _, name := range methodNames[1:] {
		add(name)
	}
	for _, name := range r.otherMethods(host, path) {
		add(name)
	}
	return strings.Join(names, ", ")
}

// otherMethods returns the uncommon methods that any route below the base path
// has, sorted.
func (r *router) otherMethods(host, path []byte) []string {
	tree, _ := r.base(host, path)
	if tree == nil {
		return nil
	}
	seen := map[string]bool{}
	tree.each(func(m *methods) {
		for name := range m.other {
			seen[name] = true
		}
	})
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *segment) each(do func(*methods)) {
	for _, m := range []*methods{s.end, s.rest} {
		if m != nil {
			do(m)
		}
	}
	for _, next := range s.literals {
		next.each(do)
	}
	if s.param != nil {
		s.param.each(do)
	}
}

func segmentEnd(path []byte, from int) int {
	if i := bytes.IndexByte(path[from:], '/'); i >= 0 {
		return from + i
	}
	return len(path)
}
