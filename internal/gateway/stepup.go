package gateway

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/verify"
)

var errStepUp = Refuse(ReasonStepUpRequired, nil, "the sign-in behind the token is not strong or not recent enough")

// signInLeeway is the clock difference that auth_time forgives towards the
// future, the same that a token's own times are given.
const signInLeeway = verify.DefaultLeeway

// classTwoFactors is Okta's word for "any two factors", as what an issuer is
// asked for and as what it says that it has achieved.
const classTwoFactors = "urn:okta:loa:2fa:any"

// secondFactor reports whether an authentication method says that more than a
// password was used: what the person has, or is, or the word for several factors
// itself (RFC 8176 section 2; Okta uses the same words). What a person knows
// (pwd, pin, kba), where they are (geo) and how risky they look (rba) are no such thing.
func secondFactor(method string) bool {
	switch method {
	case "mfa", "mca", // several factors, several channels
		"otp", "hwk", "swk", "pop", "sc", "sms", "tel", // has
		"fpt", "face", "iris", "retina", "vbm": // is
		return true
	default:
		return false
	}
}

// stepUp asks how, and how long ago, the person behind the token has signed in
// (RFC 9470). It reads what was achieved, never what was asked for, and the time of
// the sign-in, never that of the token: a refreshed token is no newer sign-in.
type stepUp struct {
	mfa    time.Duration // a second factor was used at most this long ago; 0 = not asked for
	maxAge time.Duration // the sign-in is at most this old; 0 = not asked for
	acr    []string      // any of these classes; empty = not asked for
	amr    []string      // all of these methods; empty = not asked for
	// params are what a challenge says about it: acr_values and max_age.
	params []byte
}

// newStepUp returns the step, or nil when nothing is asked for.
func newStepUp(mfa, maxAge time.Duration, acr, amr []string) *stepUp {
	if mfa == 0 && maxAge == 0 && len(acr) == 0 && len(amr) == 0 {
		return nil
	}
	s := &stepUp{mfa: mfa, maxAge: maxAge, acr: acr, amr: amr}
	if classes := s.classes(); classes != "" {
		s.params = append(s.params, `acr_values="`+classes+`", `...)
	}
	if age := s.seconds(); age != "" {
		s.params = append(s.params, `max_age="`+age+`", `...)
	}
	return s
}

// age returns how old the sign-in may be, 0 for as old as it likes.
func (s *stepUp) age() time.Duration {
	if s.mfa == 0 || s.maxAge != 0 && s.maxAge < s.mfa {
		return s.maxAge
	}
	return s.mfa
}

// classes returns acr_values as a request for a sign-in has them.
func (s *stepUp) classes() string {
	if len(s.acr) == 0 && s.mfa != 0 {
		return classTwoFactors
	}
	return strings.Join(s.acr, " ")
}

// seconds returns max_age as a request for a sign-in has it, "" for any age.
func (s *stepUp) seconds() string {
	if age := s.age(); age != 0 {
		return strconv.FormatInt(int64(age/time.Second), 10)
	}
	return ""
}

// Do implements step.
func (s *stepUp) Do(ex *Exchange) error {
	if !s.satisfied(ex.token, ex.started) {
		return errStepUp
	}
	return nil
}

// satisfied reports whether the sign-in behind the token is good enough at a time.
func (s *stepUp) satisfied(t *verify.Token, now time.Time) bool {
	if age := s.age(); age != 0 && !recent(t, now, age) {
		return false
	}
	if s.mfa != 0 && !twoFactors(t) || len(s.acr) > 0 && !slices.Contains(s.acr, t.ACR) {
		return false
	}
	for _, method := range s.amr {
		if !slices.Contains(t.AMR, method) {
			return false
		}
	}
	return true
}

// recent reports whether the sign-in is at most age old. A missing time, one that
// lies in the future and one in milliseconds (which lies in the future) are none.
func recent(t *verify.Token, now time.Time, age time.Duration) bool {
	if t.AuthTime <= 0 || t.AuthTime > now.Add(signInLeeway).Unix() {
		return false
	}
	return now.Sub(time.Unix(t.AuthTime, 0)) <= age
}

// twoFactors reports whether the token says that a second factor was used.
func twoFactors(t *verify.Token) bool {
	return t.ACR == classTwoFactors || slices.ContainsFunc(t.AMR, secondFactor)
}

func (s *stepUp) explain(f *facts) (needed, had string) {
	var parts []string
	if s.mfa != 0 {
		parts = append(parts, "a second factor used at most "+s.mfa.String()+" ago")
	}
	if s.maxAge != 0 {
		parts = append(parts, "a sign-in at most "+s.maxAge.String()+" old")
	}
	if len(s.acr) > 0 {
		parts = append(parts, "acr "+strings.Join(s.acr, " or "))
	}
	if len(s.amr) > 0 {
		parts = append(parts, "amr "+strings.Join(s.amr, " and "))
	}
	if f.token != nil {
		had = signedIn(f.token, f.started)
	}
	return strings.Join(parts, "; "), had
}

// signedIn says in words how and when the person behind the token signed in.
func signedIn(t *verify.Token, now time.Time) string {
	when := "no auth_time"
	if t.AuthTime > 0 {
		age := now.Sub(time.Unix(t.AuthTime, 0)).Truncate(time.Second)
		when = fmt.Sprintf("a sign-in %s ago", age)
		if age < -signInLeeway {
			when = fmt.Sprintf("auth_time %d, which lies in the future", t.AuthTime)
		}
	}
	acr, amr := "no acr", "no amr"
	if t.ACR != "" {
		acr = "acr " + t.ACR
	}
	if len(t.AMR) > 0 {
		amr = "amr " + strings.Join(t.AMR, " ")
	}
	return when + "; " + acr + "; " + amr
}
