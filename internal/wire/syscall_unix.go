//go:build unix && (!linux || race)

package wire

import "syscall"

// The three system calls of a connection, on a descriptor that does not block.
// Under the race detector these are used everywhere, because package syscall
// tells it what they order.

func sysRead(fd int, p []byte) (int, error) { return syscall.Read(fd, p) }

func sysWrite(fd int, p []byte) (int, error) { return syscall.Write(fd, p) }

// sysPeek looks at what has arrived and leaves it there.
func sysPeek(fd int, p []byte) (int, error) {
	n, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n, err
}
