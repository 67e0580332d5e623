package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"reflect"
	"time"

	"gatehouse/client"
	"gatehouse/internal/admin"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/okta"
	"gatehouse/internal/scim"
	"gatehouse/internal/store"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
)

// retryStore is how often a store that is down is tried again.
const retryStore = 2 * time.Second

// attach brings up what stands on the store and loads the configuration. When the
// store is down and a snapshot is on disk, the gateway serves that, and the rest
// follows when the store is back.
func (a *App) attach(ctx context.Context, file *config.File) error {
	a.tokens = newAdministrators(a.settings.SetupToken, a.current)
	a.health.Register(telemetry.Check{Name: "store", Probe: a.storeStatus})
	a.health.Register(telemetry.Check{Name: "revocations", Required: true, Probe: a.node.log.status})
	a.health.Register(telemetry.Check{Name: "revoked by changes", Probe: func(context.Context) telemetry.Status {
		if id := a.current(); id != nil {
			return id.revoker.status()
		}
		return telemetry.Status{Detail: "waits for the store"}
	}})
	a.health.Register(telemetry.Check{Name: "configuration", Required: true, Probe: a.configurationStatus})
	err := a.connect(ctx, file)
	if err == nil || !fault.Is(err, fault.Unavailable) {
		return err
	}
	if e := a.fromDisk(ctx); e != nil {
		if errors.Is(e, fs.ErrNotExist) {
			return fmt.Errorf("%w; nothing was kept in %s to serve from meanwhile: the first start needs the store", err, a.settings.Data)
		}
		return fmt.Errorf("%w; what was kept in %s cannot be served meanwhile: %w", err, a.settings.Data, e)
	}
	a.log.Warn("the store is down; the gateway serves the snapshot on disk, the rest follows when the store is back",
		"revision", a.node.gateway.Revision(), "error", err)
	a.work.Go(func() { a.reconnect(file) })
	return nil
}

// connect opens the store and all that stands on it.
func (a *App) connect(ctx context.Context, file *config.File) error {
	db, err := store.Open(ctx, store.Config{URL: a.settings.Store})
	if err != nil {
		return err
	}
	certificates, err := a.identityCertificates()
	if err != nil {
		_ = db.Close()
		return err
	}
	id, err := openIdentity(ctx, identityConfig{
		Certificates: certificates,
		URL:          a.addresses.Identity, DB: db, Sealer: a.sealer, Bus: a.bus, Revoked: a.node.revoked, Metrics: a.metrics, Log: a.log, Now: a.config.Now, Places: a.atlas, Private: a.settings.Identity.PrivateApps, SAML: a.settings.Identity.SAML,
		Post: a.post, People: a.settings.People, Look: a.look, Breached: a.breached, Passwords: a.config.Passwords,
	})
	if err != nil {
		_ = db.Close()
		return err
	}
	a.mu.Lock()
	a.identity = id
	a.mu.Unlock()
	ctx = withTenant(ctx)
	if err := a.node.log.replace(id.revocations(ctx, id.now())); err != nil {
		return err
	}
	if err := a.node.keys.follow(ctx, id.ledger); err != nil {
		return err
	}
	if err := a.node.context.open(ctx); err != nil {
		return err
	}
	if err := id.federation.Declare(ctx); err != nil {
		return err
	}
	if a.config.Dev {
		if err := a.seed(ctx, id, file); err != nil {
			return err
		}
	}
	file = a.latest(file)
	confs := a.configurations(id)
	if _, err := confs.apply(ctx, fileActor(file), file, applyOptions{Reason: "start"}); err != nil {
		return err
	}
	a.applied.Store(&file.Digest)
	if a.config.Dev {
		if err := a.exampleTokens(ctx, id, file); err != nil {
			return err
		}
	}
	a.identityPages.set(id.handler)
	a.okta.set(okta.New(a.oktaAPI(id))) //nolint:contextcheck // a call carries its context
	a.scim.set(scim.New(a.scimAPI(id)))
	a.admin.set(admin.New(admin.Config{
		Authenticator: a.tokens, Configurations: confs, Objects: &objects{id.ledger, id.people, id.audit}, Decisions: decisions{a.node.gateway}, Replays: replays{confs, a.spool},
		Identity: identityService{id}, Tokens: tokenService{id: id, demo: a.demoClient()}, Previews: previewService{id}, APITokens: apiTokenService{id},
		APIKeys: apiKeyService{id, a.node}, People: peopleService{id.people}, Revocations: revocationService{id},
		Status: a.status, Tenant: tenant.Default, Log: a.log,
	}))
	return nil
}

