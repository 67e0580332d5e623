//go:build linux && !race

package wire

import (
	"syscall"
	"unsafe"
)

// The three system calls of a connection, without telling the scheduler: on a
// descriptor that does not block they return in microseconds, and announcing them lets the
// scheduler take the processor away in the middle of each on a busy machine, which
// costs more than all the work of this package.

func sysRead(fd int, p []byte) (int, error) { return rawIO(syscall.SYS_RECVFROM, fd, p, 0) }

func sysWrite(fd int, p []byte) (int, error) {
	return rawIO(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

// sysPeek looks at what has arrived and leaves it there.
func sysPeek(fd int, p []byte) (int, error) {
	return rawIO(syscall.SYS_RECVFROM, fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
}

func rawIO(call uintptr, fd int, p []byte, flags uintptr) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) //nolint:gosec // p outlives the call
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return -1, errAgain
	case syscall.EINTR:
		return -1, errAgainNow
	}
	return -1, errno
}

// Boxed once, so that the ordinary outcomes allocate nothing.
var (
	errAgain    error = syscall.EAGAIN
	errAgainNow error = syscall.EINTR
)
