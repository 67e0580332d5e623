package extauthz

import (
	"context"
	"net"
	"net/http"
	"slices"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse/internal/decide"
	"gatehouse/internal/gateway"
)

// deciderFunc is a Decider.
type deciderFunc func(r *http.Request) gateway.Answer

// Decide implements decide.Decider.
func (f deciderFunc) Decide(r *http.Request) gateway.Answer { return f(r) }

// question is what Envoy sends for a request.
func question(change func(*auth.AttributeContext_HttpRequest)) *auth.CheckRequest {
	h := &auth.AttributeContext_HttpRequest{
		Method: "PUT", Path: "/hr/a?b=c", Host: "api.test", Scheme: "https", Protocol: "HTTP/2",
		Headers: map[string]string{
			":method": "GET", ":path": "/hr/health", ":authority": "evil.test", "authorization": "Bearer x", "x-role": "a,b",
			"x-forwarded-for": "10.0.0.1, 192.0.2.9", "x-forwarded-proto": "http", "x-envoy-original-path": "/hr/health", "x-real-ip": "10.0.0.1",
		},
	}
	if change != nil {
		change(h)
	}
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source: &auth.AttributeContext_Peer{Address: &core.Address{Address: &core.Address_SocketAddress{
			SocketAddress: &core.SocketAddress{Address: "192.0.2.9"},
		}}},
		Request: &auth.AttributeContext_Request{Http: h},
	}}
}

// start serves a decider over a real connection and returns a client of Envoy's own API.
func start(t *testing.T, c Config) auth.AuthorizationClient {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(c)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return auth.NewAuthorizationClient(conn)
}

// Attack gateway 44, 54: what is decided is what Envoy will send, and neither what
// the client says it asks for nor where it says it is.
func TestEnvoysQuestionIsTheClientsRequest(t *testing.T) {
	var got *http.Request
	c := start(t, Config{Decider: deciderFunc(func(r *http.Request) gateway.Answer {
		got = r
		return gateway.Answer{Status: 200}
	})})
	if _, err := c.Check(t.Context(), question(nil)); err != nil {
		t.Fatal(err)
	}
	have := []any{got.Method, got.RequestURI, got.Host, got.RemoteAddr, got.TLS != nil, got.Header}
	want := []any{"PUT", "/hr/a?b=c", "api.test", "192.0.2.9:0", true, http.Header{"Authorization": {"Bearer x"}, "X-Role": {"a,b"}}}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
	// With encode_raw_headers every line is there by itself.
	if _, err := c.Check(t.Context(), question(func(h *auth.AttributeContext_HttpRequest) {
		h.HeaderMap = &core.HeaderMap{Headers: []*core.HeaderValue{
			{Key: ":path", RawValue: []byte("/hr/health")}, {Key: "authorization", RawValue: []byte("Bearer x")}, {Key: "authorization", RawValue: []byte("Bearer y")},
		}}
	})); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(http.Header{"Authorization": {"Bearer x", "Bearer y"}}, got.Header); d != "" {
		t.Error(d)
	}
}

// Attack gateway 48, 57: what the gateway knows replaces what the client has sent,
// and what it does not know is removed; nothing of its answer about itself is copied.
func TestAllowed(t *testing.T) {
	c := start(t, Config{Decider: deciderFunc(func(*http.Request) gateway.Answer {
		return gateway.Answer{Status: 200, Remove: []string{"authorization", "x-user-id", "x-client-ip"}, Header: http.Header{
			"Cache-Control": {"no-store"}, "X-Request-Id": {"id1"}, "X-User-Id": {"ana"}, "X-Client-Id": {""}, "Ratelimit": {"l"}, "Ratelimit-Policy": {"p"},
		}}
	})})
	res, err := c.Check(t.Context(), question(nil))
	if err != nil {
		t.Fatal(err)
	}
	ok := res.GetOkResponse()
	if res.GetStatus().GetCode() != int32(codes.OK) || ok == nil {
		t.Fatalf("%v", res)
	}
	if d := cmp.Diff([]string{"X-Client-Id", "authorization", "x-client-ip"}, ok.GetHeadersToRemove()); d != "" {
		t.Error(d)
	}
	if len(ok.GetHeaders()) != 1 || ok.GetHeaders()[0].GetHeader().GetKey() != "x-user-id" || ok.GetHeaders()[0].GetHeader().GetValue() != "ana" ||
		ok.GetHeaders()[0].GetAppendAction() != core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
		t.Errorf("set: %v", ok.GetHeaders())
	}
	if len(ok.GetResponseHeadersToAdd()) != 2 {
		t.Errorf("for the client: %v", ok.GetResponseHeadersToAdd())
	}
}

