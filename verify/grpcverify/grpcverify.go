// Package grpcverify checks the caller of a gRPC service: the token, or what a
// Gatehouse in front of the service says about the caller. It is a room of its own, so
// that services which do not speak gRPC take package verify without it. It must not
// know the rest of Gatehouse.
package grpcverify

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse/verify"
)

// Config says what callers need. Verifier is required.
type Config struct {
	Verifier *verify.Verifier
	// Scopes returns what the method, such as "/orders.Orders/Get", needs: all of them. Nil
	// means that a good token will do.
	Scopes func(method string) []string
	// Public reports whether the method needs no token; nil means that all need one.
	Public func(method string) bool
	// Header is where the token is. Empty means "authorization" with the Bearer scheme;
	// verify.ContextHeader means the bare JWT that a Gatehouse has signed.
	Header string
	// Denied, when set, is told of every call that is refused.
	Denied func(method string, err *verify.Error)
}

// Unary returns an interceptor for calls with one answer: those of a caller with a
// good token reach the handler, with the token in the context (verify.FromContext).
// Others get Unauthenticated, PermissionDenied for a missing scope, or Unavailable when the
// issuer's keys cannot be had, and no more than the reason. Sender-constrained tokens are
// refused, because nothing here checks the proof.
func (c Config) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := c.admit(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// Stream is Unary for streams. The token is checked when the stream begins.
func (c Config) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := c.admit(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		return handler(srv, &stream{ss, ctx})
	}
}

// stream is a stream with the token in its context.
type stream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has the context of its call
}

// Context implements grpc.ServerStream.
func (s *stream) Context() context.Context { return s.ctx }

func (c Config) admit(ctx context.Context, method string) (context.Context, error) {
	if c.Public != nil && c.Public(method) {
		return ctx, nil
	}
	t, e := c.authenticate(ctx, method)
	if e != nil {
		if c.Denied != nil {
			c.Denied(method, e)
		}
		return nil, status.Error(codeOf(e.Reason), string(e.Reason))
	}
	return verify.NewContext(ctx, t), nil
}

func (c Config) authenticate(ctx context.Context, method string) (*verify.Token, *verify.Error) {
	raw, e := c.token(ctx)
	if e != nil {
		return nil, e
	}
	t, err := c.Verifier.Verify(ctx, []byte(raw))
	if err != nil {
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, &verify.Error{Reason: verify.ReasonMalformed, Cause: err}
	}
	if t.KeyThumbprint != "" || t.CertThumbprint != "" {
		return nil, &verify.Error{Reason: verify.ReasonTokenType, Issuer: t.Issuer, Detail: "the token is bound to its sender, whose proof is not checked here"}
	}
	if c.Scopes == nil {
		return t, nil
	}
	if needed := c.Scopes(method); !t.HasScopes(needed...) {
		return nil, &verify.Error{Reason: verify.ReasonMissingScope, Issuer: t.Issuer, Detail: "needs " + strings.Join(needed, " ")}
	}
	return t, nil
}

// token finds the one token of a call.
func (c Config) token(ctx context.Context) (string, *verify.Error) {
	header := strings.ToLower(c.Header)
	if header == "" {
		header = "authorization"
	}
	values := metadata.ValueFromIncomingContext(ctx, header)
	switch {
	case len(values) == 0:
		return "", &verify.Error{Reason: verify.ReasonNoToken, Detail: header + " is missing"}
	case len(values) > 1:
		return "", &verify.Error{Reason: verify.ReasonAmbiguous, Detail: header + " occurs more than once"}
	case c.Header != "":
		return values[0], nil
	}
	token, ok := verify.Bearer(values[0])
	if !ok {
		return "", &verify.Error{Reason: verify.ReasonNoToken, Detail: "authorization is not one bearer token"}
	}
	return token, nil
}

func codeOf(r verify.Reason) codes.Code {
	switch r {
	case verify.ReasonMissingScope:
		return codes.PermissionDenied
	case verify.ReasonIssuerUnreachable:
		return codes.Unavailable
	default:
		return codes.Unauthenticated
	}
}
