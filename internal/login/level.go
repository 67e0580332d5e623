package login

import (
	"slices"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/session"
)

// The levels of a sign-in, as acr values; the names are Okta's.
const (
	LevelAny        = "urn:okta:loa:1fa:any"
	LevelPassword   = "urn:okta:loa:1fa:pwd"
	LevelTwoFactors = "urn:okta:loa:2fa:any"
)

// Levels returns the acr values that can be reached, for the metadata.
func Levels() []string { return []string{LevelAny, LevelPassword, LevelTwoFactors} }

// levelsReached are the acr values that a sign-in of a level satisfies.
func levelsReached(acr string) []string {
	switch acr {
	case LevelTwoFactors:
		return []string{LevelTwoFactors, levelTwoIfPossible, LevelPassword, LevelAny}
	case LevelPassword:
		return []string{LevelPassword, LevelAny}
	}
	return []string{acr}
}

// Okta's other levels: they can be asked for. The first is two factors of who has
// them; the last two are refused as long as nobody can reach them.
const (
	levelTwoIfPossible = "urn:okta:loa:2fa:any:ifpossible"
	levelPhishing      = "phr"
	levelHardware      = "phrh"
)

// KnownLevels returns the acr values that may be asked for.
func KnownLevels() []string {
	return append(Levels(), levelTwoIfPossible, levelPhishing, levelHardware)
}

// reaches reports whether the sign-in satisfies one of the levels that the request
// names. A second factor counts when it was used recently enough itself: a password
// that was typed again does not make it newer.
func (q *Request) reaches(s *session.Session, now time.Time) bool {
	if len(q.Levels) == 0 {
		return true
	}
	for _, have := range levelsReached(s.ACR) {
		if slices.Contains(q.Levels, have) && (have != LevelTwoFactors || !s.FactorAt.IsZero() && q.recent(s.FactorAt, now)) {
			return true
		}
	}
	return false
}

// recent applies prompt and max_age to the time of a proof (OpenID Connect Core
// section 3.1.2.1). What was proved for this very request is always recent.
func (q *Request) recent(at, now time.Time) bool {
	switch {
	case !at.Before(q.Created):
		return true
	case q.prompts("login"):
		return false
	}
	return q.MaxAge == nil || now.Sub(at) <= time.Duration(*q.MaxAge)*time.Second
}

// needsFactor reports whether the person has still to prove a second factor. A level
// that nobody here can reach is refused and not loosened (OpenID Connect Core Unmet
// Authentication Requirements 1.0).
func (s *Server) needsFactor(v *visit) (bool, error) {
	if v.req.reaches(v.session, s.cfg.Now()) {
		return false, nil
	}
	switch {
	case slices.Contains(v.req.Levels, LevelTwoFactors):
		return true, nil
	case slices.Contains(v.req.Levels, levelTwoIfPossible):
		f, err := s.authenticator(v.ctx(), v.user.ID, directory.FactorActive)
		return f != nil, err
	}
	return false, refuse("unmet_authentication_requirements", "The requested level of authentication cannot be reached by this user.")
}