// latest returns the file as it is now, if it is still right: after a long wait
// for the store it may have changed.
func (a *App) latest(file *config.File) *config.File {
	if a.config.File == "" {
		return file
	}
	now, problems := a.readFile("")
	if len(problems) > 0 {
		a.log.Warn("the configuration file is broken now; what was read at the start is used", "error", problems)
		return file
	}
	return now
}

func (a *App) configurations(id *identity) *configurations {
	return &configurations{identity: id, node: a.node, dev: a.config.Dev}
}

// fileActor is whom history names for what a file declares.
func fileActor(f *config.File) ledger.Actor {
	name := filepath.Base(f.Name)
	return ledger.Actor{Type: "file", ID: name, Name: name}
}

// fromDisk serves what was kept by an earlier run.
func (a *App) fromDisk(ctx context.Context) error {
	known, err := a.node.log.recall()
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("no revocations were kept either: %w", fs.ErrNotExist)
	}
	if known, err := a.node.keys.recall(); err != nil || !known {
		a.log.Warn("calls with API keys are answered 503 until the store is back: none were kept on disk", "error", err)
	}
	if err := a.node.recall(ctx); err != nil {
		return err
	}
	if err := a.node.context.open(ctx); err != nil {
		a.log.Warn("upstreams are not told who calls in X-Gatehouse-Context until the store is back", "error", err)
	}
	return nil
}

// reconnect tries until the store is back.
func (a *App) reconnect(file *config.File) {
	tick := time.NewTicker(retryStore)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		}
		err := a.connect(a.ctx, file)
		if err == nil {
			a.log.Info("the store is back", "revision", a.node.gateway.Revision())
			return
		}
		a.mu.Lock()
		id := a.identity
		a.identity = nil
		a.mu.Unlock()
		if id != nil {
			_ = id.close()
		}
		if !fault.Is(err, fault.Unavailable) {
			a.log.Error("the store is back, but it cannot be used", "error", err)
		}
	}
}

// follow starts what goes on by itself: watching the file, following revisions of
// other nodes, tending the ring of the context's signer.
func (a *App) follow() {
	if a.config.File != "" {
		a.work.Go(a.watch)
	}
	a.work.Go(a.followRevisions)
	a.work.Go(a.countKeyUses)
	a.work.Go(func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-a.ctx.Done():
				return
			case now := <-tick.C:
				a.tendRevocations(a.ctx, now)
				a.node.signIns.tend()
				if err := a.node.context.open(a.ctx); err != nil && a.ctx.Err() == nil {
					a.log.Warn("the keys that sign X-Gatehouse-Context could not be tended", "error", err)
				}
			}
		}
	})
}

// watch applies the file whenever it changes. A broken file changes nothing: what
// runs goes on, and the log and /readyz say what is wrong.
func (a *App) watch() {
	w, err := a.watcher, a.unwatched
	if err == nil {
		err = w.Run(a.ctx)
	}
	if err != nil && a.ctx.Err() == nil {
		a.log.Error("the configuration file is not watched any more; restart to load changes of it", "error", err)
	}
}

func (a *App) reload() {
	file, problems := a.readFile("")
	if len(problems) > 0 {
		a.reloadFailed(problems)
		return
	}
	a.compareServer(file.Server)
	same := false
	if d := a.applied.Load(); d != nil && *d == file.Digest && a.broken.Load() == nil {
		if len(file.Secrets) == 0 {
			return // nothing has changed but the time of the file
		}
		same = true // but for what its references lead to, perhaps
	}
	id := a.current()
	if id == nil {
		a.reloadFailed(errStoreDown())
		return
	}
	d, err := a.configurations(id).apply(withTenant(a.ctx), fileActor(file), file, applyOptions{Reason: "the file has changed"})
	if err != nil {
		a.reloadFailed(err)
		return
	}
	a.broken.Store(nil)
	a.applied.Store(&file.Digest)
	a.refer(file)
	if !same || len(d.Changes) > 0 {
		a.log.Info("the configuration was reloaded", "revision", d.Revision, "changes", len(d.Changes))
	}
}

