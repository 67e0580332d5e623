package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestProberThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan error)
		down := errors.New("down")
		var changes []bool
		p := startProber(10*time.Second, func(context.Context) error { return <-answers },
			func(healthy bool, why error) {
				if healthy == (why != nil) {
					t.Errorf("healthy %v because of %v", healthy, why)
				}
				changes = append(changes, healthy)
			})
		defer p.stop()
		// play answers one probe after another and says how it ends.
		play := func(name string, wantUnhealthy bool, script ...error) {
			t.Helper()
			for _, err := range script {
				answers <- err
			}
			synctest.Wait()
			if p.unhealthy.Load() != wantUnhealthy {
				t.Errorf("%s: unhealthy %v, want %v", name, !wantUnhealthy, wantUnhealthy)
			}
		}
		play("starts healthy", false, nil)
		play("two failures", false, down, down)
		play("flapping", false, nil, down, down, nil, down, nil)
		play("three in a row", true, down, down, down)
		play("one success", true, nil)
		play("flapping while down", true, down, nil, down, nil, down)
		play("two in a row", false, nil, nil)
		if len(changes) != 2 || changes[0] || !changes[1] {
			t.Errorf("changes %v, want down and up", changes)
		}
	})
}

func TestProberInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		p := startProber(10*time.Second, func(context.Context) error {
			at = append(at, time.Now())
			return nil
		}, func(bool, error) {})
		start := time.Now()
		<-time.After(1000 * time.Second)
		synctest.Wait()
		p.stop()
		if first := at[0].Sub(start); first > time.Second {
			t.Errorf("first probe after %s, want at most a tenth of the interval", first)
		}
		same := true
		for i := 1; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			if gap < 9*time.Second || gap > 11*time.Second {
				t.Errorf("gap of %s, want 9 to 11 s", gap)
			}
			same = same && gap == at[1].Sub(at[0])
		}
		if same {
			t.Error("no jitter")
		}
	})
}

// A probe that hangs counts as failed after its time, and stop does not wait for it.
func TestProberHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProber(4*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(bool, error) {})
		<-time.After(30 * time.Second)
		synctest.Wait()
		if !p.unhealthy.Load() {
			t.Error("healthy though no probe was ever answered")
		}
		before := time.Now()
		p.stop()
		if d := time.Since(before); d != 0 {
			t.Errorf("stop took %s", d)
		}
	})
}
