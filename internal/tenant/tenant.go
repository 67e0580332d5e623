// Package tenant says whose data a piece of work is about: the tenant id and
// its presence in a context. Every object, event, token and cache entry belongs
// to exactly one tenant. The package imports nothing of ours.
package tenant

import "context"

// ID names a tenant: lower-case letters, digits and hyphens, 1 to 40 bytes.
type ID string

// Default is the tenant of the bare host name.
const Default ID = "default"

type key struct{}

// With returns a context in which the work is for the tenant.
func With(ctx context.Context, id ID) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns the tenant of the context and whether it has one.
func From(ctx context.Context) (ID, bool) {
	id, ok := ctx.Value(key{}).(ID)
	return id, ok && id != ""
}

// Valid reports whether the id is well formed.
func (id ID) Valid() bool {
	if len(id) == 0 || len(id) > 40 || id[0] == '-' || id[len(id)-1] == '-' {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
