package wire

import (
	"sync"
	"time"
)

// look is how often a vigil looks at the client.
const look = time.Second

// vigil watches the client while its answer is waited for, body byte by body byte:
// an event stream may be silent for long, and nothing is written to a client that
// has gone. When it has, the read of the answer's body is interrupted. It costs
// one timer and looks only at answers that take longer than a second.
type vigil struct {
	client *socket
	body   *Body
	timer  *time.Timer

	mu   sync.Mutex
	over bool
}

func keepVigil(client *socket, body *Body) *vigil {
	v := &vigil{client: client, body: body}
	v.mu.Lock()
	v.timer = time.AfterFunc(look, v.check)
	v.mu.Unlock()
	return v
}

func (v *vigil) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.over:
	case v.client.gone():
		v.body.Interrupt()
	default:
		v.timer.Reset(look)
	}
}

// end returns when the vigil touches nothing any more.
func (v *vigil) end() {
	v.timer.Stop()
	v.mu.Lock()
	v.over = true
	v.mu.Unlock()
}
