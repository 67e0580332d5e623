// Package wire is HTTP/1.1 on the wire: a strict server lane and a synchronous
// upstream client, both without allocation on the way of an ordinary request.
//
// Strict means a grammar of what is allowed (RFC 9112 with every "lenient
// recipient" clause left out): what is ambiguous is answered 400 and closed,
// never guessed. What is not plain HTTP/1.1 (Upgrade, Expect, trailers, the
// HTTP/2 preface) is handed over, with the bytes already read, to whoever serves
// the standard lane. The package knows bytes, lengths and time limits; it must
// not know tenants, tokens, routes or policy, and imports nothing of ours.
package wire

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Field is one header line. Name and Value point into the connection's buffer
// and are valid until the exchange ends.
type Field struct {
	Name, Value []byte
	Kind        Kind
	// Nominated says that a Connection line names this field (RFC 9110 section
	// 7.6.1): it ends here, whatever its kind.
	Nominated bool
}

// HopByHop reports whether the field concerns only the connection it came on
// and is therefore never passed on: by its kind, or because Connection names it.
func (f *Field) HopByHop() bool { return f.Nominated || f.Kind.HopByHop() }

// Request is a parsed request head and its body.
type Request struct {
	Method []byte
	Target []byte // as on the request line; origin form, or "*" for OPTIONS
	Host   []byte // of the Host line, or of an absolute-form target that agrees with it; as sent, with any port
	Fields []Field
	Body   Body
	Close  bool // the connection ends after this exchange

	Remote netip.AddrPort
	Local  netip.AddrPort
	TLS    *tls.ConnectionState // nil on a plain connection
	Proto  string               // "HTTP/1.1", "HTTP/1.0" or "HTTP/2.0"
	// Upgrade is the protocol the client asks to switch to, lower-case; nil for none.
	// Only the standard lane ever sets it.
	Upgrade []byte
}

// Response is what an upstream answered. Body is read from the upstream's
// connection; Finish gives that connection back or closes it.
type Response struct {
	Status int
	Reason []byte
	Fields []Field
	Body   Body
	// Watch is told when the answer takes long; nil for nobody.
	Watch Watcher
	// Received is when the head had been read, by the Client's clock.
	Received time.Time

	conn     *upstreamConn // nil once finished
	declared int64         // Content-Length as it was sent, -1 for none: for answers to HEAD, and 304
	short    bool          // all of the body came with the head
	buffer   []byte        // what connections read into for this Response, one after the other
}

// Declared returns the Content-Length as the upstream sent it, -1 for none. For an
// answer to HEAD, and for 304, it is that of the body which GET would get.
func (r *Response) Declared() int64 { return r.declared }

// Exchange is one request and the ways to answer it. Exactly one of Respond,
// Relay and Upgrade is called. Both lanes implement it.
type Exchange interface {
	Request() *Request
	// Respond sends a whole answer of the gateway's own. Framing lines
	// (Content-Length, Connection, Date) are the lane's business.
	Respond(status int, fields []Field, body []byte) error
	// Relay sends r's head (hop-by-hop and framing lines left out) and copies its
	// body; it returns the number of body bytes the client was sent. The memory of r's
	// Reason and Fields may be used for something else.
	Relay(r *Response) (int64, error)
	// Upgrade sends r's 101 and copies bytes both ways until one side ends,
	// or until stop is closed. It returns the bytes sent to the client.
	Upgrade(r *Response, stop <-chan struct{}) (int64, error)
}

// Keeper is an Exchange whose memory serves one request after another. Kept is a place
// in it where the handler finds again what it has put there: memory, and nothing of a request.
type Keeper interface {
	Kept() *any
}

// OpenAfter is how long an answer may be on its way before its Watcher is told.
const OpenAfter = 250 * time.Millisecond

// Watcher is told of an answer that takes long to send: a stream, a large
// download, a tunnel. Ordinary answers are over before anybody is told.
type Watcher interface {
	// Opened says that the answer has been on its way for OpenAfter, or is a tunnel. It
	// may be called on another goroutine than the exchange's. end ends the answer: it does
	// not block, may be called from anywhere, and called again does so with more force. why is a
	// word for the client, where the protocol has room for one.
	Opened(end func(why string))
	// Closed says that the answer has ended. It follows every Opened, on the exchange's
	// goroutine, and when it has begun, end does nothing any more.
	Closed()
}

// Handler answers exchanges. It is called on the goroutine of the connection.
type Handler interface {
	ServeExchange(Exchange)
}

// Outbound is a request towards an upstream.
type Outbound struct {
	Method, Target, Host []byte
	Fields               []Field // hop-by-hop, Host and framing lines among them are not sent
	// Lines are further header lines, each "Name: value\r\n", valid as they are. In two
	// parts, so that those which many requests share need not be copied.
	Lines   [2][]byte
	Body    *Body  // nil for none
	Upgrade []byte // protocol to switch to; nil for none
	// Deadline is when the head of the answer must have arrived. The time from
	// the start of RoundTrip to it is also the longest silence the upstream is
	// allowed while it takes the request body, and begins anew when the body has
	// been sent, so that a slow upload is not held against the upstream.
	// Zero means no limit.
	Deadline time.Time
	// Replayable says that the request may be sent again on a fresh connection
	// when a pooled one turns out to have been closed by the upstream.
	Replayable bool
}
