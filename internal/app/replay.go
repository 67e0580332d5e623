package app

import (
	"context"
	"path/filepath"
	"time"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/replay"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
)

// openSpool keeps decisions, when the settings ask for it; nil otherwise.
func (a *App) openSpool() (*replay.Spool, error) {
	if a.settings.Replay.Keep == 0 {
		return nil, nil //nolint:nilnil // nothing is kept
	}
	s, err := replay.Open(replay.Config{
		Dir: filepath.Join(a.settings.Data, "replay"), Keep: a.settings.Replay.Keep, MaxSize: a.settings.Replay.MaxSize, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.onClose(func(context.Context) error { return s.Close() })
	return s, nil
}

// replays compares drafts with what was decided. It implements admin.Replays.
type replays struct {
	confs *configurations
	spool *replay.Spool // nil: nothing is kept
}

// Replay implements admin.Replays.
func (r replays) Replay(ctx context.Context, q client.ReplayRequest) (client.Replay, error) {
	if r.spool == nil {
		return client.Replay{}, fault.New(fault.Invalid, "no decisions are kept: set server.replay.keep, such as 24h, and restart")
	}
	since, err := time.ParseDuration(q.Since)
	if err != nil || since <= 0 {
		return client.Replay{}, fault.New(fault.Invalid, "%q is no time such as 24h", q.Since)
	}
	file, err := r.confs.parse(q.Configuration)
	if err != nil {
		return client.Replay{}, err
	}
	snapshot, err := r.confs.drafted(ctx, file)
	if err != nil {
		return client.Replay{}, err
	}
	judge, err := r.confs.node.gateway.NewJudge(snapshot)
	if err != nil {
		return client.Replay{}, err
	}
	defer judge.Close()
	c, err := replay.Compare(ctx, r.spool, time.Now().Add(-since), judge)
	if err != nil {
		return client.Replay{}, err
	}
	out := client.Replay{
		From: c.From, To: c.To, Replayed: c.Replayed, Skipped: c.Skipped, Dropped: r.spool.Dropped(),
		More: c.More, Unknown: c.Unknown, Unsure: c.Unsure, Changes: []client.AccessChange{},
	}
	for _, one := range c.Changes {
		access := "loses"
		if one.Gains {
			access = "gains"
		}
		out.Changes = append(out.Changes, client.AccessChange{Access: access, Who: one.Who, Operation: one.Operation, Count: one.Count, Was: one.Was, Now: one.Now})
	}
	return out, nil
}

// drafted returns what a file declares as it would be served: built-in servers resolved.
func (c *configurations) drafted(ctx context.Context, file *config.File) (spec.Snapshot, error) {
	view, err := c.identity.views.Get(ctx, tenant.Default)
	if err != nil {
		return spec.Snapshot{}, err
	}
	s := withBuiltins(file.Declared, func(name string) (string, []string, bool) {
		server, ok := view.Server(name)
		if !ok {
			return "", nil, false
		}
		return server.Issuer(c.identity.url), server.Audiences, true
	})
	s.Tenant = string(tenant.Default)
	return s, nil
}
