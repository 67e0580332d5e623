package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/settings"
	"gatehouse/verify"
)

//go:embed nginx.conf
var nginxConf string

// The API's routes are the methods of the service. No call is sent on by the gateway
// itself, so the upstream is where nothing is.
const file = `version: 1
issuers:
  default: { builtin: default }
apis:
  orders:
    upstream: http://127.0.0.1:9
    auth: default
    routes:
      POST /orders.v1.Orders/*: orders:read
`

// The example behind the real gateway and the real nginx, called by a real client: who
// comes through them is known, and who comes to the service directly is not.
func TestOrdersBehindTheGateway(t *testing.T) {
	bin, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
			t.Fatal("nginx is not installed")
		}
		t.Skip("nginx is not installed")
	}
	a := startGatehouse(t)
	ready := a.Ready()
	server, keys, err := newServer(ready.Identity, "orders")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close() }()
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	defer func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	through, direct := dial(t, startNginx(t, bin, ln.Addr().String(), ready.Console)), dial(t, ln.Addr().String())
	token := clientToken(t, ready)
	c := client.New(client.Config{URL: ready.Console, Token: ready.APIToken})

	want := "order 17 for " + ready.Demo.ClientID
	if got, err := call(t, through, "authorization", "Bearer "+token, verify.ContextHeader, "mine", "x-client-id", "root"); err != nil || got != want {
		t.Errorf("through the gateway: %q %v", got, err)
	}
	if got, err := follow17(t, through, "authorization", "Bearer "+token); err != nil || got != want+"; and that is all" {
		t.Errorf("a stream: %q %v", got, err)
	}
	other, err := c.Mint(t.Context(), client.TokenRequest{ClientID: ready.Demo.ClientID, Scopes: []string{"other:read"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]struct {
		conn   *grpc.ClientConn
		header []string
		code   codes.Code
	}{
		"nobody":                           {through, nil, codes.Unauthenticated},
		"a forged token":                   {through, []string{"authorization", "Bearer " + token[:len(token)-6] + "AAAAAA"}, codes.Unauthenticated},
		"a context of their own":           {through, []string{verify.ContextHeader, "mine"}, codes.Unauthenticated},
		"without the scope":                {through, []string{"authorization", "Bearer " + other.AccessToken}, codes.PermissionDenied},
		"directly, nobody":                 {direct, nil, codes.Unauthenticated},
		"directly, with the access token":  {direct, []string{"authorization", "Bearer " + token, verify.ContextHeader, token}, codes.Unauthenticated},
		"directly, with headers of anyone": {direct, []string{"x-client-id", "root", "x-granted-scopes", "orders:read"}, codes.Unauthenticated},
	} {
		if got, err := call(t, r.conn, r.header...); status.Code(err) != r.code {
			t.Errorf("%s: %q %v, want %s", name, got, err, r.code)
		}
	}
	if err := c.Revoke(t.Context(), client.Revocation{Kind: "client", Value: ready.Demo.ClientID}); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, through, "authorization", "Bearer "+token); status.Code(err) != codes.Unauthenticated {
		t.Errorf("revoked: %v", err)
	}
}

func startGatehouse(t *testing.T) *app.App {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(file, "orders:read\n", "orders:read\n      GET /other: other:read\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), app.Config{
		File: path, Dev: true, Version: "test", Out: io.Discard, Err: io.Discard, Getenv: func(string) (string, bool) { return "", false },
		Flags: settings.Flags{Data: filepath.Join(dir, "data"), Gateway: "127.0.0.1:0", Identity: "127.0.0.1:0", Console: "127.0.0.1:0", ShutdownTimeout: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// startNginx runs nginx with nginx.conf, its addresses changed, and returns where it
// listens.
func startNginx(t *testing.T, bin, service, console string) string {
	t.Helper()
	ln := listen(t)
	address, dir := ln.Addr().String(), t.TempDir()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("127.0.0.1:9090", address, "127.0.0.1:9000", service, "http://127.0.0.1:8082", console).Replace(nginxConf)
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	path := filepath.Join(dir, "nginx.conf")
	conf = "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n" + temp + conf + "}\n"
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-p", dir, "-c", path, "-e", "stderr")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it is killed when the test is over
	return address
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func within(t *testing.T, header []string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), header...), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func call(t *testing.T, conn *grpc.ClientConn, header ...string) (string, error) {
	t.Helper()
	out := new(wrapperspb.StringValue)
	err := conn.Invoke(within(t, header), "/orders.v1.Orders/Show", wrapperspb.String("17"), out)
	return out.GetValue(), err
}

func follow17(t *testing.T, conn *grpc.ClientConn, header ...string) (string, error) {
	t.Helper()
	stream, err := conn.NewStream(within(t, header), &orders.Streams[0], "/orders.v1.Orders/Follow")
	if err != nil {
		return "", err
	}
	if err := stream.SendMsg(wrapperspb.String("17")); err != nil {
		return "", err
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}
	var parts []string
	for {
		part := new(wrapperspb.StringValue)
		switch err := stream.RecvMsg(part); {
		case err == io.EOF: //nolint:errorlint // as gRPC says it
			return strings.Join(parts, "; "), nil
		case err != nil:
			return "", err
		}
		parts = append(parts, part.GetValue())
	}
}

func clientToken(t *testing.T, ready app.Ready) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ready.Identity+"/oauth2/default/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(ready.Demo.ClientID, ready.Demo.ClientSecret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if res.StatusCode != http.StatusOK || !ok {
		t.Fatalf("no token: %d %s", res.StatusCode, b)
	}
	return token
}
