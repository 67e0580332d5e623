package wire

import (
	"io"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	canSplice = true
	pipeSize  = 256 << 10

	spliceMove     = 1 // SPLICE_F_MOVE
	spliceNonblock = 2 // SPLICE_F_NONBLOCK
	fSetPipeSize   = 1031
)

// pipe is where bytes are while they go from one socket to another.
type pipe struct {
	r, w int
	done runtime.Cleanup
}

// pipePool keeps empty pipes. Those that the collector takes are closed.
type pipePool struct{ pool sync.Pool }

// get returns an empty pipe, or nil when none can be made.
func (pp *pipePool) get() *pipe {
	if p, ok := pp.pool.Get().(*pipe); ok {
		return p
	}
	var fd [2]int
	if err := syscall.Pipe2(fd[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil
	}
	// Best effort: a pipe of the default size needs more rounds.
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd[1]), fSetPipeSize, pipeSize)
	p := &pipe{r: fd[0], w: fd[1]}
	p.done = runtime.AddCleanup(p, closePipe, fd)
	return p
}

// put takes a pipe back; one that may hold bytes still is closed.
func (pp *pipePool) put(p *pipe, empty bool) {
	if empty {
		pp.pool.Put(p)
		return
	}
	p.done.Stop()
	closePipe([2]int{p.r, p.w})
}

func closePipe(fd [2]int) {
	_ = syscall.Close(fd[0])
	_ = syscall.Close(fd[1])
}

// pull moves up to most bytes that have arrived into the empty pipe, waiting for
// some until the given time.
func (s *socket) pull(p *pipe, most int64, until time.Time) (int, error) {
	s.sys.into, s.sys.most = p.w, int(most)
	n, err := s.read(nil, until)
	s.sys.into = 0
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

func sysSplice(from, to, most int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), spliceMove|spliceNonblock)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
