package wire

import (
	"crypto/tls"
	"net"
	"time"
)

// HandedConn is what Handoff receives: a connection that yields the bytes this
// lane has read before those that it has not.
type HandedConn struct {
	net.Conn
	read  []byte
	state *tls.ConnectionState
}

// Read reads what has been read before, then from the connection.
func (h *HandedConn) Read(p []byte) (int, error) {
	if len(h.read) > 0 {
		n := copy(p, h.read)
		if h.read = h.read[n:]; len(h.read) == 0 {
			h.read = nil
		}
		return n, nil
	}
	return h.Conn.Read(p)
}

// CloseWrite ends the sending direction, where the connection can do that.
func (h *HandedConn) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// TLS returns the state of the TLS connection, nil on a plain one. (net/http
// sees only that the connection is no *tls.Conn.)
func (h *HandedConn) TLS() *tls.ConnectionState { return h.state }

// handOver gives the connection away with a copy of the bytes read so far.
func (c *serverConn) handOver(read []byte) {
	h := &HandedConn{Conn: c.sock.nc, read: append([]byte(nil), read...), state: c.tls}
	c.handed = true
	c.takeBack()
	c.srv.forget(c) // from here on Shutdown leaves its deadlines alone
	_ = c.sock.nc.SetDeadline(time.Time{})
	c.srv.cfg.Handoff(h)
}
