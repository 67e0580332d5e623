package wire

import (
	"errors"
	"strconv"
)

// Errors of reading and writing messages. Test for them with errors.Is.
var (
	// ErrBodyTooLarge is returned by Body.Read when the body exceeds the limit set by Body.Limit.
	ErrBodyTooLarge = errors.New("the body is larger than the limit; send less, or raise max_body of the route")
	// ErrBodyTimeout is returned by Body.Read when the sender of the body is silent
	// for too long, or slower than the least rate allowed.
	ErrBodyTimeout = errors.New("the sender of the body is too slow")
	// ErrBodyInvalid is returned by Body.Read when chunked framing is broken.
	ErrBodyInvalid = errors.New("the chunked body is malformed")
	// ErrBodyTruncated is returned by Body.Read when the connection ends before the body does.
	ErrBodyTruncated = errors.New("the connection ended in the middle of the body")
	// ErrInterrupted is returned by Body.Read when the exchange ended while the
	// body was still being read for it.
	ErrInterrupted = errors.New("the body is no longer wanted")
	// ErrNoUpgrade is returned by Exchange.Upgrade on the strict lane, which hands
	// requests for another protocol over before it makes an exchange of them.
	ErrNoUpgrade = errors.New("this lane does not switch protocols")
	// ErrAnswered is returned when an exchange is answered a second time.
	ErrAnswered = errors.New("the exchange has been answered already")
	// ErrServerClosed is returned by Serve after Shutdown or Close.
	ErrServerClosed = errors.New("the server is closed")
	// ErrClientClosed is returned by RoundTrip after Close.
	ErrClientClosed = errors.New("the client is closed")
	// ErrWriteTimeout is returned when the peer takes no byte for as long as writing may stall.
	ErrWriteTimeout = errors.New("the peer does not read what it is sent")
	// ErrConnLimit is returned when an upstream has MaxConns connections in use until the deadline.
	ErrConnLimit = errors.New("all connections to the upstream are in use")
)

// Phase says how far a round trip got before it failed.
type Phase uint8

// The phases of a round trip.
const (
	PhaseDial    Phase = iota // no connection could be made
	PhaseWrite                // the request could not be written
	PhaseRead                 // no whole answer head came
	PhaseInvalid              // what came is not HTTP/1.1 as this package reads it
	PhaseBody                 // the request body could not be read from the client: the upstream is not at fault
)

// String names the phase for logs.
func (p Phase) String() string {
	switch p {
	case PhaseDial:
		return "dial"
	case PhaseWrite:
		return "write"
	case PhaseRead:
		return "read"
	case PhaseInvalid:
		return "invalid answer"
	case PhaseBody:
		return "request body"
	}
	return "phase " + strconv.Itoa(int(p))
}

// Error is why a round trip failed.
type Error struct {
	Phase Phase
	// Sent says that the upstream may have acted on the request. When it is false,
	// the request may be sent elsewhere whatever its method.
	Sent    bool
	Timeout bool // a time limit ended it
	Err     error
}

// Error returns the phase and the cause. It may name the upstream's address: it is for logs.
func (e *Error) Error() string {
	if e.Timeout {
		return e.Phase.String() + ": timed out: " + e.Err.Error()
	}
	return e.Phase.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reasons that Rejection carries: those of the gateway's own answers.
const (
	ReasonAmbiguous = "ambiguous_request"
	ReasonMethod    = "method_not_allowed"
)

// refusal is why a message head is not accepted. The server answers it with
// its status; the client reports it as PhaseInvalid.
type refusal struct {
	status int
	reason string
	detail string
}

func (r *refusal) Error() string { return r.detail }
