package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"gatehouse/internal/wire"
)

// Upgrade implements wire.Exchange: both connections become a tunnel.
func (l *standardLane) Upgrade(r *wire.Response, stop <-chan struct{}) (int64, error) {
	if l.answered {
		return 0, wire.ErrAnswered
	}
	l.answered = true
	upstream, early, err := r.Hijack()
	if err != nil {
		return 0, fmt.Errorf("take over the upstream's connection: %w", err)
	}
	defer upstream.Close() //nolint:errcheck // the tunnel is over
	l.g.tunnels.Add(1)     // before the server forgets the connection
	defer l.g.tunnels.Done()
	client, rw, err := l.rc.Hijack()
	if err != nil {
		return 0, fmt.Errorf("take over the client's connection: %w", err)
	}
	defer client.Close() //nolint:errcheck // the tunnel is over
	if err := errors.Join(client.SetDeadline(time.Time{}), upstream.SetDeadline(time.Time{})); err != nil {
		return 0, err
	}
	if _, err := client.Write(appendSwitch(nil, r.Fields, l.request.Upgrade)); err != nil {
		return 0, err
	}
	t := &tunnel{client: client, fromClient: rw.Reader, upstream: upstream, early: early, ended: make(chan struct{})}
	if r.Watch != nil {
		r.Watch.Opened(t.end)
		defer r.Watch.Closed()
	}
	return t.run(stop)
}

// appendSwitch writes the head of a 101 answer.
func appendSwitch(b []byte, fields []wire.Field, protocol []byte) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "...)
	b = append(append(b, protocol...), "\r\n"...)
	for i := range fields {
		f := &fields[i]
		if f.HopByHop() || f.Kind.Framing() {
			continue
		}
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// tunnel is a WebSocket on its way through: bytes are copied both ways as they
// are. On the way to the client it is followed where a frame ends, so that a frame of
// the gateway's own can say why it closes (RFC 6455 section 7.4.1).
type tunnel struct {
	client     net.Conn
	fromClient io.Reader
	upstream   net.Conn
	early      []byte // what the upstream has sent already

	frames frames
	sent   int64

	once  sync.Once
	ended chan struct{} // closed when the tunnel is to be ended
	why   string        // what the client is told then
}

// The status codes of RFC 6455 section 7.4.1 that the gateway sends.
const (
	closeGoingAway = 1001
	closePolicy    = 1008
)

// end makes the tunnel end for a reason that the client is told.
func (t *tunnel) end(why string) {
	t.once.Do(func() {
		t.why = why
		close(t.ended)
	})
}

// run copies both ways until one side ends, stop is closed or the tunnel is ended;
// the other side gets a moment to finish. It returns the bytes sent to the client.
func (t *tunnel) run(stop <-chan struct{}) (int64, error) {
	up := make(chan error, 1)
	down := make(chan error, 1)
	go func() {
		_, err := io.Copy(t.upstream, t.fromClient)
		up <- err
	}()
	go func() { down <- t.toClient() }()
	waitUp, waitDown := up, down
	var first error
	select {
	case first = <-up:
		waitUp = nil
		closeWrite(t.upstream)
	case first = <-down:
		waitDown = nil
		closeWrite(t.client)
	case <-stop:
		t.sayClose(up, down, closeGoingAway, "")
		return t.sent, nil
	case <-t.ended:
		t.sayClose(up, down, closePolicy, t.why)
		return t.sent, nil
	}
	timer := time.AfterFunc(upgradeLinger, t.cut)
	defer timer.Stop()
	halted := make(chan struct{})
	defer close(halted)
	go func() {
		select {
		case <-stop:
		case <-t.ended:
		case <-halted:
			return
		}
		t.cut()
	}()
	if waitUp != nil {
		<-waitUp
	}
	if waitDown != nil {
		<-waitDown
	}
	if first != nil && !errors.Is(first, net.ErrClosed) {
		return t.sent, first
	}
	return t.sent, nil
}

// cut ends both copies.
func (t *tunnel) cut() { _, _ = t.client.Close(), t.upstream.Close() } // they may be closed already

// toClient copies what the upstream sends and follows its frames.
func (t *tunnel) toClient() error {
	buf := make([]byte, relayBuffer)
	b := t.early
	for {
		if len(b) > 0 {
			t.frames.follow(b)
			n, err := t.client.Write(b)
			t.sent += int64(n)
			if err != nil {
				t.frames.lost = true
				return err
			}
		}
		n, err := t.upstream.Read(buf)
		if b = buf[:n]; n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// sayClose ends both ways, tells the client why when what it has ends with a frame,
// and closes both sides. Nothing more reaches the upstream.
func (t *tunnel) sayClose(up, down <-chan error, code uint16, why string) {
	defer t.cut()
	_ = t.upstream.SetDeadline(time.Unix(1, 0))             // a closed connection fails at the
	_ = t.client.SetDeadline(time.Now().Add(closePatience)) //nolint:forbidigo // call itself; the socket's clock
	err := <-down
	if !errors.Is(err, os.ErrDeadlineExceeded) || !t.frames.between() {
		return
	}
	_ = t.client.SetDeadline(time.Now().Add(closePatience)) //nolint:forbidigo // as above; on a busy machine the wait took some of it
	n, err := t.client.Write(appendClose(nil, code, why))
	t.sent += int64(n)
	if err != nil {
		return
	}
	// What is left unread would reset the connection, and take the frame back.
	closeWrite(t.client)
	<-up
	_, _ = io.Copy(io.Discard, t.fromClient) // until it hangs up, or has had its time
}

// closePatience is how long a client may take for the end of its tunnel.
const closePatience = 200 * time.Millisecond

// closeWrite ends one direction, where the connection can do that.
func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // the peer is gone already
		return
	}
	_ = c.Close() // it has no half-closed state
}
