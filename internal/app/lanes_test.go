package app_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// streams is an upstream that answers in every way that is not plain.
func streams(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte(r.Header.Get("X-Client-ID")+" "), b...)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		// net/http answers HTTP/1.1 once the body has been read, not while it is.
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, _ = w.Write(b)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

const streamsAPI = `version: 1
server:
  gateway: { tls: { cert: %s, key: %s } }
issuers:
  default: { builtin: default }
apis:
  s:
    base_path: /s
    upstream: %s
    auth: default
    routes:
      "* /*": streams:use
`

// selfSigned writes a certificate for loopback and returns its files and a pool that trusts it.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pk}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, pool
}

// HTTP/2 by ALPN, WebSocket, server-sent events and 100-continue go through the
// same steps as everything else.
func TestStandardLaneThroughTheProgram(t *testing.T) {
	up := streams(t)
	cert, key, pool := selfSigned(t)
	p := start(t, write(t, fmt.Sprintf(streamsAPI, cert, key, up.URL)))
	token := p.token("streams:use")
	auth := http.Header{"Authorization": {"Bearer " + token}}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	p.http.Transport = tr

	t.Run("http2", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Ready().Gateway+"/s/echo", strings.NewReader("over h2"))
		req.Header = auth.Clone()
		res, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK || string(b) != "over h2" {
			t.Errorf("%s %d %q", res.Proto, res.StatusCode, b)
		}
		if a := p.call(http.MethodGet, "/s/echo", ""); a.Status != http.StatusUnauthorized {
			t.Errorf("without a token: %d", a.Status)
		}
	})
	h1 := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}, ExpectContinueTimeout: time.Hour}, Timeout: time.Minute}
	t.Cleanup(h1.CloseIdleConnections)
	t.Run("websocket", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		address := strings.Replace(p.Ready().Gateway, "https", "wss", 1) + "/s/ws"
		c, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: h1, HTTPHeader: auth})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for _, text := range []string{"one", strings.Repeat("x", 20000)} {
			if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			_, b, err := c.Read(ctx)
			if err != nil || string(b) != p.Ready().Demo.ClientID+" "+text {
				t.Fatalf("%v %.40q", err, b)
			}
		}
		if _, res, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: h1}); err == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a token: %v", err)
		}
	})
	t.Run("server-sent events", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Ready().Gateway+"/s/events", nil)
		req.Header = auth.Clone()
		res, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		for i := range 3 {
			line, err := r.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%q %v", line, err)
			}
			_, _ = r.ReadString('\n')
		}
	})
	t.Run("expect", func(t *testing.T) {
		for _, c := range []struct {
			header http.Header
			status int
		}{{auth, http.StatusOK}, {http.Header{}, http.StatusUnauthorized}} {
			body := strings.Repeat("y", 100_000)
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, p.Ready().Gateway+"/s/echo", strings.NewReader(body))
			req.Header = c.header.Clone()
			req.Header.Set("Expect", "100-continue")
			res, err := h1.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != c.status || c.status == http.StatusOK && string(b) != body {
				t.Errorf("%d, %d bytes", res.StatusCode, len(b))
			}
		}
	})
}
