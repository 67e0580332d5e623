package app

import (
	"context"
	"strconv"
	"time"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
)

// revocationService is what administrators revoke by. It implements
// admin.Revocations.
type revocationService struct{ id *identity }

// apiKeyKind is a revocation of one API key, as people name it. For the data plane a
// key is a token of an issuer of its own.
const apiKeyKind = "api_key" // #nosec G101 -- the name of a kind

// foreignTokens is how long a revocation of another issuer's tokens is kept unless
// it says itself: their lifetime is not ours to know.
const foreignTokens = 30 * 24 * time.Hour

// Revoke implements admin.Revocations.
func (s revocationService) Revoke(ctx context.Context, actor admin.Actor, r client.Revocation, dryRun bool) (client.Revocation, error) {
	if r.ID != "" || r.Actor != "" || !r.Created.IsZero() || !r.IssuedBefore.IsZero() {
		return client.Revocation{}, fault.New(fault.Invalid, "id, actor, created and issued_before are given by the server: send kind, value, issuer, and reason and expires if you want to")
	}
	v, err := s.meaning(ctx, r, s.id.now())
	if err != nil {
		return client.Revocation{}, err
	}
	v.Reason, v.Actor = r.Reason, actor.Name
	also, err := s.otherServers(ctx, r, v)
	if err != nil {
		return client.Revocation{}, err
	}
	made := store.NumberedRevocation{Revocation: v}
	for i, one := range append([]cluster.Revocation{v}, also...) {
		if dryRun {
			break
		}
		seq, err := s.id.db.AddRevocation(ctx, one)
		if err == nil {
			err = s.id.bus.PublishRevocation(ctx, one)
		}
		if err != nil {
			return client.Revocation{}, err
		}
		if i == 0 {
			made.Seq, made.Created = seq, s.id.now()
		}
		s.record(actor, audit.TokenRevoked, "Revoke "+r.Kind, one)
	}
	out := forPeople(made)
	for i := range also {
		out.Also = append(out.Also, also[i].Issuer)
	}
	return out, nil
}

// otherServers returns what v means for the built-in servers besides the first: who names no
// issuer means a user, an app or a session of ours, and all of those are known to every
// server. Tokens and keys are of one.
func (s revocationService) otherServers(ctx context.Context, r client.Revocation, v cluster.Revocation) (out []cluster.Revocation, err error) {
	if r.Issuer != "" || v.Kind != cluster.User && v.Kind != cluster.Client && v.Kind != cluster.Session {
		return nil, nil
	}
	view, err := s.id.revoker.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	for _, server := range view.Servers() {
		if one := v; server.Issuer(s.id.revoker.url) != v.Issuer {
			one.Issuer = server.Issuer(s.id.revoker.url)
			out = append(out, one)
		}
	}
	return out, nil
}

// meaning is what a person's revocation means to the data plane.
func (s revocationService) meaning(ctx context.Context, r client.Revocation, now time.Time) (cluster.Revocation, error) {
	v := cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Kind(r.Kind), Issuer: r.Issuer, Value: r.Value}
	if r.Kind == apiKeyKind {
		v.Kind, v.Issuer = cluster.TokenID, gateway.APIKeyIssuer
	}
	switch {
	case !v.Kind.Valid():
		return v, fault.New(fault.Invalid, "kind must be token, token_hash, session, user, client, key, certificate, api_key, issuer or tenant")
	case (v.Value != "") != v.Kind.HasValue():
		return v, fault.New(fault.Invalid, "say which %s with a value, but an issuer by its address as the issuer alone, and nothing of the tenant: it is yours", r.Kind)
	case r.Issuer != "" && (!v.Kind.OfIssuer() || r.Kind == apiKeyKind):
		return v, fault.New(fault.Invalid, "a %s is revoked whoever issued the token: leave the issuer out", r.Kind)
	case !r.Expires.IsZero() && !r.Expires.After(now):
		return v, fault.New(fault.Invalid, "expires has passed already")
	}
	if v.Kind == cluster.TokenHash && len(v.Value) != 43 {
		return v, fault.New(fault.Invalid, "a token_hash is base64url of the SHA-256 of the token, 43 characters: send no token")
	}
	life := foreignTokens
	if v.Issuer == "" && v.Kind.OfIssuer() {
		target, err := s.id.target(ctx, access.DefaultServer)
		if err != nil {
			return v, err
		}
		v.Issuer, life = target.Issuer(), access.MaxAccessTokenLifetime+time.Minute
		if v.Kind == cluster.User {
			if v.Value, err = s.ourUser(ctx, v.Value); err != nil {
				return v, err
			}
		}
	}
	switch v.Kind {
	case cluster.Client, cluster.User, cluster.Session, cluster.Issuer, cluster.Tenant:
		v.IssuedBefore, v.Expires = now, now.Add(life)
	case cluster.Key, cluster.Certificate: // what was stolen stays stolen
	case cluster.TokenID, cluster.TokenHash:
		if r.Kind != apiKeyKind {
			v.Expires = now.Add(life)
		}
	}
	if !r.Expires.IsZero() {
		v.Expires = r.Expires
	}
	return v, nil
}

