package app

import (
	"context"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/ledger"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/tenant"
)

// Bounds of metadata documents. Whoever can open a page of ours can have one fetched, so
// how much and how often is bounded for each host and for all.
const (
	maxDocument   = 5 << 10 // bytes, as section 8.7 recommends
	documentTime  = 5 * time.Second
	documentFresh = 10 * time.Minute // a document is not fetched again before
	maxDocuments  = 1000             // that are kept in memory
)

// documentRates bound how often documents are fetched: of one host, and in all.
func documentRates() (host, all ratelimit.Rate) {
	return ratelimit.Rate{Count: 30, Period: time.Minute}, ratelimit.Rate{Count: 300, Period: time.Minute}
}

// clientDocuments are the metadata documents of apps (OAuth Client ID Metadata Document):
// fetched when an authorization begins, at public addresses only, and never after a
// redirect. Errors are not kept; how often they can happen is limited. It implements
// login.Documents.
type clientDocuments struct {
	id      *identity
	http    *safehttp.Client
	private bool // loopback addresses, for development
	now     func() time.Time
	limits  *ratelimit.Limiter

	mu   sync.Mutex
	kept map[string]keptDocument
}

type keptDocument struct {
	doc *access.Document
	at  time.Time // when it was fetched
}

func newClientDocuments(id *identity, private bool, now func() time.Time) *clientDocuments {
	return &clientDocuments{
		id: id, private: private, now: now, kept: map[string]keptDocument{},
		http:   safehttp.New(safehttp.Config{AllowPrivate: private, MaxBody: maxDocument, Timeout: documentTime}),
		limits: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: 4096})),
	}
}

// Named implements grant.Documents.
func (c *clientDocuments) Named(ctx context.Context, t *grant.Target, address string) (*access.AppView, error) {
	host, ok := access.DocumentHost(address, c.private)
	if !ok {
		return nil, unusable("the client_id is not an https address with a host name and a path, or has a query, a fragment or a user")
	}
	if !t.Server.TakesDocument(host) {
		return nil, unusable("this authorization server takes none at its host")
	}
	doc, err := c.get(ctx, address, host)
	if err != nil {
		return nil, err
	}
	return t.View.AppOf(address, doc, c.id.published.source), nil
}

// Adopt implements login.Documents.
func (c *clientDocuments) Adopt(ctx context.Context, actor ledger.Actor, address string) error {
	host, ok := access.DocumentHost(address, c.private)
	if !ok {
		return fault.New(fault.Invalid, "the client_id is no address of a document")
	}
	doc, err := c.get(ctx, address, host)
	if err != nil {
		return err
	}
	return c.id.access.Adopt(tenant.With(ctx, tenant.Default), actor, address, doc)
}

func unusable(why string) error { return grant.Refuse("client_document", nil, why) }

// get returns the document at the address, as it was at most ten minutes ago.
func (c *clientDocuments) get(ctx context.Context, address, host string) (*access.Document, error) {
	now := c.now()
	if d := c.recall(address, now); d != nil {
		return d, nil
	}
	ofHost, ofAll := documentRates()
	if !c.limits.Take(now, c.limits.Key("host", host), ofHost, 1).Allowed || !c.limits.Take(now, c.limits.Key("all"), ofAll, 1).Allowed {
		return nil, grant.Refuse("temporarily_unavailable", nil)
	}
	body, kind, err := c.http.Get(ctx, address)
	if err != nil {
		why := "it could not be fetched"
		if f := fault.Of(err); f != nil {
			why = f.Message
		}
		return nil, grant.Refuse("client_document", err, why)
	}
	if media, _, _ := strings.Cut(kind, ";"); !jsonType(strings.ToLower(strings.TrimSpace(media))) {
		return nil, unusable("its content type is not application/json")
	}
	doc, wrong := access.ReadDocument(address, body)
	if wrong != "" {
		return nil, unusable(wrong)
	}
	c.keep(address, keptDocument{doc, now})
	return doc, nil
}

func jsonType(media string) bool {
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

func (c *clientDocuments) recall(address string, now time.Time) *access.Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.kept[address]; ok && now.Sub(k.at) < documentFresh {
		return k.doc
	}
	return nil
}

// keep remembers a document, in the place of the oldest one when there are too many.
func (c *clientDocuments) keep(address string, k keptDocument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.kept[address]; !there && len(c.kept) >= maxDocuments {
		oldest := ""
		for a, other := range c.kept {
			if oldest == "" || other.at.Before(c.kept[oldest].at) {
				oldest = a
			}
		}
		delete(c.kept, oldest)
	}
	c.kept[address] = k
}
