package login

import "slices"

// The levels of a sign-in, as acr values; the names are Okta's.
const (
	LevelAny      = "urn:okta:loa:1fa:any"
	LevelPassword = "urn:okta:loa:1fa:pwd"
)

// levelsReached are the acr values that a sign-in of a level satisfies.
func levelsReached(acr string) []string {
	if acr == LevelPassword {
		return []string{LevelPassword, LevelAny}
	}
	return []string{acr}
}

// Levels returns the acr values that can be reached, for the metadata.
func Levels() []string { return []string{LevelAny, LevelPassword} }

// needsLevel refuses what nobody here can reach: a second factor is not one of the
// steps, so a request for it is answered and not loosened (OpenID Connect Core
// Unmet Authentication Requirements 1.0).
func (s *Server) needsLevel(v *visit) (bool, error) {
	if len(v.req.Levels) == 0 {
		return false, nil
	}
	for _, have := range levelsReached(v.session.ACR) {
		if slices.Contains(v.req.Levels, have) {
			return false, nil
		}
	}
	return false, refuse("unmet_authentication_requirements", "The requested level of authentication cannot be reached by this user.")
}
