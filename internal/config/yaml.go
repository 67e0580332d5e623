package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file's YAML, checked on its tokens before the recursive parser
// sees them.
const (
	mostDepth  = 40      // brackets, or dashes of one line, within one another
	mostTokens = 600_000 // scalars and signs
	mostKeys   = 40_000
)

// source is the text of one file.
type source struct {
	name  string
	lines []string
}

// parseYAML turns one file into a tree. What is no YAML, or is YAML that this
// grammar does not take (several documents, anchors, tags, tabs), is a problem.
func parseYAML(name string, data []byte) (root *node, src source, problems Problems) {
	src = source{name: name}
	if len(data) > MaxFileBytes {
		return nil, src, Problems{{Position: Position{File: name}, Message: fmt.Sprintf("the file is larger than %d MiB", MaxFileBytes>>20)}}
	}
	body := strings.TrimPrefix(string(data), "\ufeff")
	body = strings.ReplaceAll(body, "\r\n", "\n")
	src.lines = strings.Split(body, "\n")
	if problems = checkCharacters(src); len(problems) > 0 {
		return nil, src, problems
	}
	defer func() {
		// The library is fuzzed less than the files it is given: a panic of it is
		// an unreadable file, not the end of a running gateway.
		if r := recover(); r != nil {
			root = nil
			problems = append(problems, Problem{Position: Position{File: name, Line: 1, Column: 1}, Message: "the file cannot be read as YAML"})
		}
	}()
	tokens := lexer.Tokenize(body)
	if problems = checkTokens(name, tokens); len(problems) > 0 {
		return nil, src, problems
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, src, Problems{syntaxProblem(name, err)}
	}
	r := reader{name: name}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			r.problem(doc.Body.GetToken(), "a file is one document: nothing may follow --- or ...")
			break
		}
		root = r.node(doc.Body, 0)
	}
	if root == nil {
		root = &node{at: Position{File: name, Line: 1, Column: 1}, width: 1}
	}
	return root, src, r.problems
}

// checkCharacters refuses what cannot be seen, and tabs.
func checkCharacters(src source) Problems {
	var problems Problems
	add := func(line, column int, message string) {
		problems = append(problems, Problem{Position: Position{src.name, line + 1, column}, Message: message, Width: 1})
	}
	for i, line := range src.lines {
		if !utf8.ValidString(line) {
			valid := strings.ToValidUTF8(line, "\ufffd")
			add(i, utf8.RuneCountInString(valid[:strings.Index(valid, "\ufffd")])+1, "the file is not valid UTF-8 here")
			continue
		}
		column := 0
		for _, r := range line {
			column++
			switch {
			case r == '\t':
				add(i, column, `a tab: use spaces, and "\t" inside of quotes`)
			case r < ' ' || r >= 0x7f && r < 0xa0:
				add(i, column, fmt.Sprintf("the control character U+%04X is not allowed", r))
			case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff || r == 0x2028 || r == 0x2029 || r == 0x200e || r == 0x200f:
				add(i, column, fmt.Sprintf("the invisible character U+%04X is not allowed: it makes text look like what it is not", r))
			default:
				continue
			}
			break
		}
		if len(problems) > MaxProblems {
			break
		}
	}
	return problems
}

// checkTokens refuses what the grammar never takes, and bounds depth and number.
func checkTokens(name string, tokens token.Tokens) Problems {
	r := reader{name: name}
	if len(tokens) > mostTokens {
		return Problems{{Position: Position{File: name}, Message: "the file has too many values: split it into a folder of files"}}
	}
	depth, dashes, line, keys := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType:
			r.problem(t, "anchors (&name) are not part of this grammar: write the value where it is used")
		case token.AliasType:
			r.problem(t, `aliases (*name) are not part of this grammar: for any method write ANY or "* /path" in quotes`)
		case token.TagType:
			r.problem(t, "tags (!name) are not part of this grammar: put text that looks like something else in quotes")
		case token.MergeKeyType:
			r.problem(t, "merge keys (<<) are not part of this grammar")
		case token.DirectiveType:
			r.problem(t, "directives (%%) are not part of this grammar")
		case token.MappingKeyType:
			r.problem(t, "a key is written without ? in front of it")
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			dashes++
		case token.MappingValueType:
			keys++
		default:
		}
		if depth > mostDepth || dashes > mostDepth {
			r.problem(t, "the file is nested too deeply")
		}
		if len(r.problems) > MaxProblems || depth > mostDepth || dashes > mostDepth {
			return r.problems
		}
	}
	if keys > mostKeys {
		r.problems = append(r.problems, Problem{Position: Position{File: name}, Message: fmt.Sprintf("the file has more than %d keys: split it into a folder of files", mostKeys)})
	}
	return r.problems
}

// syntaxProblem turns an error of the parser into a problem with its place.
func syntaxProblem(name string, err error) Problem {
	p := Problem{Position: Position{File: name, Line: 1, Column: 1}, Message: "the file cannot be read as YAML", Width: 1}
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) {
		return p
	}
	p.Message = "not YAML: " + hint(syntax.Message)
	if syntax.Token != nil && syntax.Token.Position != nil {
		p.Line, p.Column = max(1, syntax.Token.Position.Line), max(1, syntax.Token.Position.Column)
	}
	return p
}

