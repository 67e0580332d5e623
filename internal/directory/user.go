// Package directory keeps people: users with their life cycle, groups, and who is
// in which. All of it is in the ledger. The package must not know HTTP, SQL, how
// somebody signs in, or what a token is.
package directory

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

// Status is where a user is in the life cycle; the names are Okta's.
type Status string

// The statuses.
const (
	Staged          Status = "STAGED"           // made, but not yet in use
	Provisioned     Status = "PROVISIONED"      // in use, but has no credential yet
	Active          Status = "ACTIVE"           // may sign in and gets tokens
	Recovery        Status = "RECOVERY"         // the password was reset and is to be chosen anew
	PasswordExpired Status = "PASSWORD_EXPIRED" // the password is to be changed at the next sign-in
	LockedOut       Status = "LOCKED_OUT"       // too many failed attempts
	Suspended       Status = "SUSPENDED"        // keeps everything, may do nothing
	Deprovisioned   Status = "DEPROVISIONED"    // left; the step before deletion
)

// transitions lists where a user may go from each status.
var transitions = map[Status][]Status{
	Staged:          {Provisioned, Active, Deprovisioned},
	Provisioned:     {Active, Recovery, Suspended, Deprovisioned},
	Active:          {PasswordExpired, Recovery, LockedOut, Suspended, Deprovisioned},
	Recovery:        {Active, PasswordExpired, Suspended, Deprovisioned},
	PasswordExpired: {Active, Recovery, LockedOut, Suspended, Deprovisioned},
	LockedOut:       {Active, PasswordExpired, Recovery, Suspended, Deprovisioned},
	Suspended:       {Provisioned, Active, Recovery, PasswordExpired, LockedOut, Deprovisioned}, // what they were
	Deprovisioned:   {Provisioned, Active},
}

// User is a person. The id is the uid of their tokens.
type User struct {
	Status        Status    `json:"status"`
	StatusChanged time.Time `json:"statusChanged,omitzero"`
	Before        Status    `json:"before,omitempty"` // what a suspended user was; empty: ACTIVE
	Type          string    `json:"type,omitempty"`   // id of a user type; empty: the default one
	Profile       Profile   `json:"profile"`
	// Password is the verifier: argon2id (PHC string), or the hash of another system until
	// the next sign-in; empty when the user has no password.
	Password        string    `json:"passwordHash,omitempty"` // #nosec G117 -- a verifier, not the password
	PasswordChanged time.Time `json:"passwordChanged,omitzero"`
	// Passwords are the verifiers of those before it, the newest first, as many as the
	// policy wants to be kept from being taken again.
	Passwords []string  `json:"passwordsBefore,omitempty"` // #nosec G117 -- verifiers
	Activated time.Time `json:"activated,omitzero"`
	// Question is what the person is asked when the password is forgotten.
	Question *Question `json:"recoveryQuestion,omitempty"`
	// External is what the system that provisions the user calls them (RFC 7643 section 3.1).
	External string `json:"externalId,omitempty"`
}

// MayAct reports whether the user's tokens and keys are good: a user who has left,
// is suspended or locked out, or is not yet in use may do nothing.
func (u *User) MayAct() bool {
	switch u.Status {
	case Active, Provisioned, PasswordExpired, Recovery:
		return true
	case Staged, LockedOut, Suspended, Deprovisioned:
	}
	return false
}

// Question is a recovery question and the verifier of its answer.
type Question struct {
	Text   string `json:"text"`
	Answer string `json:"answerHash"` // argon2id verifier of the folded answer
}

// Profile is what is known about a user.
type Profile struct {
	Login     string `json:"login"` // unique, whatever its case
	Email     string `json:"email"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	// Attributes are the others, by name: text, numbers, booleans and lists of these.
	Attributes map[string]any `json:"attributes,omitempty"`
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
	wrong(u.Password != "" && !keys.IsVerifier(u.Password), "passwordHash", "is not a verifier of a password")
	wrong(len(u.Passwords) > MaxHistory || slices.ContainsFunc(u.Passwords, func(v string) bool { return !keys.IsVerifier(v) }), "passwordsBefore", "are not verifiers of passwords")
	wrong(u.Question != nil && (strings.TrimSpace(u.Question.Text) == "" || len(u.Question.Text) > 255), "recoveryQuestion.text", "must be 1 to 255 bytes")
	wrong(u.Question != nil && !strings.HasPrefix(u.Question.Answer, "$argon2id$"), "recoveryQuestion.answerHash", "is not an argon2id verifier")
	wrong(!externalID(u.External), "externalId", "must be at most 255 bytes without control characters")
	fields = append(fields, checkAttributes(p.Attributes)...)
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

func externalID(s string) bool { return len(s) <= 255 && !strings.ContainsFunc(s, control) }

func control(r rune) bool { return r < 0x20 || r == 0x7f }

func spaceOrControl(r rune) bool { return r <= 0x20 || r == 0x7f }

// Membership says that a user is in a group. It goes with either.
type Membership struct {
	Group string `json:"group"` // id
	User  string `json:"user"`  // id
	// Rules are the ids of the group rules that put the user there. With none the
	// user was put there directly; Direct says that for one with rules.
	Rules  []string `json:"rules,omitempty"`
	Direct bool     `json:"direct,omitempty"`
}
