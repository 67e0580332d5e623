package okta

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/fault"
)

// route is one operation.
type route struct {
	method string
	path   string // {name} is one segment
	does   string // Okta's name of the operation
	needs  string // a permission, or anyone or nobody
	guard  guard
	do     func(*api, *call) (answer, error)
}

// guard refuses a call that would change somebody who may do more than the caller.
type guard func(*api, *call) error

// tree finds the route of a path. Literal segments win over named ones, whatever
// stands behind them; Okta's paths need that: /groups/rules/{id} beside
// /groups/{id}/users.
type tree struct {
	literal map[string]*tree
	named   *tree
	routes  map[string]end // by method
}

type end struct {
	*route
	names []string
}

func newTree(all []route) *tree {
	root := &tree{}
	for i := range all {
		at, names := root, []string(nil)
		for _, s := range strings.Split(strings.TrimPrefix(all[i].path, "/"), "/") {
			if strings.HasPrefix(s, "{") {
				names = append(names, strings.Trim(s, "{}"))
				if at.named == nil {
					at.named = &tree{}
				}
				at = at.named
				continue
			}
			if at.literal == nil {
				at.literal = map[string]*tree{}
			}
			if at.literal[s] == nil {
				at.literal[s] = &tree{}
			}
			at = at.literal[s]
		}
		if at.routes == nil {
			at.routes = map[string]end{}
		}
		at.routes[all[i].method] = end{&all[i], names}
	}
	return root
}

// The faults of paths and methods that do not exist.
const (
	reasonNoPath   = "no_path"
	reasonNoMethod = "no_method"
)

// maxSegments is more than any path of the API has.
const maxSegments = 16

// find returns the route for the method and the escaped or plain path.
func (t *tree) find(method, path string) (*route, map[string]string, error) {
	noPath := fault.New(fault.NotFound, "there is no such operation").WithReason(reasonNoPath)
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(segments) > maxSegments {
		return nil, nil, noPath
	}
	leaf, values := t.walk(segments, nil)
	if leaf == nil {
		return nil, nil, noPath
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	found, ok := leaf.routes[method]
	if !ok {
		return nil, nil, fault.New(fault.NotFound, "the operation does not have this method").WithReason(reasonNoMethod)
	}
	args := make(map[string]string, len(values))
	for i, n := range found.names {
		args[n] = values[i]
	}
	return found.route, args, nil
}

// walk returns the leaf for the segments, literal ones first, and the values of
// the named ones on the way.
func (t *tree) walk(segments, values []string) (*tree, []string) {
	if len(segments) == 0 {
		if len(t.routes) == 0 {
			return nil, nil
		}
		return t, values
	}
	s := segments[0]
	if next := t.literal[s]; next != nil {
		if leaf, v := next.walk(segments[1:], values); leaf != nil {
			return leaf, v
		}
	}
	if t.named == nil || s == "" || len(s) > 255 {
		return nil, nil
	}
	return t.named.walk(segments[1:], append(values[:len(values):len(values)], s))
}

// href returns an address below the org, with each part escaped.
func (a *api) href(parts ...string) string {
	var b strings.Builder
	b.WriteString(a.URL)
	b.WriteString("/api/v1")
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}
