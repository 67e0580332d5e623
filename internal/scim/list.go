package scim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Sizes of a page. ServiceProviderConfig names the second.
const (
	defaultCount = 100
	maxCount     = 200
)

// listRequest is what a list is asked for (RFC 7644 sections 3.4.2 and 3.4.3).
type listRequest struct {
	Attributes []string `json:"attributes"`
	Excluded   []string `json:"excludedAttributes"`
	Filter     string   `json:"filter"`
	SortBy     string   `json:"sortBy"`
	SortOrder  string   `json:"sortOrder"`
	StartIndex *int     `json:"startIndex"`
	Count      *int     `json:"count"`
}

// list reads the request of a list: of the address, or of the body of a search.
func (c *call) list() (r listRequest, err error) {
	if c.method == http.MethodPost {
		return r, decode(c.body, &r)
	}
	r.Attributes, r.Excluded = names(c.value("attributes")), names(c.value("excludedAttributes"))
	r.Filter, r.SortBy, r.SortOrder = c.value("filter"), c.value("sortBy"), c.value("sortOrder")
	for name, to := range map[string]**int{"startIndex": &r.StartIndex, "count": &r.Count} {
		if text := c.value(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return r, wrong(invalidValue, "%s must be a whole number", name)
			}
			*to = &n
		}
	}
	return r, nil
}

