package login

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/fault"
)

// codeCounter is what wrong codes of a person are counted by; passwords are by their id.
func codeCounter(user string) string { return "factor-" + user }

// Resting reports whether signing in rests for a person, by password or by code, because
// there were too many wrong ones. Where it does not end by itself their status says it.
func (s *Server) Resting(ctx context.Context, user string) (bool, error) {
	u, err := s.cfg.People.User(ctx, user)
	if err != nil {
		return false, err
	}
	most, rest, err := s.guesses(ctx, &u)
	if err != nil {
		return false, err
	}
	for _, c := range []struct {
		counter string
		most    int
		rest    time.Duration
	}{{user, most, rest}, {codeCounter(user), codesOfOne, restTime}} {
		if c.rest == 0 {
			continue
		}
		n, err := s.cfg.Attempts.Attempts(ctx, c.counter, s.cfg.Now(), c.rest)
		if err != nil || n >= c.most {
			return err == nil, err
		}
	}
	return false, nil
}

// unjudged returns why an attempt was not judged, and does not count it when that was for
// too many others at the time: nobody has learnt whether it was right.
func (s *Server) unjudged(ctx context.Context, counter string, err error) error {
	if fault.Is(err, fault.Timeout) {
		return errors.Join(err, s.cfg.Attempts.ReturnAttempt(context.WithoutCancel(ctx), counter))
	}
	return err
}

// Release lets a person try again before the rest is over.
func (s *Server) Release(ctx context.Context, user string) error {
	for _, name := range []string{user, codeCounter(user)} {
		if err := s.cfg.Attempts.ForgetAttempts(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
