//go:build unix

package wire

import "syscall"

// sysPeek looks at the first byte that has arrived, without waiting.
func sysPeek(fd int, p []byte) (int, error) {
	n, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n, err
}

func sysRead(fd int, p []byte) (int, error) { return syscall.Read(fd, p) }
