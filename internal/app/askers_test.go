package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"gatehouse/client"
)

// asker has a request with a token decided in one way, and returns what the caller is
// answered.
type asker func(path, token string) (status int, reason, said string)

// askers are the ways to the gateway's decision: its lanes, those who only ask, and real
// proxies that ask before they pass on to the upstream.
func (p *program) askers(t *testing.T, up string) map[string]asker {
	t.Helper()
	reason := func(body string) string {
		var problem struct{ Reason string }
		_ = json.Unmarshal([]byte(body), &problem)
		return problem.Reason
	}
	call := func(header ...string) asker {
		return func(path, token string) (int, string, string) {
			a := p.call(http.MethodGet, path, token, header...)
			return a.Status, reason(a.Body), fmt.Sprint(a.Header, a.Body)
		}
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{Protocols: &protocols}
	t.Cleanup(h2.CloseIdleConnections)
	conn, err := grpc.NewClient(p.Ready().Envoy, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	envoy := auth.NewAuthorizationClient(conn)
	all := map[string]asker{
		"strict lane": call(), "standard lane": call("Expect", "100-continue"),
		"HTTP/2": func(path, token string) (int, string, string) {
			over := *p
			over.http = &http.Client{Transport: h2, Timeout: 20 * time.Second}
			a := over.call(http.MethodGet, path, token)
			return a.Status, reason(a.Body), fmt.Sprint(a.Header, a.Body)
		},
		"a program asks": func(path, token string) (int, string, string) {
			a, err := p.admin().Authz(t.Context(), client.AuthzQuestion{
				Method: "GET", Scheme: "http", Host: "api.test", Path: path, ClientIP: "192.0.2.9", Headers: map[string][]string{"Authorization": {"Bearer " + token}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return a.Status, a.Reason, fmt.Sprint(a.Headers, a.Body)
		},
		"Envoy asks": func(path, token string) (int, string, string) {
			from := &core.SocketAddress{Address: "192.0.2.9"}
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+decideToken)
			a, err := envoy.Check(ctx, &auth.CheckRequest{Attributes: &auth.AttributeContext{
				Source: &auth.AttributeContext_Peer{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: from}}},
				Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
					Method: "GET", Path: path, Host: "api.test", Scheme: "http", Headers: map[string]string{"authorization": "Bearer " + token},
				}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if a.GetOkResponse() != nil {
				return http.StatusOK, "", ""
			}
			d := a.GetDeniedResponse()
			return int(d.GetStatus().GetCode()), reason(d.GetBody()), fmt.Sprint(d)
		},
	}
	for name, run := range fronts() {
		if _, ok := lookUp(name); !ok && os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "" {
			t.Logf("%s is not installed, and not tried", name)
			continue
		}
		front := run(t, up, p.Ready().Decide, decideToken)
		all[name] = func(path, token string) (int, string, string) {
			a := p.request(http.MethodGet, front+path, token, "")
			return a.Status, reason(a.Body), fmt.Sprint(a.Header, a.Body)
		}
	}
	return all
}
