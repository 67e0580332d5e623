// Package directory keeps people: users with their life cycle, groups, and who is
// in which. All of it is in the ledger. The package must not know HTTP, SQL, how
// somebody signs in, or what a token is.
package directory

import (
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Status is where a user is in the life cycle; the names are Okta's.
type Status string

// The statuses.
const (
	Staged        Status = "STAGED"        // made, but not yet in use
	Active        Status = "ACTIVE"        // may sign in and gets tokens
	Suspended     Status = "SUSPENDED"     // keeps everything, may do nothing
	Deprovisioned Status = "DEPROVISIONED" // left; the step before deletion
)

// transitions lists where a user may go from each status.
var transitions = map[Status][]Status{
	Staged:        {Active, Deprovisioned},
	Active:        {Suspended, Deprovisioned},
	Suspended:     {Active, Deprovisioned},
	Deprovisioned: {Active},
}

// User is a person. The id is the uid of their tokens.
type User struct {
	Status        Status    `json:"status"`
	StatusChanged time.Time `json:"statusChanged"`
	Profile       Profile   `json:"profile"`
	// Password is the argon2id verifier (PHC string); empty when the user has no password.
	Password        string    `json:"passwordHash,omitempty"` // #nosec G117 -- a verifier, not the password
	PasswordChanged time.Time `json:"passwordChanged,omitzero"`
}

// Profile is what is known about a user.
type Profile struct {
	Login     string `json:"login"` // unique, whatever its case
	Email     string `json:"email"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

// DisplayName returns the person's name, or the login when there is none.
func (p Profile) DisplayName() string {
	if n := strings.TrimSpace(p.FirstName + " " + p.LastName); n != "" {
		return n
	}
	return p.Login
}

func checkUser(u User) error {
	var fields []fault.Field
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: path, Message: message})
		}
	}
	p := u.Profile
	_, known := transitions[u.Status]
	wrong(!known, "status", "is not a status of a user")
	wrong(p.Login == "" || len(p.Login) > 100 || strings.ContainsFunc(p.Login, spaceOrControl), "profile.login", "must be 1 to 100 bytes without spaces")
	wrong(len(p.Email) > 100 || !looksLikeEmail(p.Email), "profile.email", "must be an e-mail address of at most 100 bytes")
	wrong(len(p.FirstName) > 50 || strings.ContainsFunc(p.FirstName, control), "profile.firstName", "must be at most 50 bytes without control characters")
	wrong(len(p.LastName) > 50 || strings.ContainsFunc(p.LastName, control), "profile.lastName", "must be at most 50 bytes without control characters")
	wrong(u.Password != "" && !strings.HasPrefix(u.Password, "$argon2id$"), "passwordHash", "is not an argon2id verifier")
	if len(fields) > 0 {
		return fault.New(fault.Invalid, "the user is not valid").WithFields(fields...)
	}
	return nil
}

// looksLikeEmail asks only for what every address has: one @ with something on
// both sides and no spaces. Whether it exists is for a confirmation to find out.
func looksLikeEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && at < len(s)-1 && strings.Count(s, "@") == 1 && !strings.ContainsFunc(s, spaceOrControl)
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

func spaceOrControl(r rune) bool { return r <= 0x20 || r == 0x7f }

// Group is a named set of users.
type Group struct {
	Name        string `json:"name"` // unique
	Description string `json:"description,omitempty"`
}

func checkGroup(g Group) error {
	if strings.TrimSpace(g.Name) == "" || len(g.Name) > 255 || strings.ContainsFunc(g.Name, control) {
		return fault.New(fault.Invalid, "the group is not valid").
			WithFields(fault.Field{Path: "name", Message: "must be 1 to 255 bytes without control characters"})
	}
	if len(g.Description) > 1024 {
		return fault.New(fault.Invalid, "the group is not valid").
			WithFields(fault.Field{Path: "description", Message: "is longer than 1024 bytes"})
	}
	return nil
}

// Membership says that a user is in a group. It goes with either.
type Membership struct {
	Group string `json:"group"` // id
	User  string `json:"user"`  // id
}

// The kinds of this room. A kind holds no state.
var (
	// Users are unique by login, whatever its case.
	Users = ledger.NewKind(ledger.Spec[User]{
		Name: "user", IDPrefix: "00u",
		Keys: func(u User) []ledger.Key { return []ledger.Key{byLogin(u.Profile.Login)} },
		Index: func(u User) []ledger.Key {
			return []ledger.Key{
				ledger.By("email", strings.ToLower(u.Profile.Email)),
				ledger.By("status", string(u.Status), strings.ToLower(u.Profile.Login)),
			}
		},
		Check: checkUser,
	})
	// Groups are unique by name.
	Groups = ledger.NewKind(ledger.Spec[Group]{
		Name: "group", IDPrefix: "00g",
		Keys:  func(g Group) []ledger.Key { return []ledger.Key{ledger.By("name", g.Name)} },
		Check: checkGroup,
	})
	// Memberships are found from both sides.
	Memberships = ledger.NewKind(ledger.Spec[Membership]{
		Name: "membership", IDPrefix: "gmb",
		Keys:  func(m Membership) []ledger.Key { return []ledger.Key{ledger.By("pair", m.Group, m.User)} },
		Index: func(m Membership) []ledger.Key { return []ledger.Key{ledger.By("user", m.User)} },
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
func Kinds() []ledger.AnyKind { return []ledger.AnyKind{Users, Groups, Memberships} }

func byLogin(login string) ledger.Key { return ledger.By("login", strings.ToLower(login)) }
