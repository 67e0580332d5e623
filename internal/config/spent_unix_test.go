//go:build unix

package config

import (
	"syscall"
	"testing"
	"time"
)

// spent returns how much of the processors' time this process has used: unlike the time that
// passes, no more of it on a machine that does other things as well.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
