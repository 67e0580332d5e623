package wire

import (
	"context"
	"net"
	"time"
)

// acceptGrace is how long a listener goes on accepting when the server closes:
// connections that wait in its queue would be reset with it.
const acceptGrace = 20 * time.Millisecond

// Shutdown stops accepting, closes idle connections, lets requests that run
// finish (their answers say "Connection: close"), and waits for all of it. A connection
// that was in use less than Timeouts.Drain ago may send one more request: its client
// could not know yet. When ctx ends first, what is left is cut and ctx's error
// returned. Connections that were handed over are not its business.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginClose(acceptGrace)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.cut()
		<-done
		return ctx.Err()
	}
}

// Close cuts every connection and waits for their goroutines.
func (s *Server) Close() error {
	s.beginClose(0)
	s.cut()
	s.running.Wait()
	return nil
}

// beginClose tells listeners and idle connections. Those that are busy see it
// when they come to write an answer or to wait for the next request.
func (s *Server) beginClose(grace time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing.Swap(true) {
		close(s.closed)
	}
	for ln := range s.listeners {
		if d, ok := ln.(interface{ SetDeadline(t time.Time) error }); ok && grace > 0 {
			if d.SetDeadline(s.cfg.Now().Add(grace)) == nil {
				continue
			}
		}
		_ = ln.Close()
	}
	for c := range s.conns {
		// A deadline that passes ends the wait of an idle connection; anybody else
		// finds that it was not theirs and goes on.
		_ = c.sock.nc.SetReadDeadline(longAgo())
	}
}

func (s *Server) cut() {
	s.mu.Lock()
	conns := make([]net.Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c.sock.nc)
	}
	s.mu.Unlock()
	for _, nc := range conns {
		go func() { _ = nc.Close() }() // returns when the connection's own goroutine has let go of it
	}
}
