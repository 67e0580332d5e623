//go:build !linux

package wire

import (
	"errors"
	"time"
)

// Elsewhere bodies are copied.
const (
	canSplice = false
	pipeSize  = 1
)

type (
	pipe     struct{ r int }
	pipePool struct{}
)

func (*pipePool) get() *pipe      { return nil }
func (*pipePool) put(*pipe, bool) {}

func (*socket) pull(*pipe, int64, time.Time) (int, error) { return 0, errors.ErrUnsupported }

func sysSplice(_, _, _ int) (int, error) { return -1, errors.ErrUnsupported }
