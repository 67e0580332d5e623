package okta

import (
	"context"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
)

// Sessions is what this API needs of people's browsers.
type Sessions interface {
	Get(ctx context.Context, id string) (session.Session, error)
	Refresh(ctx context.Context, id string) (session.Session, error)
	End(ctx context.Context, s session.Selection) (int, error)
	// RevokeGrants ends what a user has granted to an app, to all when it is empty.
	RevokeGrants(ctx context.Context, user, client string) error
	// SignOutEverywhere ends all sessions, grants and access tokens of a user, on every
	// node when it returns nil.
	SignOutEverywhere(ctx context.Context, actor ledger.Actor, user string) error
}

func (a *api) getSession(c *call) (answer, error) {
	s, err := a.Sessions.Get(c.Context(), c.arg("sessionId"))
	return a.session(c, s, err)
}

func (a *api) refreshSession(c *call) (answer, error) {
	s, err := a.Sessions.Refresh(c.Context(), c.arg("sessionId"))
	return a.session(c, s, err)
}

func (a *api) deleteSession(c *call) (answer, error) {
	n, err := a.Sessions.End(c.Context(), session.Selection{ID: c.arg("sessionId")})
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "there is no session %q", c.arg("sessionId"))
	}
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

// endUserSessions signs a user out of every browser; with oauthTokens=true the apps
// lose what they were granted as well.
func (a *api) endUserSessions(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	if _, err := a.Sessions.End(c.Context(), session.Selection{User: u.ID}); err != nil {
		return answer{}, err
	}
	if c.FormValue("oauthTokens") == "true" {
		if err := a.Sessions.RevokeGrants(c.Context(), u.ID, ""); err != nil {
			return answer{}, err
		}
	}
	return nothing()
}

func (a *api) session(c *call, s session.Session, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	u, err := a.People.User(c.Context(), s.User)
	if err != nil {
		return answer{}, err
	}
	out := object{
		"id": s.ID, "userId": s.User, "login": u.Value.Profile.Login, "createdAt": stamp(s.Created), "expiresAt": stamp(s.End()), "status": "ACTIVE",
		"lastPasswordVerification": nil, "lastFactorVerification": nil, "amr": s.AMR, "idp": object{"id": "OKTA", "type": "OKTA"}, "mfaActive": !s.FactorAt.IsZero(),
		"_links": object{"self": ref(a.href("sessions", s.ID), "GET", "DELETE"), "refresh": ref(a.href("sessions", s.ID, "lifecycle", "refresh"), "POST"), "user": object{"href": a.href("users", s.User)}},
	}
	if !s.PasswordAt.IsZero() {
		out["lastPasswordVerification"] = stamp(s.PasswordAt)
	}
	if !s.FactorAt.IsZero() {
		out["lastFactorVerification"] = stamp(s.FactorAt)
	}
	return ok(out)
}
