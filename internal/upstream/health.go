package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	unhealthyAfter = 3 // failed probes in a row
	healthyAfter   = 2 // successful probes in a row
	probeTimeout   = 5 * time.Second
)

// prober asks a target how it is, on a goroutine of its own, until stop.
type prober struct {
	unhealthy atomic.Bool

	interval time.Duration
	ask      func(context.Context) error
	changed  func(healthy bool, why error)
	cancel   context.CancelFunc
	done     chan struct{}
}

// newProber starts probing the target over connections of its own, so that a
// pool with every connection in use is not taken for a dead one.
func newProber(t *target, dial func(context.Context, string, string) (net.Conn, error), secure *tls.Config) *prober {
	s := t.settings
	scheme := "http://"
	if s.secure {
		scheme = "https://"
	}
	url := scheme + s.host1 + s.prefix + s.probePath
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: secure.Clone(), TLSHandshakeTimeout: s.dialTimeout,
			DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return startProber(s.probeInterval, func(ctx context.Context) error { return get(ctx, client, url) },
		func(healthy bool, why error) {
			t.metrics.Healthy(healthy)
			if healthy {
				t.log.LogAttrs(context.Background(), slog.LevelInfo, "target is healthy again")
				return
			}
			t.log.LogAttrs(context.Background(), slog.LevelWarn, "target is unhealthy", slog.Any("error", why))
		})
}

// startProber runs ask about once an interval. A target is healthy until
// it has failed: a gateway that has just started serves at once.
func startProber(interval time.Duration, ask func(context.Context) error, changed func(bool, error)) *prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{interval: interval, ask: ask, changed: changed, cancel: cancel, done: make(chan struct{})}
	go p.run(ctx)
	return p
}

// stop ends the probing and waits for it.
func (p *prober) stop() {
	p.cancel()
	<-p.done
}

func (p *prober) run(ctx context.Context) {
	defer close(p.done)
	// The first probes of many targets, and of many nodes, are spread out.
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(p.interval)/10 + 1))) //nolint:gosec // only to spread
	defer timer.Stop()
	row := 0 // successes in a row, or failures when negative
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		probe, cancel := context.WithTimeout(ctx, min(p.interval, probeTimeout))
		err := p.ask(probe)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			row = max(row, 0) + 1
		} else {
			row = min(row, 0) - 1
		}
		down := p.unhealthy.Load()
		if down && row >= healthyAfter || !down && row <= -unhealthyAfter {
			p.unhealthy.Store(!down)
			p.changed(down, err)
		}
		timer.Reset(jitter(p.interval))
	}
}

// jitter returns d give or take a tenth.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // only to spread
}

// get is one probe: healthy is an answer of 200 to 399 within the time.
func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make the probe: %w", err)
	}
	req.Header.Set("User-Agent", "gatehouse-health")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()                                                             //nolint:errcheck // nothing more is wanted of it
	if _, err := io.CopyN(io.Discard, resp.Body, 64<<10); err != nil && err != io.EOF { //nolint:errorlint // io.Reader returns it bare
		return fmt.Errorf("read the probe's answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("the probe was answered %d, not 200 to 399", resp.StatusCode)
	}
	return nil
}
