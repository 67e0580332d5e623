//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// job is what the constant-rate generator is asked to do. It runs as a process
// of its own, so that its cores and its garbage are not those of the benchmark.
type job struct {
	Address     string        `json:"address"` // host:port
	File        string        `json:"file"`    // the requests, as in replayScript
	Connections int           `json:"connections"`
	Rate        float64       `json:"rate"`  // requests per second; 0 = as fast as the answers come
	Time        time.Duration `json:"time"`  // how long to send; 0 = until Count
	Count       int           `json:"count"` // how many to send; 0 = until Time
	// Origin is an address at which the generator itself answers what comes through
	// the server; empty when there is another origin.
	Origin string `json:"origin"`
	Hurry  bool   `json:"-"` // real-time priority
}

// A request is due at a moment that the server's slowness does not move, and
// its latency counts from then on: a server that stops for a second shows in
// every request that was due in that second, not in the one that met it.
type generator struct {
	job
	requests [][]byte
	epoll    int
	conns    []conn
	idle     []int // indices of conns
	start    time.Time
	sent     int // also the index of the next request
	load     load
	times    []time.Duration
	origin   *selfOrigin // nil for none
}

// conn is one connection, with at most one request under way.
type conn struct {
	fd    int
	due   time.Time
	head  []byte // what has arrived of a head
	body  int    // bytes of the body that are missing; -1 while the head is
	ok    bool
	broke bool
}

// generate does the job and returns what it saw.
func generate(j job) (load, error) {
	runtime.LockOSThread()
	const setTimerSlack = 29 // PR_SET_TIMERSLACK: wake within a microsecond of the time, not fifty
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1000, 0); errno != 0 {
		return load{}, fmt.Errorf("timer slack: %w", errno)
	}
	g := generator{job: j}
	if err := g.read(); err != nil {
		return load{}, err
	}
	if err := g.connect(); err != nil {
		return load{}, err
	}
	defer g.close()
	if err := g.run(); err != nil {
		return load{}, err
	}
	g.load.Elapsed = time.Since(g.start)
	g.load.Saturated = j.Rate == 0
	slices.Sort(g.times)
	g.load.P50, g.load.P99 = quantile(g.times, 0.50), quantile(g.times, 0.99)
	return g.load, nil
}

// quantile returns the smallest of the sorted times that the share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (g *generator) read() error {
	b, err := os.ReadFile(g.File)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		g.requests = append(g.requests, g.request(strings.TrimSuffix(line, "\n")))
	}
	if len(g.requests) == 0 {
		return fmt.Errorf("%s holds no requests", g.File)
	}
	expect := g.Count
	if expect == 0 {
		expect = int(g.Rate*g.Time.Seconds()) + 1
		if g.Rate == 0 {
			expect = 1 << 20
		}
	}
	g.times = make([]time.Duration, 0, expect)
	return nil
}

// request returns the bytes of a line of the file. One that begins with "POST "
// ends with the body of a form, behind the last tab.
func (g *generator) request(line string) []byte {
	method, form := "GET", ""
	if rest, ok := strings.CutPrefix(line, "POST "); ok {
		last := strings.LastIndexByte(rest, '\t')
		method, line, form = "POST", rest[:last], rest[last+1:]
		line += "\tContent-Type: application/x-www-form-urlencoded\tContent-Length: " + strconv.Itoa(len(form))
	}
	path, headers, _ := strings.Cut(line, "\t")
	r := method + " " + path + " HTTP/1.1\r\nHost: " + g.Address + "\r\n"
	if headers != "" {
		r += strings.ReplaceAll(headers, "\t", "\r\n") + "\r\n"
	}
	return []byte(r + "\r\n" + form)
}

func (g *generator) connect() (err error) {
	addr, err := net.ResolveTCPAddr("tcp4", g.Address)
	if err != nil {
		return err
	}
	to := &syscall.SockaddrInet4{Port: addr.Port}
	copy(to.Addr[:], addr.IP.To4())
	if g.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if err := g.listen(); err != nil {
		return err
	}
	g.conns = make([]conn, g.Connections)
	for i := range g.conns {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		g.conns[i] = conn{fd: fd, head: make([]byte, 0, 64<<10), body: -1}
		if err := syscall.Connect(fd, to); err != nil {
			return fmt.Errorf("connect to %s: %w", g.Address, err)
		}
		if err := errors.Join(
			syscall.SetNonblock(fd, true),
			syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
			syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}),
		); err != nil {
			return err
		}
		g.idle = append(g.idle, i)
	}
	return nil
}

