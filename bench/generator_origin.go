//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// selfOrigin is an origin on the generator's own thread. What is sent through a server
// comes back to whoever sent it, and is answered there: a second process that shares
// the core would make the generator wait its turn, and that would be taken for the server's latency.
type selfOrigin struct {
	listener int
	conns    map[int]*bytes.Buffer // what has come and is no whole request yet, by descriptor
	answer   []byte
}

// originEvent marks events of the origin among those of the generator's connections.
const originEvent = 1 << 30

// listen opens the origin's address, when the job has one.
func (g *generator) listen() error {
	if g.Origin == "" {
		return nil
	}
	addr, err := net.ResolveTCPAddr("tcp4", g.Origin)
	if err != nil {
		return err
	}
	at := &syscall.SockaddrInet4{Port: addr.Port}
	copy(at.Addr[:], addr.IP.To4())
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	content := strings.Repeat("a", 1<<10)
	g.origin = &selfOrigin{listener: fd, conns: map[int]*bytes.Buffer{}, answer: []byte(
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(content)) + "\r\n\r\n" + content)}
	if err := errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(fd, at),
		syscall.Listen(fd, 4096),
	); err != nil {
		return fmt.Errorf("listen on %s: %w", g.Origin, err)
	}
	return g.watch(fd)
}

func (g *generator) watch(fd int) error {
	return syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd | originEvent)})
}

// serve accepts, or answers what has come on a connection.
func (g *generator) serve(fd int, buf []byte) error {
	o := g.origin
	if fd == o.listener {
		for {
			c, _, err := syscall.Accept4(fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if errors.Is(err, syscall.EAGAIN) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("accept: %w", err)
			}
			o.conns[c] = &bytes.Buffer{}
			if err := errors.Join(syscall.SetsockoptInt(c, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1), g.watch(c)); err != nil {
				return err
			}
		}
	}
	n, err := syscall.Read(fd, buf)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return nil
	}
	if n <= 0 || err != nil {
		delete(o.conns, fd)
		return syscall.Close(fd)
	}
	here := o.conns[fd]
	_, _ = here.Write(buf[:n])
	for {
		end := bytes.Index(here.Bytes(), []byte("\r\n\r\n"))
		if end < 0 {
			return nil
		}
		here.Next(end + 4)
		if n, err := syscall.Write(fd, o.answer); n != len(o.answer) {
			return fmt.Errorf("the origin could write %d bytes: %w", n, err)
		}
	}
}

// end closes what the origin has open.
func (o *selfOrigin) end() {
	if o == nil {
		return
	}
	for fd := range o.conns {
		_ = syscall.Close(fd)
	}
	_ = syscall.Close(o.listener)
}
