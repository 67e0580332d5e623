// Package cluster carries two sentences between the nodes of one Gatehouse: "this
// token is revoked" and "revision n is out"; and it knows which nodes are alive
// and what they run. It carries and counts; it must not know stores, snapshots,
// tokens or requests, and nothing here is the truth: what it says can always be
// read again from the store.
//
// # Why revocation waits and revision does not
//
// A revocation is a promise to a caller: when the call returns, the token is
// refused everywhere. So PublishRevocation returns only when every live node has
// applied it, or with an error, and then the caller must not be told that it is
// done. A revision is news: a node compiles it in its own time and may keep its
// last good snapshot. So PublishRevision returns when every live node has been
// told, and whoever needs to know asks Await or Nodes.
//
// # The order that leaves no gap
//
// The writer commits to the store first and publishes second. A node joins first
// and reads the store second. Then whatever a node did not read it is told, and
// hearing it twice does no harm, because both sentences are idempotent.
//
// # Many nodes
//
// Local is the bus of one process. A bus over a network (an HTTP stream from the
// identity nodes, or Redis) implements the same methods like this: each node
// holds a lease that it renews every second and that lives for five. Messages
// are numbered per publisher and a node acknowledges the highest number it has
// applied without a gap; a gap makes it read the store again. PublishRevocation
// waits until every node with a lease has acknowledged. A node that is silent
// delays it at most until its lease ends. That is safe because a node whose own
// lease has ended by its own clock (it counts from when it sent the renewal, so it
// gives up before the publisher does) stops trusting its list of revocations
// and answers revocation_state_unknown where an API demands the list. Nobody has
// to agree on who is alive: either a node has applied the revocation, or it has
// stopped serving by the time the publisher counts it out.
package cluster

import (
	"context"
	"time"

	"gatehouse/internal/tenant"
)

// Kind says what a revocation names.
type Kind string

// The kinds, from the narrowest to the widest.
const (
	TokenID     Kind = "token"       // one token, by its jti
	TokenHash   Kind = "token_hash"  // one token, by base64url of the SHA-256 of the whole of it
	Session     Kind = "session"     // every token of a session, by sid
	Client      Kind = "client"      // every token of an app
	User        Kind = "user"        // every token of a user
	Key         Kind = "key"         // every token signed by a key, by kid
	Certificate Kind = "certificate" // a client certificate and every token bound to it, by x5t#S256
	Issuer      Kind = "issuer"      // every token of an issuer
	Tenant      Kind = "tenant"      // every token that calls the tenant's APIs
)

// Valid reports whether the kind is one of the above.
func (k Kind) Valid() bool {
	switch k {
	case TokenID, TokenHash, Session, Client, User, Key, Certificate, Issuer, Tenant:
		return true
	}
	return false
}

// OfIssuer reports whether a revocation of the kind is of one issuer's tokens. A
// hash, a certificate and a tenant mean the same with every issuer.
func (k Kind) OfIssuer() bool { return k != TokenHash && k != Certificate && k != Tenant }

// HasValue reports whether a revocation of the kind says which one it means. An
// issuer is named by its address alone, and the tenant is the revocation's own.
func (k Kind) HasValue() bool { return k != Issuer && k != Tenant }

// Revocation says that tokens are not to be accepted any more.
type Revocation struct {
	Tenant tenant.ID `json:"tenant"`
	Kind   Kind      `json:"kind"`
	Issuer string    `json:"issuer,omitempty"` // the iss claim; empty for what is of no issuer: see Kind.OfIssuer
	Value  string    `json:"value,omitempty"`  // empty for an issuer and a tenant: see Kind.HasValue
	// IssuedBefore limits it to tokens issued earlier; zero means all.
	IssuedBefore time.Time `json:"issuedBefore,omitzero"`
	// Expires is when the last of these tokens would have expired by itself and
	// the revocation can be forgotten; zero means never.
	Expires time.Time `json:"expires,omitzero"`
	// Lifted says that the revocation is taken back.
	Lifted bool `json:"lifted,omitempty"`
	// Reason and Actor say why and by whom, for people; nodes do without.
	Reason string `json:"-"`
	Actor  string `json:"-"`
}

// Subscriber is a node's side of the bus. Its methods are called from the
// publisher's goroutine, several at a time, and must not call the bus.
type Subscriber interface {
	// Revoked applies a revocation, or takes one back that is lifted. When it returns
	// nil, no request that begins later on this node is let through with such a token.
	Revoked(ctx context.Context, r Revocation) error
	// Revised hears that a revision is out. It makes a note and returns; an older
	// revision than the one already heard of is no news.
	Revised(ctx context.Context, t tenant.ID, revision int64)
}

// Publisher is what a writer needs of the bus.
type Publisher interface {
	// PublishRevocation returns nil only when every live node has applied r.
	PublishRevocation(ctx context.Context, r Revocation) error
	// PublishRevision returns when every live node has been told.
	PublishRevision(ctx context.Context, t tenant.ID, revision int64) error
}

// Node is one live node as others see it.
type Node struct {
	ID     string
	Role   string // gateway, identity, console; or "all"
	Joined time.Time
	// Revisions is what the node serves, by tenant.
	Revisions map[tenant.ID]int64
}
