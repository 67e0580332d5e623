package app

import (
	"context"

	"gatehouse/client"
	"gatehouse/internal/admin"
	"gatehouse/internal/fault"
)

// apiTokenService manages API tokens. It implements admin.APITokens.
type apiTokenService struct{ id *identity }

// List implements admin.APITokens.
func (s apiTokenService) List(ctx context.Context) ([]client.APIToken, error) {
	var out []client.APIToken
	after := ""
	for {
		page, err := s.id.access.ListAPITokens(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			t := client.APIToken{ID: o.ID, Name: o.Value.Name, User: o.Value.User, Created: o.Value.Created, Expires: o.Value.Expires}
			if u, err := s.id.people.User(ctx, o.Value.User); err == nil {
				t.User = u.Value.Profile.Login
			}
			out = append(out, t)
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// Create implements admin.APITokens. The token may do what the roles of its user
// allow, now and whenever it is used.
func (s apiTokenService) Create(ctx context.Context, actor admin.Actor, t client.APIToken) (client.APIToken, error) {
	if t.ID != "" || t.Token != "" || !t.Created.IsZero() {
		return client.APIToken{}, fault.New(fault.Invalid, "id, token and created are given by the server: send name and user, and expires if you want to")
	}
	if !t.Expires.IsZero() && !t.Expires.After(s.id.now()) {
		return client.APIToken{}, fault.New(fault.Invalid, "expires is in the past")
	}
	user, err := s.id.people.FindUser(ctx, t.User)
	if err != nil {
		return client.APIToken{}, err
	}
	if !user.Value.MayAct() {
		return client.APIToken{}, fault.New(fault.Denied, "user %q is %s: a token of theirs would open nothing", t.User, user.Value.Status)
	}
	out := client.APIToken{Name: t.Name, User: user.Value.Profile.Login, Expires: t.Expires}
	made, err := s.id.access.AddAPIToken(ctx, ledgerActor(actor), t.Name, user.ID, t.Expires)
	if err != nil {
		return client.APIToken{}, err
	}
	out.ID, out.Created, out.Token = made.ID, made.Created, made.Token
	return out, nil
}

// Delete implements admin.APITokens.
func (s apiTokenService) Delete(ctx context.Context, actor admin.Actor, id string) error {
	return s.id.access.DeleteAPIToken(ctx, ledgerActor(actor), id)
}
