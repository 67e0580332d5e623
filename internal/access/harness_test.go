package access

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
)

// notes is an audit.Recorder that keeps what it gets.
type notes struct{ events []audit.Event }

func (n *notes) Record(e audit.Event) { n.events = append(n.events, e) }

// room is this room on a store of its own.
type room struct {
	ctx     context.Context
	ledger  *ledger.Ledger
	views   *Views
	service *Service
	notes   *notes
	admin   ledger.Actor
	now     time.Time
	db      *store.DB
}

// people is the directory's kinds as far as references need them.
func peopleKinds() []ledger.AnyKind {
	type empty struct{}
	return []ledger.AnyKind{
		ledger.NewKind(ledger.Spec[empty]{Name: "user", IDPrefix: "00u"}),
		ledger.NewKind(ledger.Spec[empty]{Name: "group", IDPrefix: "00g"}),
	}
}

func newRoom(t testing.TB) *room {
	t.Helper()
	r := &room{
		ctx: tenant.With(context.Background(), tenant.Default), admin: ledger.System("test"), notes: &notes{},
		now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC),
	}
	clock := func() time.Time { return r.now }
	db, err := store.Open(r.ctx, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db"), Clock: clock})
	must(t, err)
	r.db = db
	t.Cleanup(func() { _ = db.Close() })
	registry, err := ledger.NewRegistry(append(Kinds(), peopleKinds()...)...)
	must(t, err)
	r.ledger, err = ledger.New(ledger.Config{
		Store: db.Ledger(), Registry: registry, Clock: clock,
		Committed: func(tn tenant.ID, rev ledger.Revision) { r.views.Revised(r.ctx, tn, int64(rev)) },
	})
	must(t, err)
	r.views = NewViews(ViewsConfig{Ledger: r.ledger, Now: clock})
	r.service = NewService(ServiceConfig{Ledger: r.ledger, Views: r.views, Audit: r.notes})
	return r
}

func (r *room) server(t testing.TB, name string) *ServerView {
	t.Helper()
	s, err := r.service.EnsureServer(r.ctx, r.admin, Server{Name: name, Audiences: []string{"api://" + name}})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
