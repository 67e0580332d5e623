package login

import (
	"testing"
	"time"

	"gatehouse/internal/session"
)

// attack identity 66: what counts is the time of the proof that the level is about.
func TestReaches(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	age := int64(300)
	two := func(factor, auth time.Duration) session.Session {
		return session.Session{ACR: LevelTwoFactors, FactorAt: now.Add(-factor), AuthTime: now.Add(-auth)}
	}
	for _, c := range []struct {
		name string
		q    Request
		s    session.Session
		want bool
	}{
		{"nothing is demanded", Request{}, session.Session{ACR: LevelPassword}, true},
		{"a password for a password", Request{Levels: []string{LevelPassword}}, session.Session{ACR: LevelPassword}, true},
		{"a password for anything", Request{Levels: []string{LevelAny}}, session.Session{ACR: LevelPassword}, true},
		{"a password for two factors", Request{Levels: []string{LevelTwoFactors}}, session.Session{ACR: LevelPassword}, false},
		{"two factors for a password", Request{Levels: []string{LevelPassword}}, two(time.Hour, time.Hour), true},
		{"any of the named", Request{Levels: []string{"phr", LevelTwoFactors}}, two(time.Hour, time.Hour), true},
		{"old, and no age is named", Request{Levels: []string{LevelTwoFactors}, Created: now}, two(time.Hour, time.Hour), true},
		{"too old", Request{Levels: []string{LevelTwoFactors}, MaxAge: &age, Created: now}, two(6*time.Minute, 6*time.Minute), false},
		{"too old, with a newer password", Request{Levels: []string{LevelTwoFactors}, MaxAge: &age, Created: now}, two(6*time.Minute, time.Second), false},
		{"young enough", Request{Levels: []string{LevelTwoFactors}, MaxAge: &age, Created: now}, two(4*time.Minute, 4*time.Minute), true},
		{"asked anew", Request{Levels: []string{LevelTwoFactors}, Prompt: []string{"login"}, Created: now}, two(time.Second, time.Second), false},
		{"asked anew and done", Request{Levels: []string{LevelTwoFactors}, Prompt: []string{"login"}, Created: now.Add(-time.Minute)}, two(time.Second, time.Second), true},
		{"the word without the deed", Request{Levels: []string{LevelTwoFactors}}, session.Session{ACR: LevelTwoFactors}, false},
	} {
		if got := c.q.reaches(&c.s, now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
