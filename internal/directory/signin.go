package directory

import (
	"context"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Identify returns the user whom somebody means who signs in: by login, else by
// an e-mail address that exactly one user has, else by the part of the login
// before the @ where that is unique. fault.NotFound otherwise. It looks for all
// three whatever it finds, so that its time says little.
func (s *Service) Identify(ctx context.Context, identifier string) (u ledger.Object[User], err error) {
	folded := strings.ToLower(strings.TrimSpace(identifier))
	if folded == "" || len(folded) > 100 || strings.ContainsFunc(folded, spaceOrControl) {
		folded = "\x7f" // nobody's
	}
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		u = ledger.Object[User]{}
		for _, q := range []ledger.Query{
			{By: "login", Equal: []string{folded}, Limit: 2},
			{By: "email", Equal: []string{folded}, Limit: 2},
			{By: "login", Prefix: folded + "@", Limit: 2},
		} {
			p, err := Users.List(tx, q)
			if err != nil {
				return err
			}
			if u.ID == "" && len(p.Items) == 1 {
				u = p.Items[0]
			}
		}
		return nil
	})
	if err == nil && u.ID == "" {
		err = fault.New(fault.NotFound, "there is no such user, or more than one")
	}
	return u, err
}

// Authenticate reports whether it is the password of the user, nil for a user who
// does not exist: it takes the same time. A verifier of older parameters is
// replaced after a success. fault.Timeout when ctx ends before its turn: few
// passwords are checked at a time.
func (s *Service) Authenticate(ctx context.Context, u *ledger.Object[User], password string) (ok bool, err error) {
	verifier := ""
	if u != nil {
		verifier = u.Value.Password
	}
	if len(password) > maxPassword {
		password = ""
		verifier = ""
	}
	ok, rehash, err := s.cfg.Passwords.Check(ctx, verifier, password)
	if err != nil || !ok || !rehash {
		return ok, err
	}
	fresh, err := s.cfg.Passwords.Hash(ctx, password)
	if err != nil {
		return true, nil //nolint:nilerr // the old verifier is good, another sign-in replaces it
	}
	_, err = s.cfg.Ledger.Update(ctx, ledger.System("sign-in"), "rehash the password of user "+u.ID, func(tx *ledger.Tx) error {
		now, err := Users.Get(tx, u.ID)
		if err != nil || now.Value.Password != verifier {
			return err
		}
		now.Value.Password = fresh
		_, err = Users.Put(tx, now)
		return err
	})
	return true, err
}
