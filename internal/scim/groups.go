package scim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Bounds of members.
const (
	maxMembersGiven = 10000 // of one request
	maxMembersShown = 50000 // of one answer
)

// group shows a group, without the members.
func (s *server) group(g ledger.Object[directory.Group]) resource {
	res := resource{"displayName": g.Value.Name, "schemas": []any{schemaGroup}}
	if g.Value.External != "" {
		res["externalId"] = g.Value.External
	}
	s.describe(res, "Group", "/Groups/", g.Meta)
	return res
}

// withMembers adds the members of a group, and takes them from what may still be shown.
func (s *server) withMembers(c *call, res resource, left *int) error {
	id, _ := res["id"].(string)
	members, more, err := s.Groups.AllMembers(c.ctx, id, *left)
	if err != nil {
		return err
	}
	if more {
		return fault.New(fault.TooLarge, "there are more than %d members: ask with excludedAttributes=members, or for fewer groups", maxMembersShown).WithReason(directory.ReasonTooMany)
	}
	*left -= len(members)
	var list []any
	for _, u := range members {
		list = append(list, s.member(u))
	}
	if list != nil {
		res["members"] = list
	}
	return nil
}

func (s *server) member(u ledger.Object[directory.User]) resource {
	return resource{"value": u.ID, "$ref": s.URL + Root + "/Users/" + u.ID, "type": "User", "display": u.Value.Profile.DisplayName()}
}

func (s *server) answerGroup(c *call, status int, g ledger.Object[directory.Group]) (answer, error) {
	want, err := c.projection(groupType())
	if err != nil {
		return answer{}, err
	}
	if status == http.StatusOK && c.method == http.MethodGet && matches(c.none, g.Revision) {
		return answer{status: http.StatusNotModified, version: version(g.Revision)}, nil
	}
	res := s.group(g)
	if want.shows("members") {
		left := maxMembersShown
		if err := s.withMembers(c, res, &left); err != nil {
			return answer{}, err
		}
	}
	return s.one(status, want.of(res), "/Groups/", g.Meta), nil
}

// theGroup returns the group in the path. The group of everybody is not there: nobody
// can be added or removed, and it would drown the others.
func (s *server) theGroup(c *call) (g ledger.Object[directory.Group], err error) {
	g, err = s.Groups.Group(c.ctx, c.id())
	if err == nil && g.Value.BuiltIn {
		err = fault.New(fault.NotFound, "there is no group %q", c.id())
	}
	return g, err
}

func (s *server) getGroup(c *call) (answer, error) {
	g, err := s.theGroup(c)
	if err != nil {
		return answer{}, err
	}
	return s.answerGroup(c, http.StatusOK, g)
}

// memberIDs returns whom a list of members names.
func memberIDs(v any) ([]string, error) {
	list, _ := v.([]any)
	if len(list) > maxMembersGiven {
		return nil, wrong(tooMany, "more than %d members at a time", maxMembersGiven)
	}
	var out []string
	for _, e := range list {
		m, _ := e.(resource)
		id, _ := m["value"].(string)
		if id == "" {
			return nil, wrong(invalidValue, "members.value is missing")
		}
		if kind, ok := m["type"].(string); ok && !strings.EqualFold(kind, "User") {
			return nil, wrong(invalidValue, "members.type must be User: groups have no groups here")
		}
		out = append(out, id)
	}
	return out, nil
}

func (s *server) createGroup(c *call) (answer, error) {
	body, err := object(c.body)
	if err != nil {
		return answer{}, err
	}
	t := groupType()
	res, err := t.read(body)
	if err != nil {
		return answer{}, err
	}
	members, err := memberIDs(res["members"])
	if err != nil {
		return answer{}, err
	}
	if len(members) > 0 && !c.caller.may("okta.groups.members.manage") {
		return answer{}, errNotAllowed("okta.groups.members.manage")
	}
	var n directory.Group
	if err := takeGroup(res, &n); err != nil {
		return answer{}, err
	}
	g, err := s.Groups.CreateWhole(c.ctx, c.by(), n, members)
	if err != nil {
		return answer{}, err
	}
	return s.answerGroup(c, http.StatusCreated, g)
}

// takeGroup lays a resource over a group.
func takeGroup(res resource, g *directory.Group) error {
	name, _ := res["displayName"].(string)
	if name == "" {
		return wrong(invalidValue, "displayName is missing")
	}
	g.Name = name
	g.External, _ = res["externalId"].(string)
	return nil
}

func (s *server) replaceGroup(c *call) (answer, error) {
	body, err := object(c.body)
	if err != nil {
		return answer{}, err
	}
	t := groupType()
	res, err := t.read(body)
	if err != nil {
		return answer{}, err
	}
	members, err := memberIDs(res["members"])
	if err != nil {
		return answer{}, err
	}
	return s.changeGroup(c, func(g resource) ([]directory.MembersChange, error) {
		delete(g, "externalId")
		for _, name := range []string{"displayName", "externalId"} {
			if v, ok := res[name]; ok {
				g[name] = v
			}
		}
		return []directory.MembersChange{exactly(members)}, nil
	})
}

// exactly is the step after which a group has these members and no others.
func exactly(ids []string) directory.MembersChange {
	stay := map[string]bool{}
	for _, id := range ids {
		stay[id] = true
	}
	return directory.MembersChange{Add: ids, Drop: func(u ledger.Object[directory.User]) bool { return !stay[u.ID] }}
}

