// Package keys is every use of cryptography in Gatehouse: random identifiers
// and secrets, hashes of secrets and passwords, sealing at rest, and the rings
// of signing keys with their rotation. It must not know what is signed, sealed
// or hashed, nor where records are stored: a ring's consumer gives it a
// RingStore.
package keys