func TestDenied(t *testing.T) {
	for code, want := range map[int]codes.Code{401: codes.Unauthenticated, 403: codes.PermissionDenied, 429: codes.PermissionDenied, 503: codes.PermissionDenied} {
		c := start(t, Config{Decider: deciderFunc(func(*http.Request) gateway.Answer {
			return gateway.Answer{Status: code, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Body: []byte("why")}
		})})
		res, err := c.Check(t.Context(), question(nil))
		if err != nil {
			t.Fatal(err)
		}
		d := res.GetDeniedResponse()
		if d == nil || int(d.GetStatus().GetCode()) != code || d.GetBody() != "why" || res.GetStatus().GetCode() != int32(want) ||
			len(d.GetHeaders()) != 1 || d.GetHeaders()[0].GetHeader().GetKey() != "www-authenticate" {
			t.Errorf("%d: %v", code, res)
		}
	}
}

func TestUnclearQuestionsAreNotDecided(t *testing.T) {
	c := start(t, Config{Decider: deciderFunc(func(*http.Request) gateway.Answer {
		t.Error("decided")
		return gateway.Answer{Status: 200}
	})})
	for name, q := range map[string]*auth.CheckRequest{
		"nothing":         {},
		"no method":       question(func(h *auth.AttributeContext_HttpRequest) { h.Method = "" }),
		"no host":         question(func(h *auth.AttributeContext_HttpRequest) { h.Host = "" }),
		"no path":         question(func(h *auth.AttributeContext_HttpRequest) { h.Path = "" }),
		"another scheme":  question(func(h *auth.AttributeContext_HttpRequest) { h.Scheme = "gopher" }),
		"no source":       {Attributes: &auth.AttributeContext{Request: question(nil).GetAttributes().GetRequest()}},
		"about a channel": {Attributes: &auth.AttributeContext{Source: question(nil).GetAttributes().GetSource()}},
	} {
		res, err := c.Check(t.Context(), q)
		if err != nil || res.GetDeniedResponse().GetStatus().GetCode() != 400 || res.GetStatus().GetCode() == 0 {
			t.Errorf("%s: %v %v", name, res, err)
		}
	}
}

func TestStrangersMayNotAsk(t *testing.T) {
	const secret = "a-secret-of-at-least-32-characters"
	decided := 0
	c := start(t, Config{Trust: decide.Trust{Token: func(s string) bool { return s == secret }}, Decider: deciderFunc(func(*http.Request) gateway.Answer {
		decided++
		return gateway.Answer{Status: 200}
	})})
	for _, lines := range [][]string{nil, {"Bearer x"}, {"Basic " + secret}, {"Bearer " + secret, "Bearer " + secret}} {
		ctx := t.Context()
		for _, l := range lines {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", l)
		}
		if _, err := c.Check(ctx, question(nil)); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%q: %v", lines, err)
		}
	}
	if _, err := c.Check(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+secret), question(nil)); err != nil || decided != 1 {
		t.Errorf("with the token: %v, decided %d times", err, decided)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/", "h", "http", "authorization", "Bearer x", "192.0.2.1")
	f.Fuzz(func(t *testing.T, method, path, host, scheme, name, value, from string) {
		q := question(func(h *auth.AttributeContext_HttpRequest) {
			h.Method, h.Path, h.Host, h.Scheme, h.Headers = method, path, host, scheme, map[string]string{name: value}
		})
		q.Attributes.Source.Address.GetSocketAddress().Address = from
		r, why := request(t.Context(), q)
		if why == "" && (r.Method == "" || r.RequestURI == "" || r.Host == "" || slices.Contains([]string{"", ":0"}, r.RemoteAddr)) {
			t.Errorf("%+v", r)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s := New(Config{Decider: deciderFunc(func(*http.Request) gateway.Answer {
		return gateway.Answer{Status: 200, Header: http.Header{"X-User-Id": {"ana"}}}
	})})
	q := question(nil)
	b.ReportAllocs()
	for b.Loop() {
		r, why := request(b.Context(), q)
		if why != "" {
			b.Fatal(why)
		}
		response(s.config.Decider.Decide(r))
	}
}
