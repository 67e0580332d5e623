// Command ordersgrpc is an example of a gRPC service behind a Gatehouse: a proxy that
// speaks gRPC asks the gateway about each call, and the service believes nothing but the
// gateway's own word, X-Gatehouse-Context, which grpcverify checks. It must not know the
// gateway's internals: keys and issuer come from its identity address.
//
//	ordersgrpc -identity http://127.0.0.1:8081 -api orders
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"gatehouse/verify"
	"gatehouse/verify/grpcverify"
)

func main() {
	identity := flag.String("identity", "http://127.0.0.1:8081", "identity address of the Gatehouse")
	api := flag.String("api", "orders", "name of the API in its configuration")
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	server, keys, err := newServer(*identity, *api)
	if err != nil {
		log.Error("the keys of the gateway", "error", err)
		return
	}
	defer func() { _ = keys.Close() }()
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", *listen)
	if err != nil {
		log.Error("listening", "error", err)
		return
	}
	log.Error("served until", "error", server.Serve(ln))
}

// newServer returns the service, and the keys that it checks with; close them.
func newServer(identity, api string) (*grpc.Server, *verify.RemoteKeys, error) {
	keys, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: identity, JWKSURL: identity + "/.well-known/gatehouse/jwks.json"})
	if err != nil {
		return nil, nil, err
	}
	verifier, err := verify.New(verify.Config{Issuers: []verify.Issuer{verify.ContextIssuer(identity, keys, api)}})
	if err != nil {
		return nil, nil, err
	}
	check := grpcverify.Config{Verifier: verifier, Header: verify.ContextHeader, Scopes: func(string) []string { return []string{"orders:read"} }}
	server := grpc.NewServer(grpc.UnaryInterceptor(check.Unary()), grpc.StreamInterceptor(check.Stream()))
	server.RegisterService(&orders, service{})
	return server, keys, nil
}

// service answers calls of orders.v1.Orders.
type service struct{}

// show returns the order and who has asked for it.
func (service) show(ctx context.Context, id string) (string, error) {
	caller, ok := verify.FromContext(ctx)
	if !ok {
		return "", status.Error(codes.Internal, "nobody is calling")
	}
	return "order " + id + " for " + caller.ClientID, nil
}

// orders describes the service as protoc-gen-go-grpc would, from:
//
//	service Orders {
//	  rpc Show(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//	  rpc Follow(google.protobuf.StringValue) returns (stream google.protobuf.StringValue);
//	}
var orders = grpc.ServiceDesc{ //nolint:gochecknoglobals // as generated code has it
	ServiceName: "orders.v1.Orders",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Show", Handler: show}},
	Streams:     []grpc.StreamDesc{{StreamName: "Follow", Handler: follow, ServerStreams: true}},
}

func show(srv any, ctx context.Context, decode func(any) error, check grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC's order
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	return check(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/orders.v1.Orders/Show"}, func(ctx context.Context, _ any) (any, error) {
		text, err := service{}.show(ctx, in.GetValue())
		return wrapperspb.String(text), err
	})
}

func follow(_ any, stream grpc.ServerStream) error {
	in := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	text, err := service{}.show(stream.Context(), in.GetValue())
	if err != nil {
		return err
	}
	for _, part := range []string{text, "and that is all"} {
		if err := stream.SendMsg(wrapperspb.String(part)); err != nil {
			return err
		}
	}
	return nil
}
