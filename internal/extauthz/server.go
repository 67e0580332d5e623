// Package extauthz is the door to Envoy: it serves Envoy's external authorization
// (service.auth.v3, gRPC), turns what Envoy says of a request into the request that
// the client sent, and the gateway's answer into what Envoy does with it. What is
// decided, and why, it must not know; who may ask is the rule of package decide.
package extauthz

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"gatehouse/internal/decide"
)

// Bounds of what Envoy sends.
const (
	maxMessage = 256 << 10 // bytes; Envoy's own limit of headers is 60 KiB
	maxStreams = 1000      // at once on a connection
)

// Config is what a Server is made of. Decider is required.
type Config struct {
	Decider decide.Decider
	Trust   decide.Trust // who may ask; zero: this machine
	TLS     *tls.Config  // nil: plain
	Logger  *slog.Logger // nil: discarded
}

// Server serves Envoy. Make it with New.
type Server struct {
	auth.UnimplementedAuthorizationServer

	config Config
	grpc   *grpc.Server
}

// New returns a server that serves once Serve is called.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 5 * time.Minute}),
	}
	if c.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(c.TLS)))
	}
	s := &Server{config: c, grpc: grpc.NewServer(options...)}
	auth.RegisterAuthorizationServer(s.grpc, s)
	return s
}

// Serve answers on the listener until Shutdown.
func (s *Server) Serve(ln net.Listener) error { return s.grpc.Serve(ln) }

// Shutdown lets questions under way be answered until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return ctx.Err()
	}
}

// Check implements auth.AuthorizationServer. An error of its own is for whoever may
// not ask; Envoy refuses the request then, unless it is told to fail open.
func (s *Server) Check(ctx context.Context, in *auth.CheckRequest) (*auth.CheckResponse, error) {
	from := ""
	if p, ok := peer.FromContext(ctx); ok {
		from = p.Addr.String()
	}
	if why := s.config.Trust.Refuses(from, tokensOf(ctx)); why != "" {
		s.config.Logger.WarnContext(ctx, "a question of Envoy was refused", slog.String("peer", from), slog.String("why", why))
		return nil, status.Error(codes.PermissionDenied, "not for whoever asks this")
	}
	r, why := request(ctx, in)
	if why != "" {
		s.config.Logger.WarnContext(ctx, "a question of Envoy has no single meaning", slog.String("peer", from), slog.String("why", why))
		return unclear(), nil
	}
	return response(s.config.Decider.Decide(r)), nil
}

// tokensOf returns the bearer tokens that Envoy sends with a question, by
// initial_metadata of its gRPC service.
func tokensOf(ctx context.Context) []string {
	md, _ := metadata.FromIncomingContext(ctx)
	var out []string
	for _, line := range md.Get("authorization") {
		scheme, token, _ := strings.Cut(line, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		out = append(out, token)
	}
	return out
}
