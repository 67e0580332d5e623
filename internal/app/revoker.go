package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
	"gatehouse/internal/store"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
)

// revoker revokes: durable first, then in force on every node. And it takes back
// what a change of the ledger takes back, whoever made it and in whatever way: the tokens
// of a user who is suspended, deprovisioned, deleted, or whose password was reset, and
// those of an app that is deactivated or deleted.
//
// It reads that from the ledger's changes, behind each commit and before the call that
// made it returns. What it could not do then is done when the store is back, also after a
// restart: the last revision that it has seen to is kept.
type revoker struct {
	db     *store.DB
	ledger *ledger.Ledger
	views  *access.Views
	bus    cluster.Publisher
	url    string // of the identity listener
	log    *slog.Logger
	now    func() time.Time

	sessions *session.Service // of browsers
	grants   *issued.Service

	owing sync.Mutex
	owed  []cluster.Revocation // in the store, and not yet in force on every node

	mu     sync.Mutex
	seen   ledger.Revision
	kept   string // what the store says of seen; "" for nothing
	behind atomic.Pointer[string]
}

// revoke returns when every node refuses what r names.
func (v *revoker) revoke(ctx context.Context, r cluster.Revocation) error {
	if _, err := v.db.AddRevocation(ctx, r); err != nil {
		return err
	}
	return v.bus.PublishRevocation(ctx, r)
}

// PublishRevocation implements session.Publisher: what did not reach every node is
// tried again until it has, since the session that was to be ended is gone.
func (v *revoker) PublishRevocation(ctx context.Context, r cluster.Revocation) error {
	err := v.bus.PublishRevocation(ctx, r)
	if err != nil {
		v.owing.Lock()
		v.owed = append(v.owed, r)
		v.owing.Unlock()
	}
	return err
}

// pay tells the nodes what did not reach all of them.
func (v *revoker) pay(ctx context.Context) {
	v.owing.Lock()
	list := v.owed
	v.owed = nil
	v.owing.Unlock()
	for i := range list {
		_ = v.PublishRevocation(ctx, list[i]) // it is owed again
	}
}