// hints say what to do about the parser's commonest complaints.
var hints = []struct{ part, say string }{
	{"mapping value is not allowed", "a second colon in one line: put text that holds \": \" in quotes"},
	{"reserved character", "text that begins with @ or ` is put in quotes"},
	{"non-map value is specified", "a key and a colon are expected here, as the lines above have them"},
	{"unexpected key name", "the key has no value and no colon, or the indentation is wrong"},
	{"value is not allowed in this context", "this does not belong here: check the indentation of this line and the one before"},
	{"sequence end token", "the list that begins with [ is not closed by ]"},
	{"',' or '", "a comma is missing; or text that holds {, }, [, ] or a comma has to be put in quotes here"},
	{"map key-value is pre-defined", "text that holds {, }, [, ] or \": \" is put in quotes"},
	{"could not find flow map", "the group that begins with { is not complete: { key: value, key: value }"},
	{"end character of", "the quotes are not closed"},
}

func hint(message string) string {
	for _, h := range hints {
		if strings.Contains(message, h.part) {
			return h.say
		}
	}
	// The parser quotes the offending text in some messages, and that could be a
	// secret: what is not known by heart is not repeated.
	return "check the indentation, quotes and brackets of this line and the one before"
}

// reader turns the library's tree into ours.
type reader struct {
	name     string
	problems Problems
}

func (r *reader) position(t *token.Token) Position {
	if t == nil || t.Position == nil {
		return Position{File: r.name, Line: 1, Column: 1}
	}
	return Position{File: r.name, Line: max(1, t.Position.Line), Column: max(1, t.Position.Column)}
}

func (r *reader) problem(t *token.Token, format string, args ...any) {
	p := Problem{Position: r.position(t), Message: fmt.Sprintf(format, args...), Width: 1}
	if t != nil {
		p.Width = widthOf(t.Value)
	}
	r.problems = append(r.problems, p)
}

func (r *reader) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{at: Position{File: r.name, Line: 1, Column: 1}, width: 1}
	}
	t := n.GetToken()
	if depth > mostDepth*4 {
		r.problem(t, "the file is nested too deeply")
		return &node{at: r.position(t), width: 1, bad: true}
	}
	out := &node{at: r.position(t), width: widthOf(t.Value)}
	switch v := n.(type) {
	case *ast.MappingNode:
		if joined := r.plainWithColon(v); joined != nil {
			return joined
		}
		r.mapping(out, v, depth)
	case *ast.SequenceNode:
		out.kind, out.width = list, 1
		for _, item := range v.Values {
			out.items = append(out.items, r.node(item, depth+1))
		}
		if len(out.items) > 0 && !v.IsFlowStyle {
			out.at, out.width = out.items[0].at, out.items[0].width
		}
	case *ast.StringNode:
		out.kind, out.text = text, v.Value
		if v.Token.Type != token.StringType {
			out.width += 2
		}
	case *ast.LiteralNode:
		out.kind, out.text = text, v.Value.Value
		out.block = v.Start != nil && strings.HasPrefix(v.Start.Value, "|")
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = number, t.Value
	case *ast.BoolNode:
		out.kind, out.text = boolean, strings.ToLower(t.Value)
	case *ast.NullNode:
	default:
		r.problem(t, "this is not part of the grammar")
		out.bad = true
	}
	out.raw = out.text
	return out
}

// plainWithColon returns the scalar that "[a:b]" holds, or nil when v is no such
// thing. YAML says that a colon ends a key only when a space follows; the library
// forgets it in lists within { }.
func (r *reader) plainWithColon(v *ast.MappingNode) *node {
	if v.IsFlowStyle || len(v.Values) != 1 {
		return nil
	}
	e := v.Values[0]
	key, ok := e.Key.(ast.Node)
	if !ok || !touching(key, e) || e.Value == nil || quoted(e.Value) {
		return nil
	}
	if _, scalar := e.Value.(ast.ScalarNode); !scalar {
		return nil
	}
	k, value := key.GetToken(), e.Value.GetToken()
	joined := k.Value + ":" + value.Value
	return &node{kind: text, text: joined, raw: joined, at: r.position(k), width: widthOf(joined)}
}

// touching reports whether neither side of an entry's colon has a space, and the
// key no quotes.
func touching(key ast.Node, e *ast.MappingValueNode) bool {
	if quoted(key) || e.Value == nil || e.Start == nil {
		return false
	}
	k, colon, value := key.GetToken(), e.Start.Position, e.Value.GetToken()
	return k.Position.Line == colon.Line && k.Position.Column+utf8.RuneCountInString(k.Value) == colon.Column &&
		value.Position.Line == colon.Line && value.Position.Column == colon.Column+1
}

func quoted(n ast.Node) bool {
	s, ok := n.(*ast.StringNode)
	return ok && s.Token.Type != token.StringType
}

// mapping reads the entries, and refuses keys that are there twice.
func (r *reader) mapping(out *node, v *ast.MappingNode, depth int) {
	out.kind, out.width = mapping, 1
	seen := map[string]Position{}
	for _, e := range v.Values {
		key, ok := e.Key.(ast.Node)
		if !ok {
			continue
		}
		k := r.node(key, depth+1)
		if k.kind == list || k.kind == mapping || k.kind == nothing {
			r.problem(key.GetToken(), "a key is text")
			continue
		}
		if v.IsFlowStyle && touching(key, e) && e.Value.Type() != ast.NullType {
			r.problem(key.GetToken(), "a space is missing after the colon")
			k.bad = true
		}
		if first, ok := seen[k.text]; ok {
			r.problem(key.GetToken(), "the key %q is here already, at %s", k.text, first)
			continue
		}
		seen[k.text] = k.at
		value := r.node(e.Value, depth+1)
		if value.kind == nothing {
			value.at, value.width = k.at, k.width
		}
		value.bad = value.bad || k.bad
		out.entries = append(out.entries, entry{k, value})
	}
	if len(out.entries) > 0 && !v.IsFlowStyle {
		out.at, out.width = out.entries[0].key.at, out.entries[0].key.width
	}
}
