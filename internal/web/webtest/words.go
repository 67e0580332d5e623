package webtest

import (
	"fmt"
	"regexp"
	"slices"
	"text/template/parse"

	"gatehouse/internal/web"
)

var place = regexp.MustCompile(`\{[a-z_]+\}`)

// CheckWords returns what is wrong with texts: a language that lacks one, has one too
// many, or has other places in it than the default language.
func CheckWords(w *web.Words) (wrong []string) {
	want := w.Keys(web.DefaultLanguage)
	for _, lang := range w.Languages() {
		for _, key := range w.Keys(lang) {
			if _, ok := w.Text(web.DefaultLanguage, key); !ok {
				wrong = append(wrong, fmt.Sprintf("%s has %q, and %s has not", lang, key, web.DefaultLanguage))
			}
		}
		for _, key := range want {
			said, ok := w.Text(lang, key)
			if !ok || said == "" {
				wrong = append(wrong, fmt.Sprintf("%s does not say %q", lang, key))
				continue
			}
			original, _ := w.Text(web.DefaultLanguage, key)
			if a, b := places(original), places(said); !slices.Equal(a, b) {
				wrong = append(wrong, fmt.Sprintf("%s: %q has the places %v and not %v", lang, key, b, a))
			}
		}
	}
	return wrong
}

func places(text string) []string {
	all := place.FindAllString(text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// WordsOf returns the keys that a page's templates say by name, sorted.
func WordsOf(p Page) (keys []string) {
	t, _ := p.Template()
	for _, one := range t.Templates() {
		if one.Tree != nil {
			keys = append(keys, wordsIn(one.Tree.Root)...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func wordsIn(n parse.Node) (keys []string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, one := range n.Nodes {
			keys = append(keys, wordsIn(one)...)
		}
	case *parse.ActionNode:
		return wordsIn(n.Pipe)
	case *parse.IfNode:
		return branch(&n.BranchNode)
	case *parse.RangeNode:
		return branch(&n.BranchNode)
	case *parse.WithNode:
		return branch(&n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			return wordsIn(n.Pipe)
		}
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			keys = append(keys, wordsIn(cmd)...)
		}
	case *parse.CommandNode:
		for i, arg := range n.Args {
			f, ok := arg.(*parse.IdentifierNode)
			if ok && f.Ident == "t" && i+1 < len(n.Args) {
				if text, ok := n.Args[i+1].(*parse.StringNode); ok {
					keys = append(keys, text.Text)
				}
			}
			keys = append(keys, wordsIn(arg)...)
		}
	}
	return keys
}

func branch(n *parse.BranchNode) []string {
	return slices.Concat(wordsIn(n.Pipe), wordsIn(n.List), wordsIn(n.ElseList))
}
