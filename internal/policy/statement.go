package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"gatehouse/internal/spec"
)

// What a condition stands in while Cedar reads it. The expression is on lines of its own,
// so that a comment at its end ends before the bracket.
const (
	conditionHead = "permit (principal, action, resource) when {\n"
	conditionTail = "\n};"
)

// policy compiles the statements of a named policy.
func (b *book) policy(p spec.Policy) ([]*Rule, []Problem) {
	path := spec.PathPolicy(p.Name)
	list, words, problems := parse(path, p.Text, 0)
	if problems != nil {
		return nil, problems
	}
	if len(list) == 0 {
		return nil, []Problem{{Path: path, Message: "the policy says nothing: write forbid (principal, action, resource) when { ... };"}}
	}
	var rules []*Rule
	for i, statement := range list {
		end := len(p.Text)
		if i+1 < len(list) {
			end = list[i+1].Position().Offset
		}
		c := &checker{names: b.ofAll(), path: path, text: p.Text, words: within(words, statement.Position().Offset, end)}
		if statement.Effect() == cedar.Permit {
			c.problem(word{}, "an organization's policies can only tighten: write forbid, with the opposite condition")
		}
		rules = append(rules, c.rule(p.Name, statement))
		problems = append(problems, c.problems...)
	}
	return rules, problems
}

// condition compiles the condition of an operation: exactly one expression.
func (b *book) condition(a *spec.API, r *spec.Route) (*Rule, []Problem) {
	path := spec.PathRoute(a.Name, r.Method, r.Path, "when")
	if d, balanced := depth(scan(r.When)); !balanced || d > maxDepth {
		return nil, []Problem{{Path: path, Line: 1, Column: 1, Width: 1, Message: "a condition is one expression whose brackets all close"}}
	}
	whole := conditionHead + r.When + conditionTail
	list, words, problems := parse(path, whole, len(conditionHead))
	if problems != nil {
		return nil, problems
	}
	if len(list) != 1 || len(tree(list[0]).Conditions) != 1 {
		return nil, []Problem{{Path: path, Line: 1, Column: 1, Width: 1, Message: "a condition is one expression, without when, unless and ;"}}
	}
	c := &checker{names: b.ofOne(r), path: path, text: whole, before: len(conditionHead), words: within(words, len(conditionHead), len(whole)-len(conditionTail))}
	rule := c.rule("", list[0])
	rule.Text, rule.Line = strings.Join(strings.Fields(r.When), " "), 1
	return rule, c.problems
}

// rule checks a statement and makes it a rule.
func (c *checker) rule(name string, p *cedar.Policy) *Rule {
	t := tree(p)
	c.scope(t)
	shadow := c.annotations(t, name)
	for _, cond := range t.Conditions {
		c.boolean(cond.Body)
	}
	c.guards()
	if c.work > MaxWork {
		c.problem(word{}, "this is more than every request can be measured by: at most %d operations in one statement", MaxWork)
	}
	r := &Rule{Name: name, Line: p.Position().Line, Shadow: shadow, policy: p, uses: c.uses, work: c.work}
	r.screen, r.whole = screenOf(t, c.optional)
	if name != "" {
		r.beginning = beginning(t, c.optional)
	}
	return r
}

// annotations checks what stands before a statement, and reports whether the
// statement is only tried out.
func (c *checker) annotations(t *ast.Policy, policy string) (shadow bool) {
	known := []string{"shadow", "id", "description"}
	for _, a := range t.Annotations {
		var at word
		for i := range c.words {
			if i > 0 && c.words[i-1].text == "@" && c.words[i].text == string(a.Key) {
				at = c.words[i]
			}
		}
		switch {
		case !slices.Contains(known, string(a.Key)):
			c.unknown(at, string(a.Key), known, "@%s means nothing here", a.Key)
		case a.Key == "shadow" && policy == "":
			c.problem(at, "a condition is not tried out: it is enforced, or it is not there")
		case a.Key == "shadow":
			shadow = true
		}
	}
	return shadow
}

func tree(p *cedar.Policy) *ast.Policy { return (*ast.Policy)(p.AST()) }

func within(words []word, from, to int) []word {
	return slices.DeleteFunc(slices.Clone(words), func(w word) bool { return w.at < from || w.at >= to })
}

