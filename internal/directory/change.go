package directory

import (
	"context"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The reasons of faults that an edge may want to tell apart.
const (
	ReasonPassword      = "password_policy"   // it is too short or too long
	ReasonKinds         = "password_kinds"    // it lacks letters, digits or symbols of a kind
	ReasonPersonal      = "password_personal" // it has the person's login or name in it
	ReasonHistory       = "password_history"  // it was the person's before
	ReasonTooSoon       = "password_too_soon" // the person has just changed it
	ReasonBreached      = "password_breached" // it is known to thieves
	ReasonWrongPassword = "wrong_credentials" // the old one is not right
	ReasonWrongAnswer   = "wrong_answer"      // to the recovery question
	ReasonRecovery      = "no_recovery"       // the user cannot recover the password
)

// The event types of changes, named as in Okta's System Log.
const (
	EventUserUpdated = "user.account.update_profile"
	userDeleted      = "user.lifecycle.delete.completed"
)

// UserChange is what ChangeUser changes; nil leaves a part as it is.
type UserChange struct {
	Profile  func(*Profile) error
	Type     *string // id of a user type
	Password *string
	Verifier string // in place of Password, of a staged user
	// Chosen says that the person chooses the password: it may be none of the last ones.
	// Early says that they knew the old one, which they may not replace too soon.
	Chosen, Early bool
	Question      *string // with Answer
	Answer        *string
	// Only, when it is set, says whether the user is still as the caller knows them; its
	// error ends the change.
	Only func(User) error
	// Once, when it is set, takes what the change stands on, such as a link that is good
	// once. It is called after all that takes time or can be refused by itself, and its
	// error ends the change.
	Once func(ctx context.Context) error
	// Recover says that the new password ends a lock-out as well.
	Recover bool
}

// ChangeUser changes a user. A password makes a provisioned user active, and
// ends a recovery or the expiry of the old one. fault.Conflict when a new login
// is taken.
func (s *Service) ChangeUser(ctx context.Context, actor ledger.Actor, userID string, c UserChange) (user ledger.Object[User], err error) {
	defer fault.Wrap(&err, "change user %q", userID)
	var next nextPassword
	if c.Password != nil {
		if next, err = s.choose(ctx, userID, *c.Password, c.Chosen, c.Early); err != nil {
			return user, err
		}
	}
	if c.Verifier != "" {
		next.verifier = c.Verifier
	}
	var question *Question
	if c.Question != nil && c.Answer != nil {
		if question, err = s.question(ctx, *c.Question, *c.Answer); err != nil {
			return user, err
		}
	}
	if c.Once != nil {
		if err := c.Once(ctx); err != nil {
			return user, err
		}
	}
	_, err = s.cfg.Ledger.Update(ctx, actor, "change user "+userID, func(tx *ledger.Tx) error {
		u, err := Users.Get(tx, userID)
		if err != nil {
			return err
		}
		if err := c.onto(tx, &u.Value, next, question); err != nil {
			return err
		}
		if user, err = Users.Put(tx, u); err != nil {
			return err
		}
		return applyRules(tx, user)
	})
	if err != nil {
		return user, err
	}
	if c.Profile != nil {
		s.record(ctx, actor, EventUserUpdated, "Update user profile", userEntity(user))
	}
	if next.verifier != "" {
		s.record(ctx, actor, audit.UserPasswordSet, "Set a user's password", userEntity(user))
	}
	return user, nil
}

// onto makes the change to a user, with the verifiers of what is secret in it.
func (c *UserChange) onto(tx *ledger.Tx, u *User, next nextPassword, question *Question) error {
	if c.Only != nil {
		if err := c.Only(*u); err != nil {
			return err
		}
	}
	if c.Recover && u.Status == LockedOut {
		if err := u.enter(Active, tx); err != nil {
			return err
		}
	}
	if err := c.profileOnto(tx, u); err != nil {
		return err
	}
	if c.Verifier != "" && u.Status != Staged {
		return fault.New(fault.Conflict, "the user is %s: a hash can be imported for a staged user", u.Status).WithReason(ReasonStatus)
	}
	if question != nil {
		u.Question = question
	}
	if next.verifier == "" {
		return nil
	}
	u.keepPassword(next.history)
	return u.setPassword(next.verifier, tx)
}

func (c *UserChange) profileOnto(tx *ledger.Tx, u *User) error {
	if c.Profile == nil && c.Type == nil {
		return nil
	}
	if c.Profile != nil {
		if err := c.Profile(&u.Profile); err != nil {
			return err
		}
	}
	if c.Type != nil {
		u.Type = *c.Type
	}
	return checkProfile(tx, *u)
}

// setPassword gives the user a new password and what follows from it.
func (u *User) setPassword(verifier string, tx *ledger.Tx) error {
	u.Password, u.PasswordChanged = verifier, tx.Now()
	switch u.Status {
	case Provisioned, Recovery, PasswordExpired:
		return u.enter(Active, tx)
	case Deprovisioned:
		return fault.New(fault.Conflict, "the user is deprovisioned: activate them first").WithReason(ReasonStatus)
	case Staged, Active, LockedOut, Suspended:
	}
	return nil
}

// question returns a recovery question with the verifier of its answer, of which
// case and outer spaces do not count.
func (s *Service) question(ctx context.Context, text, answer string) (*Question, error) {
	answer = foldAnswer(answer)
	if len(answer) < 4 || len(answer) > maxPassword {
		return nil, fault.New(fault.Invalid, "the recovery question is not valid").
			WithFields(fault.Field{Path: "credentials.recovery_question.answer", Message: "must have 4 to 256 bytes"})
	}
	verifier, err := s.cfg.Passwords.Hash(ctx, answer)
	return &Question{Text: text, Answer: verifier}, err
}

func foldAnswer(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// SetPassword replaces a user's password.
func (s *Service) SetPassword(ctx context.Context, actor ledger.Actor, userID, password string) error {
	_, err := s.ChangeUser(ctx, actor, userID, UserChange{Password: &password})
	return err
}

// CheckPassword answers fault.Denied unless it is the user's password.
func (s *Service) CheckPassword(ctx context.Context, userID, password string) (err error) {
	defer fault.Wrap(&err, "check the password of user %q", userID)
	u, err := s.User(ctx, userID)
	if err != nil {
		return err
	}
	wrong := fault.New(fault.Denied, "the password is not right").WithReason(ReasonWrongPassword)
	if u.Value.Password == "" || len(password) > maxPassword {
		return wrong
	}
	ok, _, err := s.cfg.Passwords.Check(ctx, u.Value.Password, password)
	if err == nil && !ok {
		err = wrong
	}
	return err
}

// ChangePassword replaces the password of a user who knows the old one; early asks how
// old that is.
func (s *Service) ChangePassword(ctx context.Context, actor ledger.Actor, userID, old, next string, early bool) (user ledger.Object[User], err error) {
	if err := s.CheckPassword(ctx, userID, old); err != nil {
		return user, err
	}
	return s.ChangeUser(ctx, actor, userID, UserChange{Password: &next, Chosen: true, Early: early})
}

// ChangeQuestion replaces the recovery question of a user who knows the password.
func (s *Service) ChangeQuestion(ctx context.Context, actor ledger.Actor, userID, password, question, answer string) (user ledger.Object[User], err error) {
	if err := s.CheckPassword(ctx, userID, password); err != nil {
		return user, err
	}
	return s.ChangeUser(ctx, actor, userID, UserChange{Question: &question, Answer: &answer})
}

// FindShortLogin returns the user whose login begins with name and an @, whatever
// its case; fault.NotFound when there is none or more than one.
func (s *Service) FindShortLogin(ctx context.Context, name string) (u ledger.Object[User], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err := Users.List(tx, ledger.Query{By: "login", Prefix: strings.ToLower(name) + "@", Limit: 2})
		if err != nil {
			return err
		}
		if len(p.Items) != 1 {
			return fault.New(fault.NotFound, "there is no user %q, or more than one", name)
		}
		u = p.Items[0]
		return nil
	})
	return u, err
}

