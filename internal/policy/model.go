package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"gatehouse/internal/spec"
)

// Question asks whether a subject may do something to a resource (AuthZEN
// Authorization API 1.0 section 5). Properties and context are as JSON gives them,
// numbers as json.Number.
type Question struct {
	Subject, Resource Thing
	Action            string
	ActionProperties  map[string]any
	Context           map[string]any
}

// Thing is a subject or a resource.
type Thing struct {
	Type, ID   string
	Properties map[string]any
}

// Ruling is what came of a question.
type Ruling struct {
	Permitted bool
	Forbidden bool   // a policy forbids it; else nothing permits it
	Failed    bool   // a policy that forbids could not be evaluated, which forbids
	Model     string // that decided; "" when none knows the resource's type
	Why       string // in words, for administrators
}

// Models decide AuthZEN questions. Immutable; for use by many at once.
type Models struct{ byResource map[string]*model }

// model is one compiled policy set.
type model struct {
	name     string
	rules    *ruleList
	entities map[types.EntityUID]types.Record
}

// CompileModels compiles every model of a snapshot, or says what is wrong with them;
// nil when the snapshot has none.
func CompileModels(s *spec.Snapshot) (*Models, []Problem) {
	if len(s.Models) == 0 {
		return nil, nil
	}
	out := &Models{byResource: map[string]*model{}}
	var problems []Problem
	for i := range s.Models {
		m, wrong := compileModel(&s.Models[i])
		problems = append(problems, wrong...)
		for _, kind := range s.Models[i].Resources {
			out.byResource[kind] = m
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return out, nil
}

func compileModel(s *spec.Model) (*model, []Problem) {
	path := spec.PathModel(s.Name, "policies")
	list, _, problems := parse(path, s.Policies, 0)
	if problems != nil {
		return nil, problems
	}
	if len(list) == 0 || len(list) > MaxStatements {
		return nil, []Problem{{Path: path, Message: fmt.Sprintf("a model has between 1 and %d policies", MaxStatements)}}
	}
	m := &model{name: s.Name, entities: map[types.EntityUID]types.Record{}}
	var rules []*Rule
	for _, p := range list {
		if kind, ok := resourceType(tree(p).Resource); ok && !slices.Contains(s.Resources, kind) {
			problems = append(problems, Problem{
				Path: path, Line: p.Position().Line, Column: p.Position().Column, Width: 1,
				Message: "the model does not decide about resources of the type " + kind + ", so this would never apply", Word: kind, Known: s.Resources,
			})
		}
		rules = append(rules, &Rule{Name: s.Name, Line: p.Position().Line, policy: p})
	}
	m.rules = newRuleList(rules)
	for i := range s.Entities {
		e := &s.Entities[i]
		attributes := types.RecordMap{}
		for name, a := range e.Attributes {
			attributes[types.String(name)] = known(a)
		}
		m.entities[types.NewEntityUID(types.EntityType(e.Type), types.String(e.ID))] = types.NewRecord(attributes)
	}
	return m, problems
}

// resourceType returns the one type that the head of a policy is about, if it is.
func resourceType(n ast.IsScopeNode) (string, bool) {
	switch v := n.(type) {
	case ast.ScopeTypeIs:
		return string(v.Type), true
	case ast.ScopeTypeEq:
		return string(v.Entity.Type), true
	default:
		return "", false
	}
}

// known returns an attribute of the file as Cedar has it.
func known(a spec.Attribute) types.Value {
	switch v := a.Value.(type) {
	case string:
		return types.String(v)
	case int64:
		return types.Long(v)
	case bool:
		return types.Boolean(v)
	case []string:
		return texts(v)
	default:
		return types.NewSet()
	}
}

// asked is the world of one question. It implements types.EntityGetter.
type asked struct {
	model *model
	own   map[types.EntityUID]types.Entity
}

// Get implements types.EntityGetter.
func (a *asked) Get(id types.EntityUID) (types.Entity, bool) {
	if e, ok := a.own[id]; ok {
		return e, true
	}
	attributes, ok := a.model.entities[id]
	return types.Entity{UID: id, Attributes: attributes}, ok
}

// add adds what the question says of a thing to what is known of it. What the file
// says is not overridden by a question.
func (a *asked) add(kind, id string, properties map[string]any) types.EntityUID {
	uid := types.NewEntityUID(types.EntityType(kind), types.String(id))
	attributes := types.RecordMap{}
	if before, ok := a.own[uid]; ok {
		maps.Copy(attributes, before.Attributes.Map())
	}
	for name, raw := range properties {
		if v, ok := valueOf(raw, 0); ok {
			attributes[types.String(name)] = v
		}
	}
	if file, ok := a.model.entities[uid]; ok {
		maps.Copy(attributes, file.Map())
	}
	a.own[uid] = types.Entity{UID: uid, Attributes: types.NewRecord(attributes)}
	return uid
}

// Decide answers a question. What no policy permits is denied, and so is what a
// policy forbids or a policy that forbids cannot say. A policy that permits and
// cannot be evaluated does not permit.
func (m *Models) Decide(q Question) Ruling {
	var by *model
	if m != nil {
		by = m.byResource[q.Resource.Type]
	}
	if by == nil {
		return Ruling{Why: "no model decides about resources of this type"}
	}
	world := &asked{model: by, own: make(map[types.EntityUID]types.Entity, 3)}
	request := cedar.Request{
		Principal: world.add(q.Subject.Type, q.Subject.ID, q.Subject.Properties),
		Resource:  world.add(q.Resource.Type, q.Resource.ID, q.Resource.Properties),
		Action:    world.add(typeAction, q.Action, q.ActionProperties),
	}
	context := types.RecordMap{}
	for name, raw := range q.Context {
		if v, ok := valueOf(raw, 0); ok {
			context[types.String(name)] = v
		}
	}
	request.Context = types.NewRecord(context)
	decision, d := cedar.Authorize(by.rules, world, request)
	return by.ruling(decision == cedar.Allow, d)
}

// ruling puts what Cedar has found into a ruling.
func (m *model) ruling(allowed bool, d cedar.Diagnostic) Ruling {
	out := Ruling{Model: m.name}
	for _, e := range d.Errors {
		if r := m.rules.byID(e.PolicyID); r == nil || r.policy.Effect() == cedar.Forbid {
			out.Failed = true
			out.Why = "a policy that forbids could not be evaluated: " + e.Message
			if r != nil {
				out.Why = "line " + strconv.Itoa(r.Line) + " of the model forbids, and could not be evaluated: " + e.Message
			}
			return out
		}
	}
	lines := make([]string, 0, len(d.Reasons))
	for _, r := range d.Reasons {
		if rule := m.rules.byID(r.PolicyID); rule != nil && len(lines) < 10 {
			lines = append(lines, "line "+strconv.Itoa(rule.Line))
		}
	}
	switch {
	case allowed:
		out.Permitted, out.Why = true, "permitted by "+strings.Join(lines, ", ")+" of the model"
	case len(lines) > 0:
		out.Forbidden, out.Why = true, "forbidden by "+strings.Join(lines, ", ")+" of the model"
	default:
		out.Why = "no policy of the model permits it"
		if len(d.Errors) > 0 {
			out.Why += "; one could not be evaluated: " + d.Errors[0].Message
		}
	}
	return out
}
