package webtest

import (
	"slices"
	"text/template/parse"
)

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
			if ok && slices.Contains([]string{"t", "rich", "linked", "count", "richly"}, f.Ident) && i+1 < len(n.Args) {
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
