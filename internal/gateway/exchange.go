package gateway

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/wire"
)

// Exchange is one request and its response on their way through the gateway.
// It is pooled: nothing of it may be kept after the step or backend that was
// given it has returned. It is used by one goroutine at a time.
type Exchange struct {
	// Out is the request for the upstream. The transform step fills it, target
	// path below the base path included; a backend sets Host, Deadline and
	// Replayable, and may put a target's path prefix before Target.
	Out wire.Outbound

	lane wire.Exchange
	req  *wire.Request
}

// Request returns the request as the lane parsed it. It is read-only.
func (ex *Exchange) Request() *wire.Request { return ex.req }

// Context is cancelled when the client of an HTTP/2 stream is gone or the gateway
// is closed. On the strict lane a vanished client is noticed when it is written to.
func (ex *Exchange) Context() context.Context { panic("x") }

// Now returns the time by the gateway's clock.
func (ex *Exchange) Now() time.Time { panic("x") }

// Started returns when the exchange began, by the gateway's clock.
func (ex *Exchange) Started() time.Time { panic("x") }

// ID returns the request id. The bytes are valid until the exchange ends.
func (ex *Exchange) ID() []byte { panic("x") }

// ClientIP returns the address of the client: the peer's, or the one that
// trusted proxies vouch for.
func (ex *Exchange) ClientIP() netip.Addr { panic("x") }

// Header returns the value of the first request header of the name, nil when
// there is none. The name is matched without regard to case.
func (ex *Exchange) Header(name string) []byte { panic("x") }

// Claim returns a string claim of the caller's token, "" when there is none.
func (ex *Exchange) Claim(name string) string { panic("x") }

// Idempotent reports whether the method may be sent twice with the effect of
// once (RFC 9110 section 9.2.2).
func (ex *Exchange) Idempotent() bool { panic("x") }

// SetRetryAfter makes the gateway's own answer to this exchange carry a
// Retry-After of d, rounded up to whole seconds. Call it before returning an error.
func (ex *Exchange) SetRetryAfter(d time.Duration) { panic("x") }

// SetUpstream notes for the record which target answered last, after how many
// attempts, and how long it took until the response head.
func (ex *Exchange) SetUpstream(target string, attempts int, took time.Duration) { panic("x") }

// Relay filters the head of an upstream's response, adds what the gateway adds
// to every response, and sends it to the client with its body. The error says
// which side failed; by then the client has been answered or is gone.
func (ex *Exchange) Relay(r *wire.Response) error { panic("x") }

// Upgrade is Relay for a 101: it switches both connections and copies until one
// side ends or the gateway drains.
func (ex *Exchange) Upgrade(r *wire.Response) error { panic("x") }

// Responded reports whether the client has been sent an answer, in part at least.
func (ex *Exchange) Responded() bool { panic("x") }