func (g *generator) close() {
	for i := range g.conns {
		_ = syscall.Close(g.conns[i].fd)
	}
	g.origin.end()
	_ = syscall.Close(g.epoll)
}

// run sends and receives on one thread until all is answered, or ten seconds after the last was due.
func (g *generator) run() error {
	g.start = time.Now()
	events := make([]syscall.EpollEvent, 2*len(g.conns)+8)
	buf := make([]byte, 256<<10)
	for {
		now := time.Now()
		wait := g.send(now)
		if len(g.idle) == len(g.conns) && g.finished(now) {
			return nil
		}
		if g.broken() {
			return errors.New("the server closed every connection")
		}
		if g.Time > 0 && now.Sub(g.start) > g.Time+10*time.Second {
			g.load.Failed += int64(len(g.conns) - len(g.idle))
			return nil
		}
		n, err := epollWait(g.epoll, events, wait)
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:n] {
			if e.Fd&originEvent == 0 {
				g.receive(int(e.Fd), buf)
			} else if err := g.serve(int(e.Fd&^originEvent), buf); err != nil {
				return err
			}
		}
	}
}

// send sends what is due as long as connections are idle, and returns how long to wait for the next.
func (g *generator) send(now time.Time) time.Duration {
	for !g.finished(now) {
		due := now
		if g.Rate > 0 {
			due = g.start.Add(time.Duration(float64(g.sent) / g.Rate * float64(time.Second)))
			if d := due.Sub(now); d > 0 {
				return d
			}
		}
		if len(g.idle) == 0 {
			break
		}
		i := g.idle[len(g.idle)-1]
		g.idle = g.idle[:len(g.idle)-1]
		c := &g.conns[i]
		c.due, c.body, c.head = due, -1, c.head[:0]
		r := g.requests[g.sent%len(g.requests)]
		g.sent++
		if n, err := syscall.Write(c.fd, r); err != nil || n != len(r) {
			g.lose(c)
		}
	}
	return time.Second
}

// finished reports whether nothing more is to be sent.
func (g *generator) finished(now time.Time) bool {
	if g.Count > 0 {
		return g.sent >= g.Count
	}
	if g.Rate > 0 {
		return float64(g.sent) >= g.Rate*g.Time.Seconds()
	}
	return now.Sub(g.start) >= g.Time
}

// broken reports whether no connection is left that could answer.
func (g *generator) broken() bool {
	for i := range g.conns {
		if !g.conns[i].broke {
			return false
		}
	}
	return true
}

// lose counts the request under way as failed and gives the connection up.
func (g *generator) lose(c *conn) {
	if c.broke {
		return
	}
	c.broke = true
	g.load.Failed++
	_ = syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_DEL, c.fd, nil)
}

// receive reads what has arrived on a connection.
func (g *generator) receive(i int, buf []byte) {
	c := &g.conns[i]
	n, err := syscall.Read(c.fd, buf)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if n <= 0 || err != nil {
		g.lose(c)
		return
	}
	arrived := buf[:n]
	if c.body < 0 {
		c.head = append(c.head, arrived...)
		end := bytes.Index(c.head, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		status, length, err := parseHead(c.head[:end+2])
		if err != nil {
			g.lose(c)
			return
		}
		c.ok = status/100 == 2
		c.body = length
		arrived = c.head[end+4:]
	}
	if c.body -= len(arrived); c.body > 0 {
		return
	}
	if c.body < 0 {
		g.lose(c) // more than was asked for
		return
	}
	g.times = append(g.times, time.Since(c.due))
	if c.ok {
		g.load.Requests++
	} else {
		g.load.Failed++
	}
	g.idle = append(g.idle, i)
}

// parseHead returns the status and the body's length of an answer's head, of which each line ends with CR LF.
func parseHead(head []byte) (status, length int, err error) {
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("not an answer: %q", head)
	}
	if status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return 0, 0, err
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
			return status, length, err
		}
	}
	return 0, 0, errors.New("the answer has no Content-Length")
}

// epollWait is epoll_pwait2(2), which takes nanoseconds where epoll_wait takes milliseconds.
func epollWait(epoll int, events []syscall.EpollEvent, wait time.Duration) (int, error) {
	const epollPwait2 = 441 // on every architecture
	ts := syscall.NsecToTimespec(int64(wait))
	at, until := unsafe.Pointer(&events[0]), unsafe.Pointer(&ts) //nolint:gosec // both live on this frame for the length of the call
	n, _, errno := syscall.Syscall6(epollPwait2, uintptr(epoll), uintptr(at), uintptr(len(events)), uintptr(until), 0, 0)
	if errno == syscall.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
