// Package policy is the door to Cedar: it compiles the policies of an organization
// and the conditions of operations, and decides requests by them.
//
// Compiling is strict, so that a policy says what its author means. Every name is
// checked: attributes, operations, APIs and zones that do not exist are errors
// with their place in the text. Comparing values that can never be equal is an
// error. An organization's policies only forbid, so that adding one never lets
// anybody in; a condition is one expression. Text, depth and work are bounded.
//
// Deciding fails closed: what cannot be evaluated denies. The room must not know
// files, tokens or connections: it is given plain descriptions and facts.
package policy

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

// Bounds of what is compiled.
const (
	MaxText       = 16 << 10 // bytes of a policy or a condition
	MaxStatements = 1000     // of all policies
	MaxWork       = 500      // operations in one statement or condition
	MaxTotalWork  = 20_000   // operations in all policies together
	maxDepth      = 64       // nested brackets
)

// Types of entities.
const (
	typeUser      = "User"
	typeApp       = "App"
	typeAnonymous = "Anonymous"
	typeGroup     = "Group"
	typeAction    = "Action"
	typeAPI       = "API"
)

// Problem is what is wrong with a policy or a condition.
type Problem struct {
	// Path is the setting, as package spec names it.
	Path string
	// Line and Column are the place in the text, in characters from 1; Line 0 is the text
	// as a whole. Width is the number of characters meant.
	Line, Column, Width int
	// Message says what is wrong and what to do. It names words of the text, never values from elsewhere.
	Message string
	// Word is an unknown word, and Known the words that would have been right.
	Word  string
	Known []string
}

// Field returns the problem as a field error.
func (p Problem) Field() fault.Field {
	m := p.Message
	if p.Line > 0 {
		m = fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, m)
	}
	if len(p.Known) > 0 {
		known := p.Known
		if len(known) > 20 {
			known = append(slices.Clone(known[:20]), "…")
		}
		m += ": known are " + strings.Join(known, ", ")
	}
	return fault.Field{Path: p.Path, Message: m}
}

// Err returns the problems as one invalid-input fault, or nil.
func Err(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	fields := make([]fault.Field, len(problems))
	for i, p := range problems {
		fields[i] = p.Field()
	}
	return fault.New(fault.Invalid, "policies and conditions cannot be enforced as they are").WithFields(fields...)
}

// Rule is one compiled statement: of a policy, or a condition. Immutable.
type Rule struct {
	// Name is the policy's; empty for a condition.
	Name string
	// Line is where the statement begins in its text, from 1.
	Line int
	// Text is a condition's expression; empty for a policy.
	Text string
	// Shadow says that the statement is only tried out: @shadow stands before it.
	Shadow bool

	number    int // of a policy's statement, from 1; 0 for a condition
	policy    *cedar.Policy
	beginning *cedar.Policy // what it asks of the caller first; nil: nothing
	screen    []test        // what it asks first that cannot fail
	whole     bool          // the screen is all of it
	uses      uses
	work      int
}

// Compiled are the rules of a snapshot. Immutable.
type Compiled struct {
	policies   []*Rule
	conditions map[string]*Rule // by spec.PathRoute
	claims     []string         // that any rule names, sorted
	headers    []string         // that any rule names, sorted
	attributes map[string]bool  // of callers, that any rule names
	context    uint16           // that any rule reads
	parents    bool             // some rule asks whether the caller is in something
	beginnings *ruleList        // of the policies that begin with the caller
	plain      *ruleList        // all that are enforced, when none is only for some operations
	shadow     *ruleList        // all that are tried out, likewise
	nobody     *Principal
}

