package app

import (
	"context"
	"sync"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/upstream"
)

// pools makes the pool of each API, and shows on /readyz those of the snapshot
// that is served.
type pools struct {
	config upstream.Config // what all pools have in common
	health *telemetry.Health

	mu     sync.Mutex
	made   map[string]*upstream.Pool // by API, since the last snapshot was served
	served map[string]*upstream.Pool
	forget map[string]func() // the line of /readyz
}

func newPools(c upstream.Config, h *telemetry.Health) *pools {
	return &pools{config: c, health: h, made: map[string]*upstream.Pool{}, served: map[string]*upstream.Pool{}, forget: map[string]func(){}}
}

// backend implements gateway.NewBackend.
func (p *pools) backend(api spec.API, previous gateway.Backend) (gateway.Backend, error) {
	c := p.config
	c.API = api
	c.Previous, _ = previous.(*upstream.Pool)
	pool, err := upstream.New(c)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[api.Name] = pool
	return pool, nil
}

// serve shows the pools that were made for the snapshot, which is served now.
func (p *pools) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served, p.made = p.made, map[string]*upstream.Pool{}
	for name, forget := range p.forget {
		if p.served[name] == nil {
			forget()
			delete(p.forget, name)
		}
	}
	for name := range p.served {
		if p.forget[name] == nil {
			p.forget[name] = p.health.Register(telemetry.Check{Name: "upstream " + name, Probe: func(ctx context.Context) telemetry.Status { return p.status(ctx, name) }})
		}
	}
}

// discard forgets the pools of a snapshot that did not compile.
func (p *pools) discard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = map[string]*upstream.Pool{}
}

func (p *pools) status(ctx context.Context, name string) telemetry.Status {
	p.mu.Lock()
	pool := p.served[name]
	p.mu.Unlock()
	if pool == nil {
		return telemetry.Status{}
	}
	return pool.Health(ctx)
}
