package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestNow: both readings are those of the standard clock.
func TestNow(t *testing.T) {
	for range 3 {
		before, now, after := time.Now(), Now(), time.Now()
		if now.Before(before) || now.After(after) {
			t.Errorf("monotonic: %v is not between %v and %v", now, before, after)
		}
		const adjusted = time.Millisecond // what the system may have mended the wall clock by within a second
		wall := now.Round(0)
		if wall.Before(before.Round(0).Add(-adjusted)) || wall.After(after.Round(0).Add(adjusted)) {
			t.Errorf("wall: %v is not between %v and %v", wall, before, after)
		}
	}
}

// TestReadAgain: the wall clock is read again when the last reading is too old.
func TestReadAgain(t *testing.T) {
	last.Store(nil) // a bubble has a clock of its own
	t.Cleanup(func() { last.Store(nil) })
	synctest.Test(t, func(t *testing.T) {
		Now()
		first := last.Load()
		<-time.After(fresh - 1)
		if got := Now(); !got.Equal(time.Now()) {
			t.Errorf("%v is not %v", got, time.Now())
		}
		if last.Load() != first {
			t.Error("it is read each time")
		}
		<-time.After(1)
		Now()
		if last.Load() == first {
			t.Error("the reading of a second ago is still in use")
		}
	})
}