// ourUser returns a user's id or login as tokens of ours have it. Whoever revokes in a hurry
// is told of a slip, and a login counts whatever its case. Tokens of users who are deleted
// were taken back then.
func (s revocationService) ourUser(ctx context.Context, named string) (string, error) {
	u, err := s.id.people.User(ctx, named)
	if err == nil {
		return u.ID, nil
	}
	if fault.Is(err, fault.NotFound) {
		u, err = s.id.people.FindUser(ctx, named)
	}
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.NotFound, "there is no user with this id or login, and nothing was revoked: one of another issuer is named with its issuer")
	}
	return u.Value.Profile.Login, err
}

// List implements admin.Revocations.
func (s revocationService) List(ctx context.Context, q client.RevocationQuery) (page client.RevocationPage, err error) {
	find := store.RevocationQuery{Kind: cluster.Kind(q.Kind), Value: q.Value, Limit: q.Limit + 1}
	if q.Kind == apiKeyKind {
		find.Kind = cluster.TokenID
	}
	if q.After != "" {
		if find.After, err = revocationNumber(q.After); err != nil {
			return page, err
		}
	}
	list, err := s.id.db.FindRevocations(ctx, find, s.id.now())
	if err != nil {
		return page, err
	}
	if len(list) > q.Limit {
		list = list[:q.Limit]
		page.Next = strconv.FormatInt(list[q.Limit-1].Seq, 10)
	}
	page.Revocations = []client.Revocation{}
	for i := range list {
		if r := forPeople(list[i]); q.Kind == "" || r.Kind == q.Kind {
			page.Revocations = append(page.Revocations, r)
		}
	}
	return page, nil
}

// Lift implements admin.Revocations. What was revoked at several servers at once is taken
// back at all of them.
func (s revocationService) Lift(ctx context.Context, actor admin.Actor, id string) error {
	seq, err := revocationNumber(id)
	if err != nil {
		return err
	}
	v, err := s.id.db.LiftRevocation(ctx, seq)
	if err != nil {
		return err
	}
	if err := s.lifted(ctx, actor, v); err != nil {
		return err
	}
	together, err := s.together(ctx, v)
	if err != nil {
		return err
	}
	for i := range together {
		one, err := s.id.db.LiftRevocation(ctx, together[i])
		if err == nil {
			err = s.lifted(ctx, actor, one)
		}
		if err != nil && !fault.Is(err, fault.NotFound) { // somebody else may have been faster
			return err
		}
	}
	return nil
}

// mostTogether bounds the revocations that were made by one call, one for each server.
const mostTogether = 1000

// together returns the numbers of the revocations of built-in servers that were made by the
// call that made v.
func (s revocationService) together(ctx context.Context, v cluster.Revocation) (out []int64, err error) {
	if v.IssuedBefore.IsZero() || v.Issuer == "" {
		return nil, nil
	}
	view, err := s.id.revoker.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for _, server := range view.Servers() {
		ours[server.Issuer(s.id.revoker.url)] = true
	}
	if !ours[v.Issuer] {
		return nil, nil
	}
	list, err := s.id.db.FindRevocations(ctx, store.RevocationQuery{Kind: v.Kind, Value: v.Value, Limit: mostTogether}, s.id.now())
	for i := range list {
		if o := &list[i]; ours[o.Issuer] && o.IssuedBefore.Equal(v.IssuedBefore) && o.Expires.Equal(v.Expires) && o.Actor == v.Actor && o.Reason == v.Reason {
			out = append(out, o.Seq)
		}
	}
	return out, err
}

// lifted tells every node of a revocation that was taken back.
func (s revocationService) lifted(ctx context.Context, actor admin.Actor, v cluster.Revocation) error {
	v.Lifted = true
	if err := s.id.bus.PublishRevocation(ctx, v); err != nil {
		return err
	}
	s.record(actor, revocationLifted, "Take a revocation back", v)
	return nil
}

// revocationLifted is the event of a revocation that was taken back; the type is ours.
const revocationLifted = "app.oauth2.as.token.revoke.lift" // #nosec G101 -- the name of an event

func (s revocationService) record(actor admin.Actor, event, message string, v cluster.Revocation) {
	s.id.audit.Record(audit.Event{
		Tenant: v.Tenant, Type: event, Message: message,
		Actor:   audit.Entity{ID: actor.ID, Type: "User", DisplayName: actor.Name},
		Targets: []audit.Entity{{ID: v.Value, Type: string(v.Kind), DisplayName: v.Issuer}},
		Outcome: audit.Outcome{Result: audit.Success, Reason: v.Reason},
	})
}

func revocationNumber(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return 0, fault.New(fault.NotFound, "there is no revocation %q: ids are those that the list shows", id)
	}
	return n, nil
}

func forPeople(r store.NumberedRevocation) client.Revocation {
	out := client.Revocation{
		Kind: string(r.Kind), Value: r.Value, Issuer: r.Issuer, Reason: r.Reason, Actor: r.Actor,
		Created: r.Created, IssuedBefore: r.IssuedBefore, Expires: r.Expires,
	}
	if r.Seq > 0 {
		out.ID = strconv.FormatInt(r.Seq, 10)
	}
	if r.Issuer == gateway.APIKeyIssuer {
		out.Kind, out.Issuer = apiKeyKind, ""
	}
	return out
}
