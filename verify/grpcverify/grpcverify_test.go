package grpcverify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"gatehouse/verify"
	"gatehouse/verify/grpcverify"
)

const checkMethod = "/grpc.health.v1.Health/Check"

// service answers with who is calling.
type service struct {
	health.UnimplementedHealthServer
	client func(string)
}

func (s *service) note(ctx context.Context) {
	if t, ok := verify.FromContext(ctx); ok {
		s.client(t.ClientID)
		return
	}
	s.client("")
}

// Check implements health.HealthServer.
func (s *service) Check(ctx context.Context, _ *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	s.note(ctx)
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

// Watch implements health.HealthServer.
func (s *service) Watch(_ *health.HealthCheckRequest, out health.Health_WatchServer) error {
	s.note(out.Context())
	return out.Send(&health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING})
}

type issuer struct {
	private ed25519.PrivateKey
	keys    *verify.StaticKeys
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewStaticKeys(fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public)))
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{private, keys}
}

func (i *issuer) token(t *testing.T, typ string, more map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": "https://issuer.test", "aud": "orders", "client_id": "app1", "sub": "app1", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "scope": "orders:read"}
	for k, v := range more {
		claims[k] = v
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(fmt.Appendf(nil, `{"alg":"EdDSA","kid":"k","typ":%q}`, typ)) + "." + b64(body)
	return signed + "." + b64(ed25519.Sign(i.private, []byte(signed)))
}

// dial serves with the configuration and returns a client.
func dial(t *testing.T, c grpcverify.Config, s *service) health.HealthClient {
	t.Helper()
	ln := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(c.Unary()), grpc.StreamInterceptor(c.Stream()))
	health.RegisterHealthServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	conn, err := grpc.NewClient("passthrough:///test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return health.NewHealthClient(conn)
}

func TestInterceptors(t *testing.T) {
	iss := newIssuer(t)
	var client string
	s := &service{client: func(c string) { client = c }}
	tokens, err := verify.New(verify.Config{Issuers: []verify.Issuer{{URL: "https://issuer.test", Keys: iss.keys, Audience: []string{"orders"}}}})
	if err != nil {
		t.Fatal(err)
	}
	contexts, err := verify.New(verify.Config{Issuers: []verify.Issuer{verify.ContextIssuer("https://issuer.test", iss.keys, "orders")}})
	if err != nil {
		t.Fatal(err)
	}
	var denied []verify.Reason
	bearer := grpcverify.Config{
		Verifier: tokens, Scopes: func(string) []string { return []string{"orders:read"} },
		Denied: func(_ string, e *verify.Error) { denied = append(denied, e.Reason) },
	}
	fromGatehouse := grpcverify.Config{Verifier: contexts, Header: verify.ContextHeader}
	public := bearer
	public.Public = func(method string) bool { return method == checkMethod }
	good := iss.token(t, "at+jwt", nil)
	for _, c := range []struct {
		name     string
		config   grpcverify.Config
		metadata []string
		code     codes.Code
		client   string
	}{
		{"good", bearer, []string{"authorization", "Bearer " + good}, codes.OK, "app1"},
		{"none", bearer, nil, codes.Unauthenticated, ""},
		{"two", bearer, []string{"authorization", "Bearer " + good, "authorization", "Bearer " + good}, codes.Unauthenticated, ""},
		{"changed", bearer, []string{"authorization", "Bearer " + good[:len(good)-4] + "AAAA"}, codes.Unauthenticated, ""},
		{"another scheme", bearer, []string{"authorization", "Basic eA=="}, codes.Unauthenticated, ""},
		{"without the scope", bearer, []string{"authorization", "Bearer " + iss.token(t, "at+jwt", map[string]any{"scope": "x"})}, codes.PermissionDenied, ""},
		{"for another audience", bearer, []string{"authorization", "Bearer " + iss.token(t, "at+jwt", map[string]any{"aud": "x"})}, codes.Unauthenticated, ""},
		{"bound to its sender", bearer, []string{"authorization", "Bearer " + iss.token(t, "at+jwt", map[string]any{"cnf": map[string]any{"jkt": "x"}})}, codes.Unauthenticated, ""},
		{"Gatehouse's word", fromGatehouse, []string{verify.ContextHeader, iss.token(t, verify.ContextType, nil)}, codes.OK, "app1"},
		{"an access token in its place", fromGatehouse, []string{verify.ContextHeader, good}, codes.Unauthenticated, ""},
		{"Gatehouse's word in place of a token", bearer, []string{"authorization", "Bearer " + iss.token(t, verify.ContextType, nil)}, codes.Unauthenticated, ""},
		{"public", public, nil, codes.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := dial(t, c.config, s)
			ctx := metadata.AppendToOutgoingContext(t.Context(), c.metadata...)
			client = ""
			if _, err := h.Check(ctx, &health.HealthCheckRequest{}); status.Code(err) != c.code || client != c.client {
				t.Errorf("unary: %v, client %q", err, client)
			}
			if c.name == "public" {
				return // of the other method the stream is not public
			}
			client = ""
			w, err := h.Watch(ctx, &health.HealthCheckRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			if err == nil {
				_, err = w.Recv()
			}
			if err == io.EOF { //nolint:errorlint // what Recv returns at the end
				err = nil
			}
			if status.Code(err) != c.code || client != c.client {
				t.Errorf("stream: %v, client %q", err, client)
			}
		})
	}
	if len(denied) == 0 || denied[0] != verify.ReasonNoToken {
		t.Errorf("denied were %v", denied)
	}
}