// builtin revokes what every built-in server of the tenant has issued until a time
// to a client, a user or a session. It can be forgotten when the last such token would
// have expired.
func (v *revoker) builtin(ctx context.Context, kind cluster.Kind, value, reason, actor string, until time.Time) error {
	view, err := v.views.Get(ctx, tenant.Default)
	if err != nil {
		return err
	}
	for _, s := range view.Servers() {
		err := v.revoke(ctx, cluster.Revocation{
			Tenant: tenant.Default, Kind: kind, Issuer: s.Issuer(v.url), Value: value, Reason: reason, Actor: actor,
			IssuedBefore: until, Expires: until.Add(access.MaxAccessTokenLifetime + time.Minute),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const settingRevoked = "revocations.seen"

// begin reads where an earlier run stopped; a new store begins with what it has now.
func (v *revoker) begin(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	text, ok, err := v.db.Setting(ctx, settingRevoked)
	if err != nil {
		return err
	}
	if ok {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fault.Because(err, fault.Internal, "the setting %s is not a revision", settingRevoked)
		}
		v.seen, v.kept = ledger.Revision(n), text
		return nil
	}
	v.seen, err = v.ledger.Head(ctx)
	return err
}

// committed is told of each revision. The ledger cannot be told that it went wrong:
// the change is made. So it is tried again.
func (v *revoker) committed(ctx context.Context) {
	err := v.follow(tenant.With(ctx, tenant.Default))
	if err == nil {
		v.behind.Store(nil)
		return
	}
	text := err.Error()
	if v.behind.Swap(&text) == nil {
		v.log.Error("the tokens of users or apps that may do nothing any more are not revoked yet; it is tried again", "error", err)
	}
}

// follow sees to every change that it has not seen to.
func (v *revoker) follow(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "revoke what changes have taken back")
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		var list []ledger.Change
		if err := v.ledger.View(ctx, func(tx *ledger.Tx) error {
			list, err = tx.ChangesSince(v.seen, changesAtOnce)
			return err
		}); err != nil {
			return err
		}
		acted := false
		for i := range list {
			did, err := v.see(ctx, &list[i])
			if err != nil {
				return err
			}
			acted = acted || did
		}
		if len(list) > 0 {
			v.seen = list[len(list)-1].Revision
		}
		if acted || v.kept == "" {
			if err := v.keep(ctx); err != nil {
				return err
			}
		}
		if len(list) < changesAtOnce {
			return nil
		}
	}
}

// keep notes how far it has come. What lies between that and the head is looked at
// again after a restart: it revokes nothing, or the same once more.
func (v *revoker) keep(ctx context.Context) error {
	text := strconv.FormatInt(int64(v.seen), 10)
	var set bool
	var err error
	if v.kept == "" {
		set, err = v.db.AddSetting(ctx, settingRevoked, text)
	} else {
		set, err = v.db.SwapSetting(ctx, settingRevoked, v.kept, text)
	}
	if err == nil && !set { // another node has
		text, _, err = v.db.Setting(ctx, settingRevoked)
	}
	if err == nil {
		v.kept = text
	}
	return err
}

// see revokes what a change takes back, and reports whether that was anything.
func (v *revoker) see(ctx context.Context, c *ledger.Change) (acted bool, err error) {
	if c.Kind == directory.Users.Name() && c.After == nil {
		// Where they signed in from is about them, however long ago they were deleted.
		if err := v.db.ForgetPlaces(ctx, c.ID); err != nil {
			return false, err
		}
	}
	if c.Before == nil || v.now().Sub(c.Time) > access.MaxAccessTokenLifetime {
		return false, nil // nobody has a token of what was just made, nor one as old as that
	}
	kind, why := cluster.User, ""
	switch c.Kind {
	case directory.Users.Name():
		why, err = userLost(c)
	case access.Apps.Name():
		kind = cluster.Client
		why, err = appLost(c)
	}
	if err != nil || why == "" {
		return false, err
	}
	if err := v.builtin(ctx, kind, c.ID, why, c.Actor.Name, c.Time); err != nil || kind != cluster.User {
		return true, err
	}
	return true, v.endUser(ctx, c)
}

// endUser signs the user of a change out of every browser, and of the apps that were
// signed in to there. What they have granted ends with them if they do not come back;
// of one who is suspended it waits, and each use of it is refused.
func (v *revoker) endUser(ctx context.Context, c *ledger.Change) error {
	_, err := v.sessions.End(ctx, session.Selection{User: c.ID})
	if err != nil {
		return err
	}
	gone := c.After == nil
	if !gone {
		var is directory.User
		if err := json.Unmarshal(c.After, &is); err != nil {
			return err
		}
		gone = is.Status == directory.Deprovisioned
	}
	if gone {
		_, err = v.grants.Revoke(ctx, issued.Selection{User: c.ID})
	}
	return err
}

// userLost says why a user's tokens are taken back by a change, "" when they are not.
// Who changes their own password keeps theirs.
func userLost(c *ledger.Change) (why string, err error) {
	if c.After == nil {
		return "the user was deleted", nil
	}
	var was, is directory.User
	if err := errors.Join(json.Unmarshal(c.Before, &was), json.Unmarshal(c.After, &is)); err != nil {
		return "", err
	}
	if was.Status != is.Status {
		switch is.Status {
		case directory.Suspended, directory.Deprovisioned, directory.Recovery, directory.PasswordExpired:
			return "the user is " + string(is.Status), nil
		case directory.Staged, directory.Provisioned, directory.Active, directory.LockedOut:
		}
	}
	if was.Password != "" && !was.PasswordChanged.Equal(is.PasswordChanged) && c.Actor.ID != c.ID {
		return "the user's password was set anew", nil
	}
	return "", nil
}

func appLost(c *ledger.Change) (why string, err error) {
	if c.After == nil {
		return "the app was deleted", nil
	}
	var was, is access.App
	if err := errors.Join(json.Unmarshal(c.Before, &was), json.Unmarshal(c.After, &is)); err != nil {
		return "", err
	}
	if was.Status == access.Active && is.Status != access.Active {
		return "the app was deactivated", nil
	}
	return "", nil
}

// status is the line of /readyz about changes that are not in force yet.
func (v *revoker) status() telemetry.Status {
	v.owing.Lock()
	owed := len(v.owed)
	v.owing.Unlock()
	if owed > 0 {
		return telemetry.Status{State: telemetry.Degraded, Detail: fmt.Sprintf("%d browser sessions have ended whose tokens are not refused everywhere yet", owed)}
	}
	if why := v.behind.Load(); why != nil {
		return telemetry.Status{State: telemetry.Degraded, Detail: "tokens of users or apps that may do nothing any more go on until it works: " + *why}
	}
	return telemetry.Status{}
}

// run tries again what did not work.
func (v *revoker) run(ctx context.Context) {
	tick := time.NewTicker(retryStore)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			v.pay(ctx)
			if v.behind.Load() != nil {
				v.committed(ctx)
			}
		}
	}
}
