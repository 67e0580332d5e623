package access

import (
	"context"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// The event types of grants, named as in Okta's System Log.
const (
	scopeGranted     = "app.oauth2.as.consent.grant"
	scopeGrantGone   = "app.oauth2.as.consent.revoke"
	scopeGrantPrefix = "oag"
)

// GrantScope lets an app ask the org server for one of the ManagementScopes. What
// an app has been granted it keeps; the grant that is there is returned.
func (s *Service) GrantScope(ctx context.Context, actor ledger.Actor, app, scope string) (grant ScopeGrant, o ledger.Object[App], err error) {
	defer fault.Wrap(&err, "grant scope %q to app %q", scope, app)
	if !ManagementScope(scope) {
		return grant, o, fault.New(fault.Invalid, "the grant is not valid").
			WithFields(fault.Field{Path: "scopeId", Message: quoted(scope) + " is not a scope of the org server that can be granted"})
	}
	err = s.update(ctx, actor, "grant "+scope+" to app "+app, func(tx *ledger.Tx) error {
		if o, err = Apps.Get(tx, app); err != nil {
			return err
		}
		if i := slices.IndexFunc(o.Value.Grants, func(g ScopeGrant) bool { return g.Scope == scope }); i >= 0 {
			grant = o.Value.Grants[i]
			return nil
		}
		grant = ScopeGrant{ID: keys.ID(scopeGrantPrefix), Scope: scope, By: actor.ID, Created: tx.Now()}
		o.Value.Grants = append(o.Value.Grants, grant)
		o, err = Apps.Put(tx, o)
		return err
	})
	if err != nil {
		return grant, o, err
	}
	s.record(ctx, actor, scopeGranted, "Grant scope "+scope+" to application", appEntity(o.ID, o.Value.Label))
	return grant, o, nil
}

// RevokeScope takes a grant from an app. Tokens that it has go on until they
// expire, without the scope: what a token allows is asked of the app again.
func (s *Service) RevokeScope(ctx context.Context, actor ledger.Actor, app, grant string) (err error) {
	defer fault.Wrap(&err, "revoke grant %q of app %q", grant, app)
	var label, scope string
	err = s.updateApp(ctx, actor, "revoke grant "+grant, app, func(_ *ledger.Tx, a *App) error {
		i := slices.IndexFunc(a.Grants, func(g ScopeGrant) bool { return g.ID == grant })
		if i < 0 {
			return fault.New(fault.NotFound, "the app has no grant %s", quoted(grant))
		}
		label, scope = a.Label, a.Grants[i].Scope
		a.Grants = slices.Delete(slices.Clone(a.Grants), i, i+1)
		return nil
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, scopeGrantGone, "Revoke scope "+scope+" of application", appEntity(app, label))
	return nil
}