func names(list string) (out []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// page returns how many resources lie before the page, and how many it has at most.
func (r *listRequest) page() (skip, count int) {
	count = defaultCount
	if r.Count != nil {
		count = min(max(*r.Count, 0), maxCount)
	}
	if r.StartIndex != nil {
		skip = max(*r.StartIndex-1, 0)
	}
	return min(skip, 1<<30), count
}

// order returns how resources are sorted; nil for the order of ids.
func (r *listRequest) order(t *resourceType) (func(a, b resource) int, error) {
	if r.SortBy == "" {
		return nil, nil //nolint:nilnil // no order
	}
	p, ok := t.locate(r.SortBy)
	if !ok || p.attr == nil || p.attr.mutability == "writeOnly" || slices.Contains([]string{"groups", "members"}, p.attr.name) {
		return nil, wrong(invalidPath, "cannot be sorted by %q", r.SortBy)
	}
	down := strings.EqualFold(r.SortOrder, "descending")
	first := func(res resource) (any, *attribute) {
		list, attr := inResource{t, res}.values(r.SortBy, false)
		if len(list) == 0 {
			return nil, attr
		}
		return list[0], attr
	}
	return func(a, b resource) int {
		x, attr := first(a)
		y, _ := first(b)
		c := compareSorted(x, y, attr)
		if down {
			c = -c
		}
		return c
	}, nil
}

// compareSorted compares values; none is behind all others (RFC 7644 section 3.4.2.3).
func compareSorted(x, y any, attr *attribute) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	switch x := x.(type) {
	case time.Time:
		t, _ := y.(time.Time)
		return x.Compare(t)
	case bool:
		b, _ := y.(bool)
		return cmp.Compare(strconv.FormatBool(x), strconv.FormatBool(b))
	}
	a, b := fmt.Sprint(x), fmt.Sprint(y)
	if attr == nil || !attr.exact {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	return strings.Compare(a, b)
}

// answerList answers a page.
func answerList(items []any, total, skip int) answer {
	return answer{status: http.StatusOK, body: map[string]any{
		"schemas": []string{messageList}, "totalResults": total, "itemsPerPage": len(items), "startIndex": skip + 1, "Resources": items,
	}}
}

// listing is what a list is asked for, read as one of a kind of resources.
type listing struct {
	kind        resourceType
	want        projection
	filter      *filter                 // nil: all
	order       func(a, b resource) int // nil: of ids
	skip, count int
}

func (c *call) listing(t resourceType) (l listing, err error) {
	r, err := c.list()
	if err != nil {
		return l, err
	}
	l.kind = t
	if l.want, err = newProjection(t, r.Attributes, r.Excluded); err != nil {
		return l, err
	}
	if l.filter, err = parseFilter(r.Filter); err != nil {
		return l, err
	}
	l.skip, l.count = r.page()
	l.order, err = r.order(&l.kind)
	return l, err
}

// search returns what the directory is searched for, by how its objects are shown; the
// filter is for each kind to say.
func search[T any](l listing, show func(ledger.Object[T]) resource) directory.Search[T] {
	q := directory.Search[T]{Skip: l.skip, Limit: l.count}
	if l.order != nil {
		q.Compare = func(a, b ledger.Object[T]) int { return l.order(show(a), show(b)) }
	}
	return q
}

func (s *server) listUsers(c *call) (answer, error) {
	l, err := c.listing(userType())
	if err != nil {
		return answer{}, err
	}
	q := search(l, s.user)
	if f := l.filter; f != nil {
		if err := f.check(&l.kind, "groups"); err != nil {
			return answer{}, err
		}
		q.Where = f.conditions()
		q.Match = func(u ledger.Object[directory.User]) bool { return f.match(inResource{&l.kind, s.user(u)}) }
	}
	found, err := s.People.SearchUsers(c.ctx, q)
	if err != nil {
		return answer{}, err
	}
	items := []any{}
	for _, u := range found.Items {
		res := s.user(u)
		if l.want.shows("groups") {
			if err := s.withGroups(c, res); fault.Is(err, fault.NotFound) {
				continue // gone meanwhile
			} else if err != nil {
				return answer{}, err
			}
		}
		items = append(items, stamped(l.want.of(res)))
	}
	return answerList(items, found.Total, q.Skip), nil
}

func (s *server) listGroups(c *call) (answer, error) {
	l, err := c.listing(groupType())
	if err != nil {
		return answer{}, err
	}
	q := search(l, s.group)
	if l.filter != nil {
		if q.Match, err = s.groupMatch(c, &l.kind, l.filter); err != nil {
			return answer{}, err
		}
	}
	found, err := s.Groups.SearchGroups(c.ctx, q)
	if err != nil {
		return answer{}, err
	}
	items := []any{}
	left := maxMembersShown
	for _, g := range found.Items {
		res := s.group(g)
		if l.want.shows("members") {
			if err := s.withMembers(c, res, &left); err != nil {
				return answer{}, err
			}
		}
		items = append(items, stamped(l.want.of(res)))
	}
	return answerList(items, found.Total, q.Skip), nil
}

// groupMatch returns what a filter says of groups. Of the members it sees those whom it
// names.
func (s *server) groupMatch(c *call, t *resourceType, f *filter) (func(ledger.Object[directory.Group]) bool, error) {
	if err := f.check(t); err != nil {
		return nil, err
	}
	ids, err := f.mentioned(t)
	if err != nil {
		return nil, err
	}
	in := map[string][]any{} // by group
	for _, id := range ids {
		groups, err := s.People.UserGroups(c.ctx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			in[g.ID] = append(in[g.ID], resource{"value": id})
		}
	}
	return func(g ledger.Object[directory.Group]) bool {
		res := s.group(g)
		if members := in[g.ID]; members != nil {
			res["members"] = members
		}
		return f.match(inResource{t, res})
	}, nil
}

// projection is which attributes an answer has (RFC 7644 section 3.9).
type projection struct {
	t            resourceType
	only, except []place // one of both at most
}

// maxNamed is how many attributes a request may name.
const maxNamed = 100

func newProjection(t resourceType, only, except []string) (p projection, err error) {
	if len(only) > 0 && len(except) > 0 {
		return p, wrong(invalidValue, "attributes and excludedAttributes exclude each other")
	}
	if len(only)+len(except) > maxNamed {
		return p, wrong(invalidValue, "more than %d attributes are named", maxNamed)
	}
	p.t = t
	for _, name := range only {
		// What is not here is not shown; the list is not empty for it.
		at, _ := t.locate(name)
		p.only = append(p.only, at)
	}
	for _, name := range except {
		if at, ok := t.locate(name); ok {
			p.except = append(p.except, at)
		}
	}
	return p, nil
}

func (c *call) projection(t resourceType) (projection, error) {
	return newProjection(t, names(c.value("attributes")), names(c.value("excludedAttributes")))
}

// asksFor reports whether the call says which attributes it wants.
func (c *call) asksFor() bool {
	return c.value("attributes") != "" || c.value("excludedAttributes") != ""
}

// shows reports whether an attribute is in the answer.
func (p *projection) shows(name string) bool {
	is := func(at place) bool { return at.urn == "" && at.attr != nil && at.attr.name == name }
	if len(p.only) > 0 {
		return slices.ContainsFunc(p.only, is)
	}
	return !slices.ContainsFunc(p.except, func(at place) bool { return is(at) && at.sub == nil })
}

// of returns what of a resource is shown.
func (p *projection) of(res resource) resource {
	if len(p.only) > 0 {
		out := resource{"id": res["id"], "schemas": res["schemas"]}
		for _, at := range p.only {
			copyPlace(out, res, at)
		}
		return out
	}
	for _, at := range p.except {
		removePlace(res, at)
	}
	return res
}

// copyPlace copies what a place has from one resource to another.
func copyPlace(to, from resource, at place) {
	if at.attr == nil {
		if m, ok := from[at.urn]; ok && at.urn != "" {
			to[at.urn] = m
		}
		return
	}
	source := from
	if at.urn != "" {
		source, _ = from[at.urn].(resource)
	}
	v, ok := source[at.attr.name]
	if !ok {
		return
	}
	if at.urn != "" {
		to = container(to, at.urn)
	}
	if at.sub == nil {
		to[at.attr.name] = v
		return
	}
	switch v := v.(type) {
	case resource:
		if one, ok := v[at.sub.name]; ok {
			container(to, at.attr.name)[at.sub.name] = one
		}
	case []any:
		list, ok := to[at.attr.name].([]any)
		if !ok {
			list = make([]any, len(v))
			for i := range list {
				list[i] = resource{}
			}
			to[at.attr.name] = list
		}
		for i, e := range v {
			if m, ok := e.(resource); ok && m[at.sub.name] != nil {
				if shown, ok := list[i].(resource); ok {
					shown[at.sub.name] = m[at.sub.name]
				}
			}
		}
	}
}

// removePlace takes what a place has out of a resource, unless it is always shown.
func removePlace(from resource, at place) {
	if at.attr == nil {
		delete(from, at.urn)
		return
	}
	if at.attr.returned == "always" {
		return
	}
	if at.urn != "" {
		from, _ = from[at.urn].(resource)
	}
	if at.sub == nil {
		delete(from, at.attr.name)
		return
	}
	list, many := from[at.attr.name].([]any)
	if !many {
		list = []any{from[at.attr.name]}
	}
	for _, e := range list {
		if m, ok := e.(resource); ok {
			delete(m, at.sub.name)
		}
	}
}

// stamped returns a resource with its times as texts.
func stamped(res resource) resource {
	m, ok := res["meta"].(resource)
	if !ok {
		return res
	}
	for name, v := range m {
		if t, ok := v.(time.Time); ok {
			m[name] = t.UTC().Format("2006-01-02T15:04:05.000Z")
		}
	}
	return res
}

// version is the ETag of a revision (RFC 7644 section 3.14).
func version(r ledger.Revision) string { return `W/"` + strconv.FormatInt(int64(r), 10) + `"` }

// matches reports whether a list of ETags has that of a revision.
func matches(header string, r ledger.Revision) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(version(r), "W/") {
			return true
		}
	}
	return false
}

// precondition refuses a change of another version than the caller has seen.
func (c *call) precondition(r ledger.Revision) error {
	if c.match != "" && !matches(c.match, r) {
		return fault.New(fault.Stale, "the resource has changed since you read it: its version is %s", version(r))
	}
	return nil
}
