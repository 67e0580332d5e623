package directory

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// PasswordRule says what a person's password has to be, how old it may get, and how
// many guesses are borne. It is what a password policy holds (Okta's type PASSWORD).
type PasswordRule struct {
	MinLength int `json:"minLength"` // characters
	MinLower  int `json:"minLowerCase,omitempty"`
	MinUpper  int `json:"minUpperCase,omitempty"`
	MinNumber int `json:"minNumber,omitempty"`
	MinSymbol int `json:"minSymbol,omitempty"`
	// NoLogin refuses a password with a part of the login in it, NoNames one with these of
	// firstName and lastName.
	NoLogin bool     `json:"excludeUsername,omitempty"`
	NoNames []string `json:"excludeAttributes,omitempty"`
	// History is how many of the last passwords may not be taken again, the present one
	// among them.
	History int `json:"historyCount,omitempty"`
	// MaxAgeDays is when a password expires, WarnDays how long before that the person is
	// told; 0: never. MinAgeMinutes is how soon the person may change it again.
	MaxAgeDays    int `json:"maxAgeDays,omitempty"`
	WarnDays      int `json:"expireWarnDays,omitempty"`
	MinAgeMinutes int `json:"minAgeMinutes,omitempty"`
	// MaxAttempts is how many wrong passwords in a row are borne; then signing in rests for
	// UnlockMinutes without an attempt. 0 locks the person out until they are unlocked.
	MaxAttempts   int `json:"maxAttempts"`
	UnlockMinutes int `json:"autoUnlockMinutes"`
}

// The bounds of a rule.
const (
	MaxHistory  = 24 // each one costs a password hash when a new one is chosen
	MaxAttempts = 100
)

// DefaultPasswordRule is what holds where no policy says anything else: length is what
// makes a password hard to guess (NIST SP 800-63B section 5.1.1).
func DefaultPasswordRule() PasswordRule {
	return PasswordRule{MinLength: minPassword, MaxAttempts: 10, UnlockMinutes: 15}
}

// Rest is how long signing in rests after too many wrong passwords.
func (r *PasswordRule) Rest() time.Duration { return time.Duration(r.UnlockMinutes) * time.Minute }

// Expires returns when a password that was set at a time expires; zero: never.
func (r *PasswordRule) Expires(set time.Time) time.Time {
	if r.MaxAgeDays == 0 || set.IsZero() {
		return time.Time{}
	}
	return set.AddDate(0, 0, r.MaxAgeDays)
}

// Expired reports whether the user's password is too old.
func (r *PasswordRule) Expired(u *User, now time.Time) bool {
	at := r.Expires(u.PasswordChanged)
	return u.Password != "" && !at.IsZero() && !now.Before(at)
}

// Warns returns in how many days the password expires, when the person is to be told;
// 0: not yet.
func (r *PasswordRule) Warns(u *User, now time.Time) int {
	at := r.Expires(u.PasswordChanged)
	if u.Password == "" || at.IsZero() || r.WarnDays == 0 || now.Before(at.AddDate(0, 0, -r.WarnDays)) {
		return 0
	}
	return max(1, int((at.Sub(now)+24*time.Hour-1)/(24*time.Hour)))
}

// Subject is whom a rule is asked for.
type Subject struct {
	User   string   // id; empty for somebody who is being made
	Groups []string // ids; Everyone need not be named
}

// Rules are the organization's, about passwords and second factors.
type Rules interface {
	PasswordRule(ctx context.Context, who Subject) (PasswordRule, error)
	// MayEnroll reports whether the person may have a factor of the type.
	MayEnroll(ctx context.Context, who Subject, factor string) (bool, error)
}

// subject returns a user as rules ask for them.
func (s *Service) subject(ctx context.Context, userID string) (who Subject, err error) {
	groups, err := s.UserGroups(ctx, userID)
	who.User = userID
	for _, g := range groups {
		who.Groups = append(who.Groups, g.ID)
	}
	return who, err
}

// PasswordRule returns what holds for the passwords of a user.
func (s *Service) PasswordRule(ctx context.Context, userID string) (r PasswordRule, err error) {
	defer fault.Wrap(&err, "read the password policy of user %q", userID)
	who := Subject{User: userID}
	if s.cfg.Rules != nil {
		if who, err = s.subject(ctx, userID); err != nil {
			return r, err
		}
	}
	return s.passwordRule(ctx, who)
}

func (s *Service) passwordRule(ctx context.Context, who Subject) (PasswordRule, error) {
	if s.cfg.Rules == nil {
		return DefaultPasswordRule(), nil
	}
	return s.cfg.Rules.PasswordRule(ctx, who)
}

// refusePassword is the fault of a password that is not as the rule says.
func refusePassword(reason, format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).WithReason(reason)
}