// Compile compiles every policy and every condition of a snapshot. It returns what
// is wrong with them, in the order of the snapshot, or the rules; nil rules when the
// snapshot has none. What the snapshot itself has wrong is not looked at.
func Compile(s *spec.Snapshot) (*Compiled, []Problem) {
	c := &Compiled{conditions: map[string]*Rule{}}
	b := newBook(s)
	var problems []Problem
	work := 0
	for _, p := range s.Policies {
		rules, wrong := b.policy(p)
		problems = append(problems, wrong...)
		c.policies = append(c.policies, rules...)
		for _, r := range rules {
			work += r.work
		}
		if len(c.policies) > MaxStatements || work > MaxTotalWork {
			return nil, append(problems, Problem{
				Path:    spec.PathPolicy(p.Name),
				Message: fmt.Sprintf("the policies are more than every request can be measured by: at most %d statements with %d operations together", MaxStatements, MaxTotalWork),
			})
		}
	}
	for i := range s.APIs {
		a := &s.APIs[i]
		for j := range a.Routes {
			if a.Routes[j].When == "" {
				continue
			}
			r, wrong := b.condition(a, &a.Routes[j])
			problems = append(problems, wrong...)
			if r != nil {
				c.conditions[spec.PathRoute(a.Name, a.Routes[j].Method, a.Routes[j].Path)] = r
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if len(c.policies)+len(c.conditions) == 0 {
		return nil, nil
	}
	c.finish()
	return c, nil
}

// finish collects what the rules need together.
func (c *Compiled) finish() {
	c.attributes = map[string]bool{}
	collect := func(r *Rule) {
		c.claims = append(c.claims, r.uses.claims...)
		c.headers = append(c.headers, r.uses.headers...)
		c.parents = c.parents || r.uses.parents
		c.context |= r.uses.context
		for _, name := range r.uses.principal {
			c.attributes[name] = true
		}
	}
	var beginnings []*Rule
	for i, r := range c.policies {
		collect(r)
		r.number = i + 1
		if r.beginning != nil {
			beginnings = append(beginnings, &Rule{number: r.number, policy: r.beginning})
		}
	}
	c.beginnings = newRuleList(beginnings)
	for _, r := range c.conditions {
		collect(r)
	}
	slices.Sort(c.claims)
	c.claims = slices.Compact(c.claims)
	slices.Sort(c.headers)
	c.headers = slices.Compact(c.headers)
	c.nobody = c.Principal(Caller{})
	if !slices.ContainsFunc(c.policies, func(r *Rule) bool { return r.uses.scoped }) {
		c.plain, c.shadow = c.pick(false, always), c.pick(true, always)
	}
}

// pick returns the policies that are tried out, or enforced, and that reach an operation.
func (c *Compiled) pick(shadow bool, reaches func(*Rule) bool) *ruleList {
	var list []*Rule
	for _, r := range c.policies {
		if r.Shadow == shadow && reaches(r) {
			list = append(list, r)
		}
	}
	return newRuleList(list)
}

func always(*Rule) bool { return true }

// Places reports whether any rule asks in which country, or in whose network, a
// client is.
func (c *Compiled) Places() (country, asn bool) {
	return c != nil && c.context&readsCountry != 0, c != nil && c.context&readsASN != 0
}

// Claims returns the names of the claims that any rule reads, sorted.
func (c *Compiled) Claims() []string {
	if c == nil {
		return nil
	}
	return c.claims
}

// Headers returns the names of the request headers that any rule reads, sorted.
func (c *Compiled) Headers() []string {
	if c == nil {
		return nil
	}
	return c.headers
}

// Nobody returns the caller of a public operation.
func (c *Compiled) Nobody() *Principal { return c.nobody }

// For returns what applies to an operation, nil when nothing does.
func (c *Compiled) For(a *spec.API, r *spec.Route) *Set {
	if c == nil {
		return nil
	}
	s := &Set{
		action:    types.NewEntityUID(typeAction, types.String(ActionOf(a, r))),
		api:       types.NewEntityUID(typeAPI, types.String(a.Name)),
		condition: c.conditions[spec.PathRoute(a.Name, r.Method, r.Path)],
		params:    paramsOf(r.Path),
	}
	s.rules, s.shadow = c.plain, c.shadow
	if c.plain == nil {
		here := func(p *Rule) bool { return p.uses.reaches(s.action, s.api) }
		s.rules, s.shadow = c.pick(false, here), c.pick(true, here)
	}
	if s.condition != nil {
		s.rules = newRuleList(append(slices.Clone(s.rules.rules), s.condition))
	}
	if len(s.rules.rules)+len(s.shadow.rules) == 0 {
		return nil
	}
	return s
}

// ActionOf returns the name of an operation, as a policy writes it:
// Action::"GET /hr/vacations/{user}", with the base path.
func ActionOf(a *spec.API, r *spec.Route) string { return r.Method + " " + a.BasePath + r.Path }

// paramsOf returns the names of a template's parameters in order.
func paramsOf(path string) []string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}") {
			out = append(out, seg[1:len(seg)-1])
		}
	}
	return out
}

// ruleList is what Cedar is given to evaluate, with the needs of all of it.
type ruleList struct {
	rules []*Rule
	ids   []types.PolicyID
	uses  uses
}

func newRuleList(rules []*Rule) *ruleList {
	l := &ruleList{rules: rules}
	for i, r := range rules {
		l.ids = append(l.ids, types.PolicyID(strconv.Itoa(i)))
		l.uses.add(&r.uses)
	}
	return l
}

// All implements cedar.PolicyIterator.
func (l *ruleList) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i, r := range l.rules {
			if !yield(l.ids[i], r.policy) {
				return
			}
		}
	}
}

// byID returns the rule that Cedar names.
func (l *ruleList) byID(id types.PolicyID) *Rule {
	i, err := strconv.Atoi(string(id))
	if err != nil || i < 0 || i >= len(l.rules) {
		return nil
	}
	return l.rules[i]
}
