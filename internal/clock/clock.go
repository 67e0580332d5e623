// Package clock tells the time for less: time.Now reads two clocks of the system, the wall
// clock and the monotonic one, and Now only the latter.
package clock

import (
	"sync/atomic"
	"time"
)

// fresh is for how long the wall clock is reckoned and not read.
const fresh = time.Second

// last is when the system was asked.
var last atomic.Pointer[time.Time] //nolint:gochecknoglobals // the system has one wall clock

// Now returns what time.Now returns. Where the wall clock is set while the process
// runs, Now follows within a second.
func Now() time.Time {
	if t := last.Load(); t != nil {
		if since := time.Since(*t); since < fresh {
			return t.Add(since)
		}
	}
	t := time.Now()
	last.Store(&t)
	return t
}
