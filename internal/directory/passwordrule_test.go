package directory

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

func TestPasswordRule(t *testing.T) {
	who := &Profile{Login: "isa.berg@acme.test", FirstName: "Isabel", LastName: "Li"}
	plain := DefaultPasswordRule()
	strict := PasswordRule{MinLength: 10, MinLower: 1, MinUpper: 1, MinNumber: 1, MinSymbol: 1, NoLogin: true, NoNames: []string{"firstName", "lastName"}}
	for _, tt := range []struct {
		rule     *PasswordRule
		password string
		reason   string // empty: accepted
	}{
		{&plain, "12345678", ""},
		{&plain, "1234567", ReasonPassword},
		{&plain, "ÄÖÜäöü12", ""},
		{&plain, strings.Repeat("x", maxPassword), ""},
		{&plain, strings.Repeat("x", maxPassword+1), ReasonPassword},
		{&plain, "isa.berg@acme.test", ""},
		{&strict, "Battery-staple 1", ""},
		{&strict, "Bat-stap1", ReasonPassword},
		{&strict, "battery-staple 1", ReasonKinds},
		{&strict, "BATTERY-STAPLE 1", ReasonKinds},
		{&strict, "Battery-staple", ReasonKinds},
		{&strict, "Battery staple 1", ReasonKinds}, // a space is no symbol
		{&strict, "ISABEL-staple 1x", ReasonPersonal},
		{&strict, "My-bERG-staple 1", ReasonPersonal},
		{&strict, "My-aCme-staple 1", ReasonPersonal},
		{&strict, "Isa-battery-li 1", ""}, // too short to tell anything
		{&strict, "Größe-und Länge 1", ""},
	} {
		err := tt.rule.accepts(who, tt.password)
		reason := ""
		if f := fault.Of(err); f != nil {
			reason = f.Reason
		}
		if reason != tt.reason {
			t.Errorf("%q: %q, want %q", tt.password, reason, tt.reason)
		}
	}
}

func TestPasswordAge(t *testing.T) {
	set := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	u := &User{Password: "$argon2id$", PasswordChanged: set}
	rule := PasswordRule{MaxAgeDays: 30, WarnDays: 5}
	for _, tt := range []struct {
		days    float64
		expired bool
		warns   int
	}{{0, false, 0}, {24.9, false, 0}, {25, false, 5}, {29, false, 1}, {29.9, false, 1}, {30, true, 1}} {
		now := set.Add(time.Duration(tt.days * 24 * float64(time.Hour)))
		if rule.Expired(u, now) != tt.expired || rule.Warns(u, now) != tt.warns {
			t.Errorf("after %v days: %v, %d", tt.days, rule.Expired(u, now), rule.Warns(u, now))
		}
	}
	if never := (&PasswordRule{}); never.Expired(u, set.AddDate(99, 0, 0)) || rule.Expired(&User{PasswordChanged: set}, set.AddDate(9, 0, 0)) {
		t.Error("it expires though nothing says so, or there is none")
	}
}

// What is kept of the passwords of before is as many as the policy asks for.
func TestKeptPasswords(t *testing.T) {
	var u User
	for _, next := range []string{"a", "b", "c", "d"} {
		u.keepPassword(3)
		u.Password = next
	}
	if got := strings.Join(u.Passwords, ""); got != "cb" {
		t.Errorf("kept %q besides the present one", got)
	}
	if u.keepPassword(0); len(u.Passwords) != 0 {
		t.Errorf("kept %v though nothing asks for it", u.Passwords)
	}
}
