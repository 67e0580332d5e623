package gateway

import "gatehouse/internal/spec"

// Backend answers the exchanges that every step before it has allowed.
//
// Serve sends ex.Out to where the API lives and calls ex.Relay or ex.Upgrade
// once with the answer. It runs on the goroutine of the client's connection and
// returns when the answer is out. An error returned before Relay or Upgrade was
// called becomes the gateway's own answer: make it with Refuse and one of
// ReasonUpstreamUnreachable, ReasonUpstreamTimeout, ReasonUpstreamInvalid or
// ReasonOverloaded. After that point the error is only recorded. A request body
// over its limit makes wire's limit error come back from writing it: return that
// error wrapped, the gateway answers body_too_large.
//
// A backend that also implements io.Closer is closed once the snapshot that is
// served does not have it any more; exchanges that are still under way must go on
// to their end, and another backend that shares pools with it must not be harmed.
//
// A backend is compared with ==, so it is a pointer.
type Backend interface {
	Serve(ex *Exchange) error
}

// NewBackend makes the backend of an API when a snapshot is compiled. previous
// is the backend of the API of the same name in the snapshot before, or nil: the
// function may return it again, or share its pools, so that connections, health
// and breaker state live on. It must leave previous usable as it was, because
// compiling may still fail for another API and the old snapshot then stays.
type NewBackend func(api spec.API, previous Backend) (Backend, error)
