package scimfilter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func word(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '.' })
}

func TestParse(t *testing.T) {
	strict, loose := Grammar{Elements: true, Attribute: word}, Grammar{Loose: true, Attribute: word}
	is := func(path, op string, v any) *Filter { return &Filter{Path: path, Op: op, Value: v} }
	for _, x := range []struct {
		g    Grammar
		text string
		want *Filter
	}{
		{strict, " ", nil},
		{strict, `a eq "b"`, is("a", "eq", "b")},
		{strict, `a EQ "\u00e9\n"`, is("a", "eq", "é\n")},
		{loose, `a eq "\u00e9\n\"\\"`, is("a", "eq", `\u00e9\n"\`)},
		{loose, `a eq "\\\""`, is("a", "eq", `\"`)},
		{loose, `a eq "x\\"`, is("a", "eq", `x\`)},
		{strict, `a gt -1.5e3`, is("a", "gt", json.Number("-1.5e3"))},
		{strict, `a eq TRUE`, is("a", "eq", true)},
		{strict, `a eq null`, is("a", "eq", nil)},
		{strict, `a pr`, is("a", "pr", nil)},
		{strict, `a pr or b pr and not (c pr)`, &Filter{Op: "or", Parts: []*Filter{
			is("a", "pr", nil), {Op: "and", Parts: []*Filter{is("b", "pr", nil), {Op: "not", Parts: []*Filter{is("c", "pr", nil)}}}},
		}}},
		{strict, `a[b eq "c"]`, &Filter{Path: "a", Op: "any", Inner: is("b", "eq", "c")}},
		{strict, `a[b eq "c"].d co "e"`, &Filter{Path: "a", Op: "co", Value: "e", Inner: is("b", "eq", "c"), Sub: "d"}},
	} {
		got, err := x.g.Parse(x.text)
		if d := cmp.Diff(x.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", x.text, err, d)
		}
	}
	for text, at := range map[string]int{
		`a`: 2, `a is "b"`: 3, `a eq b`: 6, `a eq "b`: 6, `a eq "b" c`: 10, `(a pr`: 6, `a pr)`: 5, `and`: 4, `not a pr`: 5, `é pr`: 1, `a eq "\x"`: 6, `a eq 01`: 6, `a[b pr`: 7, `a[b pr] .c pr`: 9,
		strings.Repeat("(", 60) + "a pr": 22, strings.Repeat("a pr or ", 200) + "a pr": 801, strings.Repeat("x", 5000): 1, "a eq \"\xff\"": 1,
	} {
		var wrong *Error
		if f, err := strict.Parse(text); !errors.As(err, &wrong) || wrong.At != at || f != nil {
			t.Errorf("%.40s: %v, want character %d", text, err, at)
		}
	}
	if _, err := loose.Parse(`a[b pr]`); err == nil {
		t.Error("brackets where there are none")
	}
}

func TestCompareText(t *testing.T) {
	for op, x := range map[string]struct{ yes, no string }{
		"eq": {"abc", "ab"}, "sw": {"ab", "bc"}, "ew": {"bc", "ab"}, "co": {"b", "z"},
		"gt": {"abb", "abc"}, "ge": {"abc", "abd"}, "lt": {"abd", "abc"}, "le": {"abc", "abb"},
	} {
		if !CompareText(op, "abc", x.yes) || CompareText(op, "abc", x.no) {
			t.Errorf("%s", op)
		}
	}
	if CompareText("pr", "a", "a") || Ordered("between", 0) {
		t.Error("what is no comparison of two")
	}
}

// What is read is within its bounds, whatever was sent.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`a eq "b"`, `(a pr or b.c co "x\"") and not (d le -1.5e3)`, `"`, `a eq null`, "((((", `not not a pr`, `a[b eq "c" and d pr].e sw "f"`, `a eq "\`, `a eq "\\"`} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, loose bool) {
		g := Grammar{Elements: !loose, Loose: loose, Attribute: word}
		got, err := g.Parse(text)
		var wrong *Error
		if err != nil && !errors.As(err, &wrong) {
			t.Fatalf("%q: %v", text, err)
		}
		if n, deep := measure(got); n > maxComparisons || deep > 3*maxDepth+3 {
			t.Fatalf("%d comparisons, %d deep", n, deep)
		}
		if _, err := g.ParsePath(text); err != nil && !errors.As(err, &wrong) {
			t.Fatalf("%q as a path: %v", text, err)
		}
	})
}

func measure(f *Filter) (comparisons, depth int) {
	if f == nil {
		return 0, 0
	}
	if f.Path != "" {
		comparisons = 1
	}
	for _, p := range append([]*Filter{f.Inner}, f.Parts...) {
		n, d := measure(p)
		comparisons, depth = comparisons+n, max(depth, d)
	}
	return comparisons, depth + 1
}
