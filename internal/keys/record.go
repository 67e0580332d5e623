package keys

import (
	"context"
	"time"

	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// State is where a signing key is in its life.
type State string

// The states, in their order.
const (
	Next    State = "NEXT"    // published, does not sign yet
	Active  State = "ACTIVE"  // signs
	Expired State = "EXPIRED" // signs no more, published until the last token that it signed has expired
	Revoked State = "REVOKED" // not published: its tokens are refused at once
)

// Record is a signing key as it is stored.
type Record struct {
	Tenant    tenant.ID
	Server    string // the authorization server, or another name of a ring
	ID        string // kid
	Algorithm verify.Algorithm
	Use       string // always "sig"
	State     State
	Private   string // PKCS #8, sealed
	Public    []byte // the public JWK as JSON
	Created   time.Time
	Activates time.Time // when it started to sign, or is due to
	Expires   time.Time // when an EXPIRED key leaves the published set; zero before
}

// RingStore keeps the keys of rings. Every method is one transaction.
type RingStore interface {
	// Keys returns all keys of the ring, in any order, deleted ones not.
	Keys(ctx context.Context, tenant tenant.ID, server string) ([]Record, error)
	// Insert adds a key; its ID is new.
	Insert(ctx context.Context, r Record) error
	// Change sets State, Activates and Expires of the key r.ID to those of r,
	// if its state is from, and reports whether it was.
	Change(ctx context.Context, r Record, from State) (bool, error)
	// Delete removes a key that is EXPIRED or REVOKED; none is no error.
	Delete(ctx context.Context, tenant tenant.ID, server, id string) error
}
