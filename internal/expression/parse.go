// Package expression is the safe subset of Okta's expression language, in its
// classic dialect: conditions of group rules and values of claims. An expression
// is compiled once and evaluated with bounded cost; it has no loops, calls
// nothing but a closed table of functions, and reaches nothing but what its
// environment shows. The package must not know users, stores or HTTP.
package expression

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// Bounds of an expression.
const (
	maxBytes = 4096
	maxNodes = 500
	maxDepth = 40
)

// Expression is a compiled expression. It is immutable.
type Expression struct {
	root node
	text string
}

// String returns the text that the expression was compiled from.
func (e *Expression) String() string { return e.text }

// Compile returns the expression of the text, or fault.Invalid that says where it
// is wrong.
func Compile(text string) (*Expression, error) {
	p := &parser{text: text}
	if len(text) > maxBytes || !utf8.ValidString(text) {
		return nil, p.wrong("is longer than 4096 bytes or is not text")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	root, err := p.choice(0)
	if err != nil {
		return nil, err
	}
	if p.kind != end {
		return nil, p.wrong("expected an operator or the end")
	}
	if p.maps > 0 {
		p.begin = 0
		return nil, p.wrong("a map is for user.getGroups and user.isMemberOf alone")
	}
	return &Expression{root: root, text: text}, nil
}

type kind int

const (
	end kind = iota
	name
	text
	num
	sign
)

type parser struct {
	text  string
	at    int // behind the token
	begin int // of the token
	kind  kind
	word  string
	value float64
	nodes int
	maps  int // read, and not yet taken by a function of groups
}

func (p *parser) wrong(what string) error {
	return fault.New(fault.Invalid, "the expression is wrong at character %d: %s", utf8.RuneCountInString(p.text[:min(p.begin, len(p.text))])+1, what)
}

// next reads one token.
func (p *parser) next() error {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.begin = p.at
	if p.at == len(p.text) {
		p.kind, p.word = end, ""
		return nil
	}
	switch c := p.text[p.at]; {
	case letter(c):
		for p.at < len(p.text) && (letter(p.text[p.at]) || digit(p.text[p.at])) {
			p.at++
		}
		p.kind, p.word = name, p.text[p.begin:p.at]
	case digit(c):
		return p.number()
	case c == '"' || c == '\'':
		return p.quoted(c)
	default:
		p.kind, p.word = sign, p.text[p.at:p.at+1]
		for _, two := range [...]string{"==", "!=", "<=", ">=", "&&", "||", "?:"} {
			if strings.HasPrefix(p.text[p.at:], two) {
				p.word = two
			}
		}
		if len(p.word) == 1 && !strings.Contains("()<>!?:+-,.{}[]", p.word) {
			return p.wrong("unexpected character")
		}
		p.at += len(p.word)
	}
	return nil
}

func (p *parser) number() error {
	for p.at < len(p.text) && (digit(p.text[p.at]) || p.text[p.at] == '.' && p.at+1 < len(p.text) && digit(p.text[p.at+1])) {
		p.at++
	}
	if p.at < len(p.text) && letter(p.text[p.at]) {
		return p.wrong("a number has digits alone")
	}
	v, err := strconv.ParseFloat(p.text[p.begin:p.at], 64)
	if err != nil {
		return p.wrong("is not a number")
	}
	p.kind, p.word, p.value = num, "", v
	return nil
}

// quoted reads a text. A backslash is a character like others; the quote doubled
// stands for itself.
func (p *parser) quoted(quote byte) error {
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		if p.text[i] != quote {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		p.kind, p.word, p.at = text, b.String(), i+1
		return nil
	}
	return p.wrong("the text has no closing quote")
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// take reads on when the token is the sign.
func (p *parser) take(s string) (bool, error) {
	if p.kind != sign || p.word != s {
		return false, nil
	}
	return true, p.next()
}

func (p *parser) expect(s string) error {
	ok, err := p.take(s)
	if err == nil && !ok {
		err = p.wrong("expected " + s)
	}
	return err
}

// is returns the operator that the token is, if it is one of the list; words
// stand for signs whatever their case.
func (p *parser) is(list ...string) string {
	w := p.word
	switch p.kind {
	case name:
		switch strings.ToLower(w) {
		case "and":
			w = "&&"
		case "or":
			w = "||"
		case "not":
			w = "!"
		case "eq":
			w = "=="
		case "ne":
			w = "!="
		case "matches":
			w = "matches"
		default:
			return ""
		}
	case sign:
	case end, text, num:
		return ""
	}
	for _, s := range list {
		if s == w {
			return s
		}
	}
	return ""
}

func (p *parser) made(depth int) error {
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		return p.wrong("is too large or nested too deeply")
	}
	return nil
}

// choice reads a ? b : c and a ?: b, which bind the weakest.
func (p *parser) choice(depth int) (node, error) {
	if err := p.made(depth); err != nil {
		return nil, err
	}
	cond, err := p.binary(0, depth+1)
	if err != nil {
		return nil, err
	}
	if ok, err := p.take("?:"); err != nil || ok {
		if err != nil {
			return nil, err
		}
		other, err := p.choice(depth + 1)
		return &elvis{cond, other}, err
	}
	if ok, err := p.take("?"); err != nil || !ok {
		return cond, err
	}
	yes, err := p.choice(depth + 1)
	if err != nil {
		return nil, err
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	no, err := p.choice(depth + 1)
	return &choice{cond, yes, no}, err
}

// levels are the binary operators, the weakest first.
var levels = [...][]string{{"||"}, {"&&"}, {"==", "!=", "<", "<=", ">", ">=", "matches"}, {"+", "-"}}

// comparisons is the level that does not chain.
const comparisons = 2

func (p *parser) binary(level, depth int) (node, error) {
	if level == len(levels) {
		return p.unary(depth)
	}
	left, err := p.binary(level+1, depth)
	for err == nil {
		op := p.is(levels[level]...)
		if op == "" {
			return left, nil
		}
		if err := p.made(depth); err != nil {
			return nil, err
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		right, e := p.binary(level+1, depth)
		if e != nil {
			return nil, e
		}
		if left, err = newBinary(p, op, left, right); err != nil {
			return nil, err
		}
		if level == comparisons {
			return left, nil
		}
	}
	return nil, err
}

func (p *parser) unary(depth int) (node, error) {
	if err := p.made(depth); err != nil {
		return nil, err
	}
	op := p.is("!", "-")
	if op == "" {
		return p.primary(depth)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	of, err := p.unary(depth + 1)
	return &unary{op, of}, err
}

func (p *parser) primary(depth int) (node, error) {
	switch p.kind {
	case text:
		v := &literal{p.word}
		return v, p.next()
	case num:
		v := &literal{p.value}
		return v, p.next()
	case name:
		return p.named(depth)
	case sign:
		if ok, err := p.take("("); err != nil || ok {
			if err != nil {
				return nil, err
			}
			in, err := p.choice(depth + 1)
			if err != nil {
				return nil, err
			}
			return in, p.expect(")")
		}
		if ok, err := p.take("{"); err != nil || ok {
			if err != nil {
				return nil, err
			}
			return p.braces(depth)
		}
	case end:
	}
	return nil, p.wrong("expected a value")
}

// braces reads a list or a map.
func (p *parser) braces(depth int) (node, error) {
	if ok, err := p.take("}"); err != nil || ok {
		return &list{}, err
	}
	first, err := p.choice(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.kind == sign && p.word == ":" {
		return p.mapping(first, depth)
	}
	items, err := p.more(first, "}", depth)
	return &list{items}, err
}

// items reads expressions up to the closing sign.
func (p *parser) items(closing string, depth int) ([]node, error) {
	if ok, err := p.take(closing); err != nil || ok {
		return nil, err
	}
	first, err := p.choice(depth + 1)
	if err != nil {
		return nil, err
	}
	return p.more(first, closing, depth)
}

// more reads the expressions behind the first one, up to the closing sign.
func (p *parser) more(n node, closing string, depth int) ([]node, error) {
	var out []node
	for {
		out = append(out, n)
		if ok, err := p.take(closing); err != nil || ok {
			return out, err
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
		var err error
		if n, err = p.choice(depth + 1); err != nil {
			return nil, err
		}
	}
}

// named reads a constant, an attribute or a call.
func (p *parser) named(depth int) (node, error) {
	begin, path := p.begin, p.word
	if err := p.next(); err != nil {
		return nil, err
	}
	switch strings.ToLower(path) {
	case "true":
		return &literal{true}, nil
	case "false":
		return &literal{false}, nil
	case "null":
		return &literal{nil}, nil
	}
	for {
		if ok, err := p.take("."); err != nil {
			return nil, err
		} else if !ok {
			break
		}
		if p.kind != name {
			return nil, p.wrong("expected a name behind the dot")
		}
		path += "." + p.word
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if ok, err := p.take("("); err != nil || !ok {
		return &attribute{path}, err
	}
	args, err := p.items(")", depth)
	if err != nil {
		return nil, err
	}
	at := p.begin
	p.begin = begin
	n, err := newCall(p, path, args)
	if err != nil {
		return nil, err
	}
	p.begin = at
	if ok, err := p.take("."); err != nil || !ok {
		return n, err
	}
	return p.projection(n)
}