// refer keeps which files the file refers to, for the watcher.
func (a *App) refer(f *config.File) {
	list := f.References()
	a.references.Store(&list)
}

func (a *App) referred() []string {
	if list := a.references.Load(); list != nil {
		return *list
	}
	return nil
}

// compareServer says when the section "server" differs from what this process was
// started with: nothing of it is in force before the next start.
func (a *App) compareServer(now config.Server) {
	differs := !reflect.DeepEqual(now, a.declared)
	if a.waiting.Swap(differs) != differs && differs {
		a.log.Warn("settings under server have changed; they are in force when the process is started again", "file", a.config.File)
	}
}

func (a *App) reloadFailed(err error) {
	if a.ctx.Err() != nil {
		return
	}
	text := err.Error()
	a.broken.Store(&text)
	a.metrics.Reload(false)
	a.log.Error("the configuration was not reloaded; what was running goes on", "file", a.config.File, "error", err)
}

// followRevisions serves what others have changed: another node, or a call of the
// management API that this node did not make.
func (a *App) followRevisions() {
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.node.wake:
		}
		id := a.current()
		if id == nil {
			continue
		}
		if err := a.node.keys.follow(withTenant(a.ctx), id.ledger); err != nil && a.ctx.Err() == nil {
			a.log.Error("changes of API keys are not in force; those that were known go on", "error", err)
		}
		if err := a.configurations(id).serve(withTenant(a.ctx)); err != nil && a.ctx.Err() == nil {
			a.log.Error("a new revision is not served; what was running goes on", "error", err)
		}
	}
}

func (a *App) storeStatus(ctx context.Context) telemetry.Status {
	id := a.current()
	if id == nil {
		return telemetry.Status{State: telemetry.Degraded, Detail: "down: the gateway serves its snapshot, sign-in and changes wait"}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := id.db.Ping(ctx); err != nil {
		return telemetry.Status{State: telemetry.Degraded, Detail: "does not answer: the gateway goes on, changes are answered 503"}
	}
	return telemetry.Status{Detail: id.db.Engine()}
}

func (a *App) configurationStatus(context.Context) telemetry.Status {
	s := a.node.gateway.Status()
	switch broken := a.broken.Load(); {
	case s.Revision == 0:
		return telemetry.Status{State: telemetry.Failing, Detail: "nothing is loaded"}
	case broken != nil:
		return telemetry.Status{State: telemetry.Degraded, Detail: fmt.Sprintf("revision %d goes on, the file was refused: %s", s.Revision, *broken)}
	case s.FromDisk:
		return telemetry.Status{State: telemetry.Degraded, Detail: fmt.Sprintf("revision %d from disk", s.Revision)}
	}
	detail := fmt.Sprintf("revision %d", s.Revision)
	if a.waiting.Load() {
		detail += "; settings under server have changed and wait for the next start"
	}
	return telemetry.Status{Detail: detail}
}

// status answers GET /gatehouse/v1/status.
func (a *App) status(ctx context.Context) (client.Status, error) {
	id := a.current()
	if id == nil {
		return client.Status{}, errStoreDown()
	}
	head, err := id.ledger.Head(withTenant(ctx))
	if err != nil {
		return client.Status{}, err
	}
	s := client.Status{Version: a.config.Version, Tenant: string(tenant.Default), Revision: int64(head), Started: a.started}
	for _, n := range a.bus.Nodes() {
		if revision, ok := n.Revisions[tenant.Default]; ok {
			s.Nodes = append(s.Nodes, client.Node{Name: n.ID, Revision: revision})
		}
	}
	return s, nil
}

var _ http.Handler = (*later)(nil)
