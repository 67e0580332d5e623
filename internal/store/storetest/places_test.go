package storetest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/fault"
	"gatehouse/internal/risk"
)

// With what and from where people have signed in: one row for each browser and network,
// of one tenant and user alone, forgotten when asked and in time.
func TestKnownPlaces(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		home := risk.Visit{Device: "d1", Network: "AS1", Country: "DE", Located: true, Latitude: 52.52, Longitude: -13.4, Last: at(1)}
		cafe := risk.Visit{Device: "d1", Network: "203.0.113.0/24", Last: at(2)}
		for _, v := range []risk.Visit{home, cafe} {
			must(t, b.db.RememberPlace(acme, "ana", v))
		}
		must(t, b.db.RememberPlace(acme, "ben", risk.Visit{Device: "d2", Network: "AS1", Last: at(1)}))
		home.Last, home.Latitude = at(3), 48.86
		must(t, b.db.RememberPlace(acme, "ana", home))
		known := func() []risk.Visit {
			t.Helper()
			got, err := b.db.KnownPlaces(acme, "ana")
			must(t, err)
			return got
		}
		if d := cmp.Diff([]risk.Visit{home, cafe}, known()); d != "" {
			t.Error(d)
		}
		if got, err := b.db.KnownPlaces(bravo, "ana"); len(got) != 0 || err != nil {
			t.Errorf("another tenant's: %v %v", got, err)
		}
		for _, wrong := range []risk.Visit{{Network: "AS1"}, {Device: "d\x00"}} {
			if err := b.db.RememberPlace(acme, "ana", wrong); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		if _, err := b.db.PruneSessions(acme, at(2).Add(180*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]risk.Visit{home}, known()); d != "" {
			t.Error(d)
		}
		must(t, b.db.ForgetPlaces(acme, "ana"))
		if got := known(); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}
