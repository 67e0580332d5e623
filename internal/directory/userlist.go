package directory

import (
	"context"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
)

// indexed is how much of the text of an attribute an index has, in bytes.
const indexed = 200

// attributeKey is the index entry of an attribute's text, of which case does not
// count.
func attributeKey(name, text string) ledger.Key { return ledger.By("attribute", name, folded(text)) }

func folded(text string) string {
	text = strings.ToLower(text)
	if len(text) <= indexed {
		return text
	}
	end := indexed
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// attributeKeys returns the index entries of a profile: every attribute that is text,
// or a list with text in it, can be searched.
func attributeKeys(p Profile) []ledger.Key {
	var out []ledger.Key
	add := func(name string, v any) {
		if text, ok := v.(string); ok && text != "" {
			out = append(out, attributeKey(name, text))
		}
	}
	add("firstName", p.FirstName)
	add("lastName", p.LastName)
	for name, v := range p.Attributes {
		add(name, v)
		if list, ok := v.([]any); ok {
			for _, e := range list {
				add(name, e)
			}
		}
	}
	return out
}

// Condition is one that every user of a list fulfils: an attribute, by its name in
// the profile or "status", is equal to a text or begins with it, whatever its case;
// "externalId" is equal to it, case and all.
type Condition struct {
	Attribute, Text string
	Prefix          bool
}

// query returns how the condition is looked up, and how far it narrows: less is
// more. It is not ok for one that no index answers.
func (c Condition) query() (q ledger.Query, rank int, ok bool) {
	text := strings.ToLower(c.Text)
	switch {
	case len(c.Text) > indexed || text == "" && c.Prefix:
		return q, 0, false
	case c.Attribute == "login" && c.Prefix:
		return ledger.Query{By: "login", Prefix: text}, 2, true
	case c.Attribute == "login":
		return ledger.Query{By: "login", Equal: []string{text}}, 0, true
	case c.Attribute == "email" && c.Prefix:
		return ledger.Query{By: "email", Prefix: text}, 2, true
	case c.Attribute == "email":
		return ledger.Query{By: "email", Equal: []string{text}}, 0, true
	case c.Attribute == "externalId" && !c.Prefix:
		return ledger.Query{By: "external", Equal: []string{c.Text}}, 0, true
	case c.Attribute == "externalId":
		return q, 0, false
	case c.Attribute == "status" && !c.Prefix:
		return ledger.Query{By: "status", Equal: []string{strings.ToUpper(c.Text)}}, 4, true
	case c.Attribute == "status":
		return q, 0, false
	case c.Prefix:
		return ledger.Query{By: "attribute", Equal: []string{c.Attribute}, Prefix: text}, 3, true
	}
	return ledger.Query{By: "attribute", Equal: []string{c.Attribute, text}}, 1, true
}

// UserList asks for a page of users. Zero fields do not restrict.
type UserList struct {
	// Where are conditions that all hold: the one that narrows most is looked up in an
	// index, and the page is in its order. Without any the page is in the order of ids.
	Where []Condition
	Match func(ledger.Object[User]) bool
	After string
	Limit int // 0 means 200
}

// ListUsers returns a page of users.
func (s *Service) ListUsers(ctx context.Context, q UserList) (p ledger.Page[User], err error) {
	find := narrowest(q.Where)
	find.After, find.Limit = q.After, q.Limit
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Users.Select(tx, find, q.Match)
		return err
	})
	return p, err
}

// FindUsers returns the first users whose first or last name, address or login begins
// with a text, whatever its case, and for whom match reports true, sorted by login.
func (s *Service) FindUsers(ctx context.Context, begin string, limit int, match func(ledger.Object[User]) bool) (out []ledger.Object[User], err error) {
	seen := map[string]bool{}
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for _, name := range []string{"firstName", "lastName", "email", "login"} {
			by, _, ok := Condition{Attribute: name, Text: begin, Prefix: true}.query()
			if !ok {
				return nil
			}
			by.Limit = limit
			p, err := Users.Select(tx, by, match)
			if err != nil {
				return err
			}
			for _, o := range p.Items {
				if !seen[o.ID] {
					seen[o.ID] = true
					out = append(out, o)
				}
			}
		}
		return nil
	})
	order.By(out, func(a, b ledger.Object[User]) int {
		return strings.Compare(strings.ToLower(a.Value.Profile.Login), strings.ToLower(b.Value.Profile.Login))
	})
	return out[:min(len(out), limit)], err
}
