package pg

import "syscall"

// processAttributes makes the kernel stop the server when the tests are killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
