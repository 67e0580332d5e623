package app

import (
	"context"
	"time"

	"gatehouse/internal/authserver"
	"gatehouse/internal/safehttp"
)

// openLogouts makes what calls the addresses that apps have named, and what tells
// them that sessions have ended.
func (id *identity) openLogouts(c identityConfig) {
	id.apps = safehttp.New(safehttp.Config{AllowPrivate: c.Private})
	id.logouts = authserver.NewLogouts(authserver.LogoutsConfig{
		Target: id.target, Rings: id.rings, HTTP: id.apps, Audit: id.audit, Log: c.Log, Now: c.Now,
	})
}

// clearRoom forgets, each minute, the requests that nobody has come back to: what may
// wait is counted, and what is over shall not stay behind it.
func (id *identity) clearRoom(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			_, _ = id.db.PruneWaiting(ctx, now) // what is not pruned now is pruned in a minute
		}
	}
}