// changeGroup changes a group as alter says.
func (s *server) changeGroup(c *call, alter func(resource) ([]directory.MembersChange, error)) (answer, error) {
	if err := s.guardGroup(c, c.id()); err != nil {
		return answer{}, err
	}
	var changed ledger.Object[directory.Group]
	err := c.retried(func() error {
		g, err := s.theGroup(c)
		if err != nil {
			return err
		}
		if err := c.precondition(g.Revision); err != nil {
			return err
		}
		res := s.group(g)
		steps, err := alter(res)
		if err != nil {
			return err
		}
		next := g.Value
		if err := takeGroup(res, &next); err != nil {
			return err
		}
		if (next.Name != g.Value.Name || next.External != g.Value.External) && !c.caller.may("okta.groups.manage") {
			return errNotAllowed("okta.groups.manage")
		}
		changed, err = s.Groups.ChangeWhole(c.ctx, c.by(), g.ID, g.Revision, func(g *directory.Group) error { return takeGroup(res, g) }, steps)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if c.method == http.MethodPatch && !c.asksFor() {
		// The answer to a change of one member is not the list of all of them.
		return answer{status: http.StatusNoContent, location: s.URL + Root + "/Groups/" + changed.ID, version: version(changed.Revision)}, nil
	}
	return s.answerGroup(c, http.StatusOK, changed)
}

func (s *server) patchGroup(c *call) (answer, error) {
	operations, err := readPatch(c.body)
	if err != nil {
		return answer{}, err
	}
	t := groupType()
	return s.changeGroup(c, func(res resource) ([]directory.MembersChange, error) {
		var steps []directory.MembersChange
		for _, o := range operations {
			more, err := s.patchOne(&t, res, o)
			if err != nil {
				return nil, err
			}
			steps = append(steps, more...)
		}
		return steps, nil
	})
}

// patchOne does one operation: members are not read to be changed, there may be many.
func (s *server) patchOne(t *resourceType, res resource, o operation) ([]directory.MembersChange, error) {
	if o.Path == "" {
		m, _ := o.Value.(map[string]any)
		rest := map[string]any{}
		var steps []directory.MembersChange
		for _, name := range slices.Sorted(maps.Keys(m)) {
			v := m[name]
			if p, ok := t.locate(name); ok && p.attr != nil && p.attr.name == "members" && p.sub == nil {
				step, err := membersStep(target{place: p}, operation{Op: o.Op, Value: v}, s)
				if err != nil {
					return nil, err
				}
				steps = append(steps, step)
				continue
			}
			rest[name] = v
		}
		return steps, t.apply(res, operation{Op: o.Op, Value: rest})
	}
	at, err := t.target(o.Path)
	if err != nil {
		return nil, err
	}
	if at.attr == nil || at.attr.name != "members" {
		return nil, t.change(res, at, o)
	}
	step, err := membersStep(at, o, s)
	return []directory.MembersChange{step}, err
}

// membersStep turns an operation on members into a step.
func membersStep(at target, o operation, s *server) (step directory.MembersChange, err error) {
	if at.sub != nil || at.inner != nil && o.Op != "remove" {
		return step, wrong(mutability, "a member is added or removed, and not changed")
	}
	v, err := coerce(at.attr, o.Value)
	if err != nil {
		return step, err
	}
	ids, err := memberIDs(v)
	if err != nil {
		return step, err
	}
	switch {
	case o.Op == "add":
		return directory.MembersChange{Add: ids}, nil
	case o.Op == "replace":
		return exactly(ids), nil
	case at.inner == nil && o.Value == nil:
		return exactly(nil), nil
	case at.inner == nil:
		return directory.MembersChange{Remove: ids}, nil
	case at.inner.Op == "eq" && strings.EqualFold(at.inner.Path, "value") && at.inner.Inner == nil:
		if id, ok := at.inner.Value.(string); ok {
			return directory.MembersChange{Remove: []string{id}}, nil
		}
	}
	return directory.MembersChange{Drop: func(u ledger.Object[directory.User]) bool {
		return at.inner.match(inElement{at.attr, s.member(u)})
	}}, nil
}

func (s *server) deleteGroup(c *call) (answer, error) {
	if err := s.guardGroup(c, c.id()); err != nil {
		return answer{}, err
	}
	g, err := s.theGroup(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.precondition(g.Revision); err != nil {
		return answer{}, err
	}
	if err := s.Groups.DeleteGroup(c.ctx, c.by(), g.ID); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// mentioned returns the users whom a filter of groups names as members.
func (f *filter) mentioned(t *resourceType) (ids []string, err error) {
	for _, p := range f.Parts {
		more, err := (*filter)(p).mentioned(t)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	p, ok := t.locate(f.Path)
	if f.Path == "" || !ok || p.attr == nil || p.attr.name != "members" {
		return ids, nil
	}
	one := f
	if f.Inner != nil {
		one = f.inner()
		if f.Op != "any" || !strings.EqualFold(one.Path, "value") {
			one = &filter{}
		}
	} else if p.sub != nil && p.sub.name != "value" {
		one = &filter{}
	}
	id, text := one.Value.(string)
	if !text || one.Op != "eq" {
		return nil, wrong(invalidFilter, "groups can be found by members.value eq, and by nothing else of the members")
	}
	if !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids, nil
}
