package authserver

import (
	"context"

	"gatehouse/internal/grant"
)

// hint is what an ID token of ours says that somebody brings back.
type hint struct {
	subject string // id of the user
	client  string
	session string // sid
}

// readHint reads an ID token that this server has signed, whenever that was: a
// hint may have expired (OpenID Connect RP-Initiated Logout section 2). Nil for
// what is none of ours.
func (s *Server) readHint(ctx context.Context, t *grant.Target, token string) (*hint, error) {
	tok, err := s.cfg.Inspector.IDToken(ctx, t, token)
	if err != nil || tok == nil {
		return nil, err
	}
	return &hint{subject: tok.Subject, client: tok.ClientID, session: tok.Session}, nil
}