// accepts returns what is wrong with a password for a person; nil: nothing.
func (r *PasswordRule) accepts(p *Profile, password string) error {
	if utf8.RuneCountInString(password) < r.MinLength || len(password) > maxPassword {
		return refusePassword(ReasonPassword, "the password must have at least %d characters and at most %d bytes", r.MinLength, maxPassword)
	}
	for _, want := range []struct {
		n    int
		what string
		is   func(rune) bool
	}{
		{r.MinLower, "lower-case letters", unicode.IsLower},
		{r.MinUpper, "upper-case letters", unicode.IsUpper},
		{r.MinNumber, "digits", unicode.IsDigit},
		{r.MinSymbol, "symbols", func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsSpace(c) }},
	} {
		if n := count(password, want.is); n < want.n {
			return refusePassword(ReasonKinds, "the password must have at least %d %s, and has %d", want.n, want.what, n)
		}
	}
	folded := strings.ToLower(password)
	if r.NoLogin && slices.ContainsFunc(loginParts(p.Login), func(part string) bool { return strings.Contains(folded, part) }) {
		return refusePassword(ReasonPersonal, "the password must not contain a part of the login")
	}
	for name, value := range map[string]string{"firstName": p.FirstName, "lastName": p.LastName} {
		if len(value) >= 3 && slices.Contains(r.NoNames, name) && strings.Contains(folded, strings.ToLower(value)) {
			return refusePassword(ReasonPersonal, "the password must not contain the %s", name)
		}
	}
	return nil
}

func count(s string, is func(rune) bool) (n int) {
	for _, c := range s {
		if is(c) {
			n++
		}
	}
	return n
}

// loginParts are the parts of a login of at least four characters, which are cut at the
// signs that Okta cuts at.
func loginParts(login string) (out []string) {
	for _, part := range strings.FieldsFunc(strings.ToLower(login), func(c rune) bool { return strings.ContainsRune(",.-_#@", c) }) {
		if utf8.RuneCountInString(part) >= 4 {
			out = append(out, part)
		}
	}
	return out
}

// hash returns the verifier of a password that a person may have.
func (s *Service) hash(ctx context.Context, who Subject, p *Profile, password string) (string, error) {
	rule, err := s.passwordRule(ctx, who)
	if err != nil {
		return "", err
	}
	return s.hashBy(ctx, &rule, p, password)
}

func (s *Service) hashBy(ctx context.Context, rule *PasswordRule, p *Profile, password string) (string, error) {
	if err := rule.accepts(p, password); err != nil {
		return "", err
	}
	if s.cfg.Breached != nil {
		known, err := s.cfg.Breached.Contains(password)
		if err != nil {
			return "", fault.Because(err, fault.Unavailable, "whether the password is known to thieves cannot be found out")
		}
		if known {
			return "", refusePassword(ReasonBreached, "this password is in a list of passwords that are known to thieves")
		}
	}
	return s.cfg.Passwords.Hash(ctx, password)
}

// nextPassword is a password that was judged, and how much is kept of those before it.
type nextPassword struct {
	verifier string
	history  int
}

// choose judges a password for a user who is there. Chosen says that the person chooses
// it: then it may not be one of the last, and they may not change it too soon.
func (s *Service) choose(ctx context.Context, userID, password string, chosen, early bool) (n nextPassword, err error) {
	u, err := s.User(ctx, userID)
	if err != nil {
		return n, err
	}
	rule, err := s.PasswordRule(ctx, userID)
	if err != nil {
		return n, err
	}
	n.history = rule.History
	if early && u.Value.Status == Active && rule.MinAgeMinutes > 0 {
		var now time.Time
		if err := s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error { now = tx.Now(); return nil }); err != nil {
			return n, err
		}
		if now.Before(u.Value.PasswordChanged.Add(time.Duration(rule.MinAgeMinutes) * time.Minute)) {
			return n, refusePassword(ReasonTooSoon, "the password was changed less than %d minutes ago", rule.MinAgeMinutes)
		}
	}
	if err := rule.accepts(&u.Value.Profile, password); err != nil {
		return n, err
	}
	if chosen && rule.History > 0 {
		if err := s.unused(ctx, &u.Value, password, rule.History); err != nil {
			return n, err
		}
	}
	n.verifier, err = s.hashBy(ctx, &rule, &u.Value.Profile, password)
	return n, err
}

// unused reports by its error that a password is one of the last n.
func (s *Service) unused(ctx context.Context, u *User, password string, n int) error {
	before := append([]string{u.Password}, u.Passwords...)
	for _, verifier := range before[:min(n, len(before))] {
		if verifier == "" {
			continue
		}
		was, _, err := s.cfg.Passwords.Check(ctx, verifier, password)
		if err != nil {
			return err
		}
		if was {
			return refusePassword(ReasonHistory, "the password is one of the last %d", n)
		}
	}
	return nil
}

// keepPassword puts the present password among those before it, of which n-1 are kept.
func (u *User) keepPassword(n int) {
	if n > 1 && u.Password != "" {
		u.Passwords = append([]string{u.Password}, u.Passwords...)
	}
	if most := max(0, n-1); len(u.Passwords) > most {
		u.Passwords = u.Passwords[:most]
	}
}

// temporary makes a password that the rule accepts.
func (s *Service) temporary(ctx context.Context, userID string) (string, error) {
	u, err := s.User(ctx, userID)
	if err != nil {
		return "", err
	}
	rule, err := s.PasswordRule(ctx, userID)
	if err != nil {
		return "", err
	}
	for range 1000 { // most are accepted at once; the rest lack a symbol
		password := keys.Secret(128)
		for len(password) < rule.MinLength {
			password += keys.Secret(128)
		}
		if rule.accepts(&u.Value.Profile, password) == nil {
			return password, nil
		}
	}
	return "", fault.New(fault.Invalid, "no password that was made is accepted by the password policy")
}
