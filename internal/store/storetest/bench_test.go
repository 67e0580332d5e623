package storetest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// BenchmarkUpdate measures durable Updates of one object: one after the other, and
// by 16 callers, of one tenant and of 16.
func BenchmarkUpdate(b *testing.B) {
	engines := map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "x.db") },
		"postgres": func(t testing.TB) string { return postgres.Database(t) },
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, load := range []struct{ callers, tenants int }{{1, 1}, {8, 1}, {8, 8}} {
			b.Run(fmt.Sprintf("%s/callers=%d/tenants=%d", engine, load.callers, load.tenants), func(b *testing.B) {
				w := open(b, engines[engine](b))
				var n atomic.Int64
				b.SetParallelism(load.callers/2 + load.callers%2)
				start := time.Now()
				run := func() bool {
					i := n.Add(1)
					ctx := tenant.With(b.Context(), tenant.ID(fmt.Sprintf("t%d", i%int64(load.tenants))))
					if err := updateOnce(ctx, w, i); err != nil {
						b.Error(err)
						return false
					}
					return true
				}
				if load.callers == 1 {
					for b.Loop() {
						run()
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if !run() {
								return
							}
						}
					})
				}
				b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "updates/s")
			})
		}
	}
}

func updateOnce(ctx context.Context, w bench, i int64) error {
	_, err := w.ledger.Update(ctx, ada, "bench", func(tx *ledger.Tx) error {
		_, err := w.team.Create(tx, team{Name: fmt.Sprint(i), Rank: i})
		return err
	})
	return err
}

// BenchmarkGet measures reading one object in a View of its own.
func BenchmarkGet(b *testing.B) {
	for engine, url := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "x.db") },
		"postgres": func(t testing.TB) string { return postgres.Database(t) },
	} {
		b.Run(engine, func(b *testing.B) {
			w := open(b, url(b))
			ctx := in(b, "acme")
			o := w.add(ctx, b, team{Name: "red"})
			for b.Loop() {
				if err := w.ledger.View(ctx, func(tx *ledger.Tx) error { _, err := w.team.Get(tx, o.ID); return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
