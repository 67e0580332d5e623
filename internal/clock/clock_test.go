package clock

import (
	"testing"
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
	wrong := time.Now().Add(-2 * fresh)
	last.Store(&wrong)
	Now()
	if last.Load() == &wrong {
		t.Error("the reading of two seconds ago is still in use")
	}
	again := last.Load()
	Now()
	if last.Load() != again {
		t.Error("it is read each time")
	}
}
