package login

import (
	"slices"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/session"
)

// The levels of a sign-in, as acr values; the names are Okta's, and those of OpenID
// Connect Extended Authentication Profile ACR Values 1.0.
const (
	LevelAny        = "urn:okta:loa:1fa:any"
	LevelPassword   = "urn:okta:loa:1fa:pwd"
	LevelTwoFactors = "urn:okta:loa:2fa:any"
	LevelPhishing   = "phr" // two factors of which one is safe from phishing: a passkey
)

// Levels returns the acr values that can be reached at a site, for the metadata.
func Levels(site string) []string {
	out := []string{LevelAny, LevelPassword, LevelTwoFactors}
	if _, ok := directory.PartyOf(site); ok {
		out = append(out, LevelPhishing)
	}
	return out
}

// levelsReached are the acr values that a session satisfies.
func levelsReached(s *session.Session) []string {
	switch s.ACR {
	case LevelPhishing:
		out := []string{LevelPhishing, LevelTwoFactors, levelTwoIfPossible, LevelAny}
		if !s.PasswordAt.IsZero() {
			out = append(out, LevelPassword)
		}
		return out
	case LevelTwoFactors:
		return []string{LevelTwoFactors, levelTwoIfPossible, LevelPassword, LevelAny}
	case LevelPassword:
		return []string{LevelPassword, LevelAny}
	}
	return []string{s.ACR}
}

// Okta's other levels: they can be asked for. The first is two factors of who has
// them. The last says that hardware protects the key, which an authenticator can
// only show by an attestation that somebody vouches for: nobody can reach it here.
const (
	levelTwoIfPossible = "urn:okta:loa:2fa:any:ifpossible"
	levelHardware      = "phrh"
)

// KnownLevels returns the acr values that may be asked for.
func KnownLevels() []string {
	return []string{LevelAny, LevelPassword, LevelTwoFactors, LevelPhishing, levelTwoIfPossible, levelHardware}
}

// reaches reports whether the sign-in satisfies one of the levels that the request
// names. A second factor counts when it was used recently enough itself: a password
// that was typed again does not make it newer.
func (q *Request) reaches(s *session.Session, now time.Time) bool {
	if len(q.Levels) == 0 {
		return true
	}
	return q.reached(s, now) != ""
}

// reached returns the first of the levels that the request names which the session
// satisfies; empty: none.
func (q *Request) reached(s *session.Session, now time.Time) string {
	have := levelsReached(s)
	for _, level := range q.Levels {
		ofFactor := level == LevelTwoFactors || level == LevelPhishing
		if slices.Contains(have, level) && (!ofFactor || !s.FactorAt.IsZero() && q.recent(s.FactorAt, now)) {
			return level
		}
	}
	return ""
}

// answers returns the acr of what is issued: what the session has reached, in the
// request's own word where that says two factors, since who asks compares words.
func (q *Request) answers(s *session.Session, now time.Time) string {
	if q.reached(s, now) == LevelTwoFactors && !slices.Contains(q.Levels, LevelPhishing) {
		return LevelTwoFactors
	}
	return s.ACR
}

// onlyPhishing reports whether nothing less than a passkey will do.
func (q *Request) onlyPhishing() bool {
	return slices.Contains(q.Levels, LevelPhishing) && !slices.Contains(q.Levels, LevelTwoFactors) && !slices.Contains(q.Levels, levelTwoIfPossible)
}

// wantsPassword reports whether a password is what the request asks for, and nothing
// else that the person could show.
func (q *Request) wantsPassword() bool {
	return len(q.Levels) > 0 && !slices.ContainsFunc(q.Levels, func(l string) bool { return l != LevelPassword })
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

// needsFactor reports whether the person has still to prove a second factor.
func (s *Server) needsFactor(v *visit) (bool, error) {
	missing, have, err := s.missing(v)
	if err != nil || !have.any() {
		return false, err
	}
	if missing {
		return !s.proven(v), nil // before another one is set up
	}
	return s.demanded(v, have)
}

// demanded reports whether the request, or a rule of the sign-on policies or of the app's, demands a
// second factor that this session has not shown. A level that nobody here can reach is refused and not loosened (OpenID
// Connect Core Unmet Authentication Requirements 1.0).
func (s *Server) demanded(v *visit, have *own) (bool, error) {
	rule, err := s.ruled(v)
	if err != nil {
		return true, err
	}
	if demands, err := s.ruleDemands(v.r, rule, v.session, v.user); err != nil || demands {
		return true, err
	}
	if demands, err := s.appDemands(v); err != nil || demands {
		return demands, err
	}
	if v.req.reaches(v.session, s.cfg.Now()) {
		return false, nil
	}
	switch {
	case slices.Contains(v.req.Levels, LevelTwoFactors):
		return true, nil
	case slices.Contains(v.req.Levels, LevelPhishing) && s.party(v.r).Ready():
		return true, nil
	case slices.Contains(v.req.Levels, levelTwoIfPossible):
		return have.any(), nil
	}
	return false, refuse("unmet_authentication_requirements", "The requested level of authentication cannot be reached by this user.")
}
