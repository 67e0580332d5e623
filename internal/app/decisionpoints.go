package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/authzen"
	"gatehouse/internal/catalog"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
)

// decisionPoints keeps one client for each decision point over reloads.
type decisionPoints struct {
	sealer *keys.Sealer
	health *telemetry.Health
	log    *slog.Logger
	now    func() time.Time
	http   *safehttp.Client

	mu     sync.Mutex
	asking map[string]*askingPoint // by everything that makes a client
}

type askingPoint struct {
	*authzen.Client
	forget func() // the health check
}

const (
	maxDecision  = 64 << 10 // bytes of an answer
	idleToPoints = 64       // connections kept to each
)

func newDecisionPoints(c nodeConfig) *decisionPoints {
	return &decisionPoints{
		sealer: c.Sealer, health: c.Health, log: c.Log, now: c.Now, asking: map[string]*askingPoint{},
		// The operator's file names these addresses, so they may be private.
		http: safehttp.New(safehttp.Config{AllowPrivate: true, MaxBody: maxDecision, MaxIdle: idleToPoints, Timeout: 10 * time.Second}),
	}
}

// point implements gateway.NewDecisionPoint. The token is opened here and kept in
// memory only.
func (d *decisionPoints) point(s spec.DecisionPoint) (_ gateway.DecisionPoint, err error) {
	defer fault.Wrap(&err, "decision point %s", s.Name)
	token, err := d.token(s)
	if err != nil {
		return nil, err
	}
	key := pointKey(s, token)
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.asking[key]; a != nil {
		return a.Client, nil
	}
	timeout := s.Timeout.Std()
	if timeout == 0 {
		timeout = spec.DefaultDecisionTimeout
	}
	c, err := authzen.New(authzen.Config{Endpoint: s.Endpoint(), Token: token, Timeout: timeout, HTTP: d.http, Now: d.now})
	if err != nil {
		return nil, err
	}
	forget := d.health.Register(telemetry.Check{Name: "decision point " + s.Name, Probe: func(context.Context) telemetry.Status {
		if err := c.Err(); err != nil {
			return telemetry.Status{State: telemetry.Degraded, Detail: "requests that it is asked about are answered 503: " + err.Error()}
		}
		return telemetry.Status{}
	}})
	d.asking[key] = &askingPoint{c, forget}
	return c, nil
}

func (d *decisionPoints) token(s spec.DecisionPoint) (string, error) {
	if s.Token == "" {
		return "", nil
	}
	token, err := d.sealer.Open(s.Token, catalog.TokenPlace(tenant.Default, s))
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return string(token), nil
}

// pointKey names a client by its settings; the token goes in as a hash.
func pointKey(s spec.DecisionPoint, token string) string {
	return fmt.Sprintf("%q %q %s %s", s.Name, s.Endpoint(), s.Timeout.Std(), keys.Hash(token))
}

// retain ends the clients that the snapshot does not name any more.
func (d *decisionPoints) retain(s spec.Snapshot) {
	named := map[string]bool{}
	for _, p := range s.DecisionPoints {
		token, err := d.token(p)
		if err != nil {
			d.log.Warn("the token of a decision point cannot be opened", "decision_point", p.Name, "error", err)
			continue
		}
		named[pointKey(p, token)] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, a := range d.asking {
		if !named[key] {
			delete(d.asking, key)
			a.forget()
			a.Close()
		}
	}
}

func (d *decisionPoints) close() {
	d.retain(spec.Snapshot{})
	d.http.Close()
}

// nobodyDecides stands in for the decision points of a gateway that asks nobody.
type nobodyDecides struct{}

// Ask implements gateway.DecisionPoint.
func (nobodyDecides) Ask(context.Context, string, []byte) (permitted bool, reason string, err error) {
	return false, "", fault.New(fault.Unavailable, "this gateway only decides")
}
