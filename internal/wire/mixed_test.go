package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// said is what the upstream answers to a request: different for every id.
func said(id string, size int) []byte {
	return bytes.Repeat([]byte(id+"."), size/(len(id)+1)+1)[:size]
}

// moody answers with the request's id, a checksum of its body, and as many bytes as it
// asks for: in every form, in pieces, and often closes the connection afterwards without
// a word, so that the next request finds it stale.
func moody(n int, c net.Conn, r *bufio.Reader) {
	dice := rand.New(rand.NewPCG(uint64(n), 7))
	for {
		req, body, err := readRequest(r)
		if err != nil {
			return
		}
		id := req.Header.Get("X-Id")
		size, _ := strconv.Atoi(req.Header.Get("X-Size"))
		content := said(id, size)
		var b bytes.Buffer
		fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\nX-Id: %s\r\nX-Sum: %d\r\n", id, crc32.ChecksumIEEE(body))
		if dice.IntN(3) == 0 {
			fmt.Fprintf(&b, "X-Long: %s\r\n", strings.Repeat("l", dice.IntN(3000)))
		}
		last := false
		switch dice.IntN(5) {
		case 0:
			b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
			for rest := content; len(rest) > 0; {
				n := min(len(rest), 1+dice.IntN(5000))
				fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			b.WriteString("0\r\n\r\n")
		case 1:
			fmt.Fprintf(&b, "Connection: close\r\n\r\n%s", content)
			last = true
		default:
			fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", size, content)
		}
		answer := b.Bytes()
		for dice.IntN(3) > 0 && len(answer) > 1 { // the rest goes out at once
			n := 1 + dice.IntN(len(answer)-1)
			if _, err := c.Write(answer[:n]); err != nil {
				return
			}
			answer = answer[n:]
		}
		if _, err := c.Write(answer); err != nil || last || dice.IntN(4) == 0 {
			return
		}
	}
}

// TestEverybodyGetsTheirOwn sends requests of all kinds over many connections at once
// through one pool of upstream connections, whose memory serves one exchange after
// another. Each answer must be that of its request, and each body have arrived whole.
func TestEverybodyGetsTheirOwn(t *testing.T) {
	upstream := startUpstream(t, moody)
	client := NewClient(ClientConfig{Addr: upstream})
	_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{client: client})
	const clients, requests = 8, 150
	var lost atomic.Int32
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(n), 1))
			c := dial(t, addr)
			answers := bufio.NewReader(c)
			for i := range requests {
				_ = c.SetDeadline(time.Now().Add(patience))
				id := fmt.Sprintf("client-%d-request-%d", n, i)
				size := []int{0, 10, 1000, 15_000, 17_000, 120_000}[dice.IntN(6)]
				body, post := said("body of "+id, dice.IntN(40_000)), dice.IntN(2) == 0
				head := fmt.Sprintf(" / HTTP/1.1\r\nHost: h\r\nX-Id: %s\r\nX-Size: %d\r\n", id, size)
				switch {
				case !post:
					body = nil
					_, _ = io.WriteString(c, "GET"+head+"\r\n")
				case dice.IntN(2) == 0:
					_, _ = fmt.Fprintf(c, "POST%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
				default:
					_, _ = fmt.Fprintf(c, "POST%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(body)+1, append(body, '!'))
					body = append(body, '!')
				}
				res, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				got, err := io.ReadAll(res.Body)
				switch {
				case err != nil:
					t.Errorf("%s: %v", id, err)
					return
				case post && res.StatusCode == http.StatusBadGateway:
					lost.Add(1) // its connection was closed behind the look, and it must not be repeated
				case res.StatusCode != 200 || res.Header.Get("X-Id") != id || !bytes.Equal(got, said(id, size)):
					t.Errorf("%s asked for %d bytes: %s, for %q, %d bytes", id, size, res.Status, res.Header.Get("X-Id"), len(got))
				case res.Header.Get("X-Sum") != strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10):
					t.Errorf("%s: the upstream got another body", id)
				}
				if res.Close { // the answer was here before the proxy knew that all of the body was sent
					_ = c.Close()
					c = dial(t, addr)
					answers.Reset(c)
				}
			}
		})
	}
	all.Wait()
	if s := client.Stats(); s.Stale == 0 || s.Reuses == 0 || lost.Load() > clients*requests/10 {
		t.Errorf("%d lost, %+v", lost.Load(), s)
	}
}
