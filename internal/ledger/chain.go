package ledger

import (
	"context"
	"fmt"
)

// Chain is what VerifyChain found.
type Chain struct {
	Head    Head
	Changes int    // that were read
	Broken  *Break // the first break; nil when all is well
}

// Break is the first place where the ledger is not what was written.
type Break struct {
	Place
	Kind, ID string // of the object, when the place has one
	What     string // what is wrong
}

// String names the place and what is wrong.
func (b Break) String() string {
	s := fmt.Sprintf("revision %d, change %d", b.Revision, b.Part)
	if b.Kind != "" {
		s += fmt.Sprintf(" (%s %s)", b.Kind, b.ID)
	}
	return s + ": " + b.What
}

// VerifyChain reads every change of the tenant, recomputes its hash, and compares
// numbers, links, head and objects. A break is a finding and not an error. Someone
// who can write to the store could replace the whole chain: to rule that out, keep
// a Head somewhere else and compare.
func (l *Ledger) VerifyChain(ctx context.Context) (out Chain, err error) {
	err = l.View(ctx, func(tx *Tx) error {
		v := verifier{tx: tx}
		if err := v.chain(); err != nil {
			return err
		}
		if v.out.Broken == nil {
			if err := v.objects(); err != nil {
				return err
			}
		}
		out = v.out
		return nil
	})
	return out, err
}

type verifier struct {
	tx   *Tx
	last Change // the one before
	out  Chain
}

func (v *verifier) chain() (err error) {
	if v.out.Head, err = v.tx.r.Head(v.tx.ctx); err != nil {
		return err
	}
	for q := (ChangeQuery{Limit: mostLimit}); ; {
		rows, err := v.tx.r.Changes(v.tx.ctx, q)
		if err != nil {
			return err
		}
		for _, c := range rows {
			v.out.Changes++
			if what := v.wrong(&c); what != "" {
				v.out.Broken = &Break{Place: Place{c.Revision, c.Part}, Kind: c.Kind, ID: c.ID, What: what}
				return nil
			}
			v.last = c
			q.Place = Place{c.Revision, c.Part}
		}
		if len(rows) < mostLimit {
			break
		}
	}
	end := Break{Place: Place{v.last.Revision, v.last.Part}}
	switch {
	case v.last.Part != v.last.Parts:
		end.What = fmt.Sprintf("the revision has %d changes, but only %d are there", v.last.Parts, v.last.Part)
	case v.last.Revision != v.out.Head.Revision:
		end.What = fmt.Sprintf("the chain ends here, but the head is at revision %d", v.out.Head.Revision)
	case v.last.Hash != v.out.Head.Hash:
		end.What = "the head has another hash than the last change"
	default:
		return nil
	}
	v.out.Broken = &end
	return nil
}

// wrong says what is wrong with a change that follows the last one.
func (v *verifier) wrong(c *Change) string {
	switch {
	case v.last.Part < v.last.Parts && (c.Revision != v.last.Revision || c.Part != v.last.Part+1 || c.Parts != v.last.Parts):
		return fmt.Sprintf("change %d of revision %d should be here", v.last.Part+1, v.last.Revision)
	case v.last.Part == v.last.Parts && (c.Revision != v.last.Revision+1 || c.Part != 1):
		return fmt.Sprintf("revision %d should be here", v.last.Revision+1)
	case c.Previous != v.last.Hash:
		return "it does not hold the hash of the change before"
	case c.Digest() != c.Hash:
		return "its content does not have its hash"
	}
	return ""
}

// objects compares every object with the change that wrote it last. Both lists
// are in the order of ids, so they are read side by side.
func (v *verifier) objects() error {
	if v.out.Head.Revision == 0 {
		return nil
	}
	for _, kind := range v.tx.ledger.registry.Kinds() {
		stored := reader{tx: v.tx, q: ObjectQuery{Kind: kind, Limit: mostLimit}}
		written := reader{tx: v.tx, q: ObjectQuery{Kind: kind, Limit: mostLimit, At: v.out.Head.Revision}}
		for v.out.Broken == nil {
			s, err := stored.peek()
			if err != nil {
				return err
			}
			w, err := written.peek()
			if err != nil {
				return err
			}
			if s == nil && w == nil {
				break
			}
			switch {
			case w == nil || s != nil && s.ID < w.ID:
				v.object(*s, "the object is there, but no change made it")
			case s == nil || w.ID < s.ID:
				v.object(*w, "the object is missing")
			case !w.same(*s) || w.Revision != s.Revision:
				v.object(*w, "the object is not what its last change wrote")
			}
			stored.next()
			written.next()
		}
	}
	return nil
}

func (v *verifier) object(r Record, what string) {
	if v.out.Broken == nil {
		v.out.Broken = &Break{Place: Place{Revision: r.Revision}, Kind: r.Kind, ID: r.ID, What: what}
	}
}
