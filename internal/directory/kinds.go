package directory

import (
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The kinds of this room. A kind holds no state.
var (
	// Users are unique by login, whatever its case.
	Users = ledger.NewKind(ledger.Spec[User]{
		Name: "user", IDPrefix: "00u",
		Keys: func(u User) []ledger.Key { return []ledger.Key{byLogin(u.Profile.Login)} },
		Index: func(u User) []ledger.Key {
			return append(append(attributeKeys(u.Profile),
				ledger.By("email", strings.ToLower(u.Profile.Email)),
				ledger.By("status", string(u.Status), strings.ToLower(u.Profile.Login))), byExternal(u.External)...)
		},
		Refs: func(u User) []ledger.Ref {
			return []ledger.Ref{{Field: "type", Kind: "user_type", ID: u.Type}}
		},
		Check: checkUser,
	})
	// Groups are unique by name.
	Groups = ledger.NewKind(ledger.Spec[Group]{
		Name: "group", IDPrefix: "00g",
		Keys: func(g Group) []ledger.Key { return []ledger.Key{ledger.By("name", g.Name)} },
		Index: func(g Group) []ledger.Key {
			return append(byExternal(g.External), ledger.By("folded", strings.ToLower(g.Name)))
		},
		Check: checkGroup,
	})
	// Memberships are found from both sides.
	Memberships = ledger.NewKind(ledger.Spec[Membership]{
		Name: "membership", IDPrefix: "gmb",
		Keys: func(m Membership) []ledger.Key { return []ledger.Key{ledger.By("pair", m.Group, m.User)} },
		Index: func(m Membership) []ledger.Key {
			keys := []ledger.Key{ledger.By("user", m.User)}
			for _, r := range m.Rules {
				keys = append(keys, ledger.By("rule", r))
			}
			return keys
		},
		Refs: func(m Membership) []ledger.Ref {
			return []ledger.Ref{
				{Field: "group", Kind: "group", ID: m.Group, OnDelete: ledger.Cascade},
				{Field: "user", Kind: "user", ID: m.User, OnDelete: ledger.Cascade},
			}
		},
		Check: func(m Membership) error {
			if m.Group == "" || m.User == "" {
				return fault.New(fault.Invalid, "a membership needs a group and a user")
			}
			return nil
		},
	})
)

// Kinds returns the kinds of this room, for a ledger's registry.
func Kinds() []ledger.AnyKind {
	return []ledger.AnyKind{Users, Groups, Memberships, GroupRules, Factors, UserTypes, Schemas}
}

func byExternal(id string) []ledger.Key {
	if id == "" {
		return nil
	}
	return []ledger.Key{ledger.By("external", id)}
}

func byLogin(login string) ledger.Key { return ledger.By("login", strings.ToLower(login)) }
