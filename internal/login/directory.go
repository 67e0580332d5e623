package login

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/ledger"
)

// DirectoryServer judges the passwords of its own people.
type DirectoryServer interface {
	// Directory returns what to ask it; nil when the password is for us to judge.
	Directory(ctx context.Context, identifier string, user *ledger.Object[directory.User]) (*federation.Asked, error)
	// Enter returns the user whose password it is; fault.Denied for nobody's.
	Enter(ctx context.Context, a *federation.Asked, password string) (ledger.Object[directory.User], error)
}

// directoryDown is that a directory server cannot judge those whom it is to judge. Nobody
// else does in its place.
type directoryDown struct{ cause error }

// Error returns the cause's text.
func (e *directoryDown) Error() string {
	return "the directory server cannot be asked: " + e.cause.Error()
}

// Unwrap returns what it is for callers without pages.
func (e *directoryDown) Unwrap() error {
	return fault.Because(e.cause, fault.Unavailable, "the directory server cannot be asked")
}

func isDirectoryDown(err error) bool {
	down := new(directoryDown)
	return errors.As(err, &down)
}

func down(err error) error {
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) {
		return &directoryDown{err}
	}
	return err
}

// directory returns what to ask the directory server, nil when the password is ours.
func (s *Server) directory(ctx context.Context, identifier string, user *ledger.Object[directory.User]) (*federation.Asked, error) {
	if s.cfg.Federation == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	a, err := s.cfg.Federation.Directory(ctx, identifier, user)
	return a, down(err)
}

// judgeThere is judge for those whom the directory server judges. Attempts are counted
// before it is asked, so that it is asked no more often than we would ask ourselves.
func (s *Server) judgeThere(ctx context.Context, a *federation.Asked, identifier, password string, now time.Time) (_ *ledger.Object[directory.User], failed int, err error) {
	defer a.Close()
	counter := a.Counter
	if counter == "" {
		counter = unknownCounter(identifier)
	}
	n, err := s.cfg.Attempts.TakeAttempt(ctx, counter, now, restTime)
	if err != nil {
		return nil, 0, err
	}
	// As with a password of ours: who is judged where shall not show in the time.
	hashing, cancel := context.WithTimeout(ctx, hashingTime)
	defer cancel()
	if _, err := s.cfg.People.Authenticate(hashing, nil, password); err != nil {
		return nil, 0, s.unjudged(ctx, counter, err)
	}
	if n > attemptsOfOne {
		return nil, 0, fault.New(fault.Denied, "the sign-in is refused").WithReason("LOCKED_OUT")
	}
	user, err := s.cfg.Federation.Enter(ctx, a, password)
	if err != nil {
		return nil, 0, down(err)
	}
	// Whoever was made or linked just now is counted by another name from here on.
	return &user, n - 1, s.cfg.Attempts.EndAttempts(ctx, counter, now)
}
