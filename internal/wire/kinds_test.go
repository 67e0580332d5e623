package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// keepingProxy is a proxy whose memory stays with the client's connection, as the gateway's does.
type keepingProxy struct{ proxy }

func (p *keepingProxy) ServeExchange(x Exchange) {
	place := x.(Keeper).Kept() //nolint:forcetypeassert // a session is one
	w, ok := (*place).(*proxyWork)
	if !ok {
		w = &proxyWork{}
	}
	*place = nil
	req := x.Request()
	w.out = Outbound{
		Method: req.Method, Target: req.Target, Host: req.Host, Fields: req.Fields,
		Replayable: string(req.Method) == "GET", Deadline: time.Now().Add(patience),
	}
	if req.Body.Length() != 0 {
		w.out.Body = &req.Body
	}
	if err := p.client.RoundTrip(&w.out, &w.resp); err != nil {
		_ = x.Respond(statusOf(err), nil, nil)
	} else {
		_, _ = x.Relay(&w.resp)
		w.resp.Finish()
	}
	*place = w
}

// Ways of answering.
var answerKinds = []string{"fixed", "chunked", "pieces", "interim", "long", "longer", "empty", "old", "behind", "silent", "early", "unchanged"}

// textOf is n bytes of which all say whose they are.
func textOf(who string, n int) []byte {
	return bytes.Repeat([]byte(who+";"), n/(len(who)+1)+1)[:n]
}

// answerAs answers requests for /who/kind/size/bodysize in the way of the kind.
func answerAs(_ int, c net.Conn, r *bufio.Reader) {
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		var who, kind string
		var size, sent int
		_, _ = fmt.Sscanf(strings.ReplaceAll(req.URL.Path, "/", " "), "%s %s %d %d", &who, &kind, &size, &sent)
		received := true
		read := func() {
			b, err := io.ReadAll(req.Body)
			received = received && err == nil && bytes.Equal(b, textOf(who, sent)) && req.Header.Get("X-Who") == who
		}
		if kind != "early" {
			read()
		}
		content := textOf(who, size)
		head := fmt.Sprintf("HTTP/1.1 200 %s\r\nX-From: %s\r\nX-Received: %t\r\n", who, who, received)
		fixed := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
		if req.Method == http.MethodHead {
			content = nil
		}
		out := &bytes.Buffer{}
		ends := false
		switch kind {
		case "chunked":
			out.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n")
			for b := content; len(b) > 0; {
				n := min(len(b), 5000)
				_, _ = fmt.Fprintf(out, "%x\r\n%s\r\n", n, b[:n])
				b = b[n:]
			}
			if req.Method != http.MethodHead {
				out.WriteString("0\r\n\r\n")
			}
		case "pieces": // the head and the beginning of the body, then the rest
			_, _ = fmt.Fprintf(c, "%s%s%s", head, fixed, content[:len(content)/3])
			out.Write(content[len(content)/3:])
		case "interim":
			_, _ = fmt.Fprintf(out, "HTTP/1.1 103 Early Hints\r\nX-Hint: %s\r\n\r\n%s%s%s", who, head, fixed, content)
		case "long", "longer": // beyond what there is room for before a body; and beyond the first buffer
			n := 12 << 10
			if kind == "longer" {
				n = 20 << 10
			}
			_, _ = fmt.Fprintf(out, "%sX-Long: %s\r\n%s%s", head, textOf(who, n), fixed, content)
		case "empty":
			out.WriteString("HTTP/1.1 204 " + who + "\r\nX-From: " + who + "\r\nX-Received: true\r\n\r\n")
		case "unchanged":
			_, _ = fmt.Fprintf(out, "HTTP/1.1 304 %s\r\nX-From: %s\r\nX-Received: true\r\nContent-Length: %d\r\n\r\n", who, who, size)
		case "old": // a body that ends with the connection
			out.WriteString(head + "Connection: close\r\n\r\n")
			out.Write(content)
			ends = true
		case "behind": // bytes that nobody has asked for
			_, _ = fmt.Fprintf(out, "%s%s%sHTTP/1.1 200 poison\r\nContent-Length: 6\r\n\r\npoison", head, fixed, content)
		case "silent": // the connection is closed, and nothing has said so
			_, _ = fmt.Fprintf(out, "%s%s%s", head, fixed, content)
			ends = true
		default:
			_, _ = fmt.Fprintf(out, "%s%s%s", head, fixed, content)
		}
		if _, err := c.Write(out.Bytes()); err != nil || ends {
			return
		}
		if kind == "early" {
			read()
		}
	}
}

// kindsClient sends requests on one connection after another, and holds the answers to
// what they must be.
type kindsClient struct {
	t       *testing.T
	addr    string
	who     string
	rand    *rand.Rand
	conn    net.Conn
	r       *bufio.Reader
	refused int
}

