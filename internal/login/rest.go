package login

import "context"

// counters are what wrong passwords and wrong codes of a person are counted by.
func counters(user string) map[string]int {
	return map[string]int{user: attemptsOfOne, codeCounter(user): codesOfOne}
}

func codeCounter(user string) string { return "factor-" + user }

// Resting reports whether signing in rests for a person, by password or by code, because
// there were too many wrong ones.
func (s *Server) Resting(ctx context.Context, user string) (bool, error) {
	for name, most := range counters(user) {
		n, err := s.cfg.Attempts.Attempts(ctx, name, s.cfg.Now(), restTime)
		if err != nil || n >= most {
			return err == nil, err
		}
	}
	return false, nil
}

// Release lets a person try again before the rest is over.
func (s *Server) Release(ctx context.Context, user string) error {
	for name := range counters(user) {
		if err := s.cfg.Attempts.ForgetAttempts(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