// scope checks the head of a statement and notes which operations it can be for.
func (c *checker) scope(t *ast.Policy) {
	if c.head(t.Principal) {
		c.uses.parents = true
	}
	c.head(t.Action)
	c.head(t.Resource)
	_, anyAction := t.Action.(ast.ScopeTypeAll)
	_, anyResource := t.Resource.(ast.ScopeTypeAll)
	if anyAction && anyResource {
		return
	}
	c.uses.scoped = true
	c.uses.reach = func(action, api types.EntityUID) bool {
		return scopeTakes(t.Action, action) && scopeTakes(t.Resource, api)
	}
}

// head checks what one part of a head names, and reports whether it asks for membership.
func (c *checker) head(n ast.IsScopeNode) (membership bool) {
	c.work++
	switch v := n.(type) {
	case ast.ScopeTypeEq:
		c.entity(v.Entity)
	case ast.ScopeTypeIn:
		c.entity(v.Entity)
		return true
	case ast.ScopeTypeInSet:
		for _, e := range v.Entities {
			c.entity(e)
		}
		return true
	case ast.ScopeTypeIs:
		c.entityType(v.Type)
	case ast.ScopeTypeIsIn:
		c.entityType(v.Type)
		c.entity(v.Entity)
		return true
	}
	return false
}

// scopeTakes reports whether a part of a head takes an entity that is in nothing.
func scopeTakes(n ast.IsScopeNode, e types.EntityUID) bool {
	switch v := n.(type) {
	case ast.ScopeTypeEq:
		return v.Entity == e
	case ast.ScopeTypeIn:
		return v.Entity == e
	case ast.ScopeTypeInSet:
		return slices.Contains(v.Entities, e)
	case ast.ScopeTypeIs:
		return v.Type == e.Type
	case ast.ScopeTypeIsIn:
		return v.Type == e.Type && v.Entity == e
	default:
		return true
	}
}

// complaint is how Cedar's parser says where and what.
var complaint = regexp.MustCompile(`<input>:(\d+):(\d+)(?: "(?s:.*?)")?: (?s:(.*))$`)

// parse reads Cedar text whose first bytes, before, are not the author's.
func parse(path, whole string, before int) (cedar.PolicyList, []word, []Problem) {
	wrong := func(line, column int, format string, args ...any) []Problem {
		return []Problem{{Path: path, Line: line, Column: column, Width: 1, Message: fmt.Sprintf(format, args...)}}
	}
	if len(whole)-before > MaxText {
		return nil, nil, wrong(0, 0, "a policy has at most %d KiB", MaxText>>10)
	}
	words := scan(whole)
	if d, _ := depth(words); d > maxDepth {
		return nil, nil, wrong(0, 0, "brackets are nested more than %d deep", maxDepth)
	}
	for _, w := range words {
		if w.text == "/" && !w.quoted { // the parser takes other comments than the language has
			line, column := place(whole[before:], w.at-before)
			return nil, nil, wrong(line, column, "Cedar has no / but in comments, which begin with //")
		}
	}
	list, err := cedar.NewPolicyListFromBytes("", []byte(whole))
	if err == nil {
		return list, words, nil
	}
	m := complaint.FindStringSubmatch(err.Error())
	if m == nil {
		return nil, nil, wrong(1, 1, "this is not Cedar")
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	written := strings.Count(whole[before:], "\n") + 1
	if before > 0 {
		line--
		written -= strings.Count(conditionTail, "\n")
	}
	if line < 1 || line > written || before > 0 && line == written && strings.HasSuffix(whole, conditionTail) && strings.Contains(m[3], "got ;") {
		return nil, nil, wrong(max(1, min(line, written)), 1, "this is not complete: %s", inWords(m[3]))
	}
	// Cedar points behind what it could not read.
	return nil, nil, wrong(line, max(1, column-1), "this is not Cedar: %s", inWords(m[3]))
}

// expected is the parser's commonest complaint.
var expected = regexp.MustCompile(`^exact got (.*) want (.*)$`)

// inWords turns the parser's complaint into a sentence.
func inWords(complaint string) string {
	m := expected.FindStringSubmatch(complaint)
	switch {
	case m == nil:
		return complaint
	case m[1] == "":
		return "the text ends where " + m[2] + " belongs"
	case m[1] == "=":
		return "to compare, write =="
	default:
		return "there is " + m[1] + " where " + m[2] + " belongs"
	}
}
