package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"gatehouse/internal/wire"
)

// Upgrade implements wire.Exchange: both connections become a tunnel.
func (l *standardLane) Upgrade(r *wire.Response, stop <-chan struct{}) (int64, error) {
	if l.answered {
		return 0, wire.ErrAnswered
	}
	if l.r.ProtoMajor != 1 {
		return 0, wire.ErrNoUpgrade
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
	head := appendSwitch(nil, r.Fields, l.request.Upgrade)
	head = append(head, early...)
	if err := errors.Join(client.SetDeadline(time.Time{}), upstream.SetDeadline(time.Time{})); err != nil {
		return 0, err
	}
	if _, err := client.Write(head); err != nil {
		return 0, err
	}
	return tunnel(client, rw.Reader, upstream, stop, int64(len(early)))
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

// tunnel copies both ways until one side ends or stop is closed; the other side
// gets a moment to finish. It returns the bytes sent to the client.
func tunnel(client net.Conn, fromClient io.Reader, upstream net.Conn, stop <-chan struct{}, sent int64) (int64, error) {
	up := make(chan error, 1)
	down := make(chan error, 1)
	var n int64
	go func() {
		_, err := io.Copy(upstream, fromClient)
		up <- err
	}()
	go func() {
		var err error
		n, err = io.Copy(client, upstream)
		down <- err
	}()
	waitUp, waitDown := up, down
	var first error
	select {
	case first = <-up:
		waitUp = nil
		closeWrite(upstream)
	case first = <-down:
		waitDown = nil
		closeWrite(client)
	case <-stop:
		_, _ = client.Close(), upstream.Close() // it ends both copies
	}
	timer := time.AfterFunc(upgradeLinger, func() { _, _ = client.Close(), upstream.Close() }) // as above
	defer timer.Stop()
	halted := make(chan struct{})
	defer close(halted)
	go func() {
		select {
		case <-stop:
			_, _ = client.Close(), upstream.Close() // as above
		case <-halted:
		}
	}()
	if waitUp != nil {
		<-waitUp
	}
	if waitDown != nil {
		<-waitDown
	}
	if first != nil && !errors.Is(first, net.ErrClosed) {
		return sent + n, first
	}
	return sent + n, nil
}

// closeWrite ends one direction, where the connection can do that.
func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // the peer is gone already
		return
	}
	_ = c.Close() // it has no half-closed state
}
