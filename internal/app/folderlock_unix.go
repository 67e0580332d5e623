//go:build unix

package app

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file for this process until it is closed, also by the end of the
// process. It reports whether another process has it; file systems that cannot say give it.
func tryLock(f *os.File) (taken bool) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