// RecoverPassword replaces the password of a user who knows the answer to the
// recovery question. Who fails is not told at what.
func (s *Service) RecoverPassword(ctx context.Context, actor ledger.Actor, userID, answer, next string) (user ledger.Object[User], err error) {
	defer fault.Wrap(&err, "recover the password of user %q", userID)
	u, err := s.User(ctx, userID)
	if err != nil {
		return u, err
	}
	switch u.Value.Status {
	case Active, PasswordExpired, Recovery, LockedOut:
	case Staged, Provisioned, Suspended, Deprovisioned:
		return u, fault.New(fault.Denied, "the user is %s", u.Value.Status).WithReason(ReasonRecovery)
	}
	if u.Value.Question == nil {
		return u, fault.New(fault.Denied, "the user has no recovery question").WithReason(ReasonRecovery)
	}
	ok, _, err := s.cfg.Passwords.Check(ctx, u.Value.Question.Answer, foldAnswer(answer))
	if err != nil {
		return u, err
	}
	if !ok {
		return u, fault.New(fault.Denied, "the answer is not right").WithReason(ReasonWrongAnswer)
	}
	return s.ChangeUser(ctx, actor, userID, UserChange{Password: &next, Chosen: true})
}

// ExpirePassword makes a user change the password at the next sign-in; a temporary
// one, when asked for, takes its place and is returned, the only time.
func (s *Service) ExpirePassword(ctx context.Context, actor ledger.Actor, userID string, temporary bool) (password string, err error) {
	defer fault.Wrap(&err, "expire the password of user %q", userID)
	if temporary {
		if password, err = s.temporary(ctx, userID); err != nil {
			return "", err
		}
		if err := s.SetPassword(ctx, actor, userID, password); err != nil {
			return "", err
		}
	}
	return password, s.SetStatus(ctx, actor, userID, PasswordExpired)
}