func (m *kindsClient) exchange(i int) {
	kind := answerKinds[m.rand.IntN(len(answerKinds))]
	sizes := []int{0, 1, 100, 3000, 14 << 10, bufferSize - 1, bufferSize, 40 << 10}
	who, size := fmt.Sprintf("%s-%d", m.who, i), sizes[m.rand.IntN(len(sizes))]
	method, sent := http.MethodGet, 0
	switch m.rand.IntN(5) {
	case 0:
		method = http.MethodHead
	case 1, 2:
		method, sent = http.MethodPost, sizes[m.rand.IntN(len(sizes))]
	}
	if m.conn == nil {
		c, err := net.Dial("tcp", m.addr)
		if err != nil {
			m.t.Error(err)
			return
		}
		m.conn, m.r = c, bufio.NewReader(c)
	}
	_ = m.conn.SetDeadline(time.Now().Add(patience))
	head := fmt.Sprintf("%s /%s/%s/%d/%d HTTP/1.1\r\nHost: h\r\nX-Who: %s\r\n", method, who, kind, size, sent, who)
	body := textOf(who, sent)
	switch {
	case method != http.MethodPost:
		head += "\r\n"
	case m.rand.IntN(2) == 0:
		head += fmt.Sprintf("Content-Length: %d\r\n\r\n", sent)
	default:
		head += "Transfer-Encoding: chunked\r\n\r\n"
		if sent > 0 {
			body = append(fmt.Appendf(nil, "%x\r\n%s\r\n", sent, body), "0\r\n\r\n"...)
		} else {
			body = []byte("0\r\n\r\n")
		}
	}
	if m.rand.IntN(2) == 0 {
		_, _ = io.WriteString(m.conn, head+string(body))
	} else { // in two parts, the second of which may come late
		_, _ = io.WriteString(m.conn, head)
		_, _ = m.conn.Write(body)
	}
	where := fmt.Sprintf("%s %s, %d bytes, %d sent", method, kind, size, sent)
	res, err := http.ReadResponse(m.r, &http.Request{Method: method})
	if err != nil {
		m.t.Errorf("%s: %v", where, err)
		m.hangUp()
		return
	}
	content, err := io.ReadAll(res.Body)
	want := textOf(who, size)
	if method == http.MethodHead || kind == "empty" || kind == "unchanged" {
		want = nil
	}
	reason, _ := strings.CutPrefix(res.Status, fmt.Sprint(res.StatusCode)+" ")
	switch {
	case res.StatusCode == http.StatusBadGateway && method != http.MethodGet:
		m.refused++ // the upstream has closed the connection at the same time, and it may not be sent twice
	case err != nil || reason != who || res.Header.Get("X-From") != who || !bytes.Equal(content, want):
		m.t.Errorf("%s of %s: %q %q, %d bytes of %.40q, %v", where, who, reason, res.Header.Get("X-From"), len(content), content, err)
	case res.Header.Get("X-Received") != "true" && kind != "early":
		m.t.Errorf("%s: the upstream got another request", where)
	case strings.HasPrefix(kind, "long") && !strings.HasPrefix(res.Header.Get("X-Long"), who+";"):
		m.t.Errorf("%s of %s: %.40q", where, who, res.Header.Get("X-Long"))
	}
	if res.Close || err != nil {
		m.hangUp()
	}
}

func (m *kindsClient) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// TestEveryKind: clients whose requests and answers are of every kind share few upstream
// connections and the memory of few sessions, and each gets what is its own.
func TestEveryKind(t *testing.T) {
	upstream := startUpstream(t, answerAs)
	p := &keepingProxy{proxy{client: NewClient(ClientConfig{Addr: upstream, MaxConns: 6})}}
	t.Cleanup(func() { _ = p.client.Close() })
	_, addr := startServer(t, ServerConfig{Handler: p})
	const clients, exchanges = 8, 120
	var wg sync.WaitGroup
	all := make([]*kindsClient, clients)
	for i := range all {
		m := &kindsClient{t: t, addr: addr, who: fmt.Sprintf("client%d", i), rand: rand.New(rand.NewPCG(uint64(i), 7))}
		all[i] = m
		wg.Go(func() {
			defer m.hangUp()
			for i := range exchanges {
				m.exchange(i)
			}
		})
	}
	wg.Wait()
	refused := 0
	for _, m := range all {
		refused += m.refused
	}
	if s := p.client.Stats(); s.Stale == 0 || s.Reuses == 0 || refused > clients*exchanges/10 {
		t.Errorf("%d refused, %+v", refused, s)
	}
	waitFor(t, "every connection is idle or closed", func() bool { s := p.client.Stats(); return s.Open == s.Idle && s.Waiting == 0 })
}
