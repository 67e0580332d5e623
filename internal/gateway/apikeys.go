package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// APIKeyIssuer is the issuer of the callers that API keys stand for, in revocations,
// decisions and X-Gatehouse-Context. No token has it: it is no URL.
const APIKeyIssuer = "urn:gatehouse:api-key"

// APIKey is a key as the data plane knows it: everything but the key.
type APIKey struct {
	ID       string    `json:"id"`
	Hash     string    `json:"hash"` // SHA-256 of the key's text, in hex
	App      string    `json:"app"`  // the client that calls with it
	Scopes   []string  `json:"scopes,omitempty"`
	APIs     []string  `json:"apis,omitempty"`   // names of the APIs that it is for; empty = all that take keys
	Zones    []string  `json:"zones,omitempty"`  // names of the zones that it may be used from; empty = anywhere
	Limits   []string  `json:"limits,omitempty"` // such as 100/min; at most maxKeyLimits
	Family   string    `json:"family,omitempty"` // id of the first of the keys that it counts together with; empty = its own
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"` // zero = never
	Disabled bool      `json:"disabled,omitempty"`
}

const apiKeyShards = 64 // a power of two

// APIKeys are the keys that a node knows. Others keep them and tell nodes of
// changes; a request only looks. Once Put has returned, no request that starts
// later is decided by what was there before. It is safe for concurrent use.
type APIKeys struct {
	loaded atomic.Bool

	turn atomic.Uint64 // counts what has changed

	mu    sync.Mutex                   // writers
	byID  map[string][sha256.Size]byte // of every key its hash
	shard [apiKeyShards]struct {
		mu   sync.RWMutex
		keys map[[sha256.Size]byte]*apiKey
	}
}

// apiKey is one key, ready to be found. Only its use changes.
type apiKey struct {
	APIKey
	token *verify.Token
	rules []limitRule
	uses  atomic.Int64
	last  atomic.Int64 // Unix microseconds of the last use
}

// NewAPIKeys returns a set that knows nothing: until Replace, requests that
// present a key are answered 503.
func NewAPIKeys() *APIKeys {
	k := &APIKeys{byID: map[string][sha256.Size]byte{}}
	for i := range k.shard {
		k.shard[i].keys = map[[sha256.Size]byte]*apiKey{}
	}
	return k
}

// Known reports whether the set is the truth.
func (k *APIKeys) Known() bool { return k.loaded.Load() }

// Replace makes the set hold exactly the list, and known. Uses that were counted
// stay with their keys. It returns a fault of code Invalid, and changes nothing,
// when a hash is none.
func (k *APIKeys) Replace(list []APIKey) error {
	hashes := make([][sha256.Size]byte, len(list))
	named := make(map[string]bool, len(list))
	for i := range list {
		var err error
		if hashes[i], err = apiKeyHash(&list[i]); err != nil {
			return err
		}
		named[list[i].ID] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.byID {
		if !named[id] {
			k.remove(id)
		}
	}
	for i := range list {
		k.put(&list[i], hashes[i])
	}
	k.loaded.Store(true)
	k.turn.Add(1)
	return nil
}

// Put adds keys, or changes those of the same ids. It returns a fault of code
// Invalid, and changes nothing, when a hash is none.
func (k *APIKeys) Put(list ...APIKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range list {
		if _, err := apiKeyHash(&list[i]); err != nil {
			return err
		}
	}
	for i := range list {
		hash, err := apiKeyHash(&list[i])
		if err != nil {
			return err
		}
		k.put(&list[i], hash)
	}
	k.turn.Add(1)
	return nil
}

// Remove forgets keys by their ids.
func (k *APIKeys) Remove(ids ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.remove(id)
	}
	k.turn.Add(1)
}

// stands reports whether a key is there and enabled, and when it expires in Unix
// seconds, 0 for never.
func (k *APIKeys) stands(id string) (enabled bool, expires int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hash, there := k.byID[id]
	if !there {
		return false, 0
	}
	s := &k.shard[hash[0]%apiKeyShards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.keys[hash].Disabled, s.keys[hash].token.Expires
}

// All returns the keys, in no particular order.
func (k *APIKeys) All() []APIKey {
	var out []APIKey
	k.each(func(a *apiKey) { out = append(out, a.APIKey) })
	return out
}

// APIKeyUse is how often a key was used since that was last asked, and when last.
type APIKeyUse struct {
	ID   string
	Uses int64
	Last time.Time
}

// TakeUses returns what has been used since the last call.
func (k *APIKeys) TakeUses() []APIKeyUse {
	var out []APIKeyUse
	k.each(func(a *apiKey) {
		if n := a.uses.Swap(0); n > 0 {
			out = append(out, APIKeyUse{ID: a.ID, Uses: n, Last: time.UnixMicro(a.last.Load())})
		}
	})
	return out
}

func (k *APIKeys) each(f func(*apiKey)) {
	for i := range k.shard {
		s := &k.shard[i]
		s.mu.RLock()
		for _, a := range s.keys {
			f(a)
		}
		s.mu.RUnlock()
	}
}

// apiKeyHash returns the hash that a key is found by, and checks what else is read of it.
func apiKeyHash(a *APIKey) (hash [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(a.Hash)
	if err != nil || len(b) != len(hash) {
		return hash, fault.New(fault.Invalid, "API key %s: its hash is not a SHA-256 in hex", a.ID)
	}
	if _, err := keyRules(a); err != nil {
		return hash, err
	}
	return [sha256.Size]byte(b), nil
}

// keyRules compiles the limits of a key.
func keyRules(a *APIKey) ([]limitRule, error) {
	if len(a.Limits) > maxKeyLimits {
		return nil, fault.New(fault.Invalid, "API key %s: at most %d limits", a.ID, maxKeyLimits)
	}
	var out []limitRule
	for i, text := range a.Limits {
		l, err := spec.ParseRate(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "API key %s: %v", a.ID, err)
		}
		name := "key"
		if i > 0 {
			name = "key-" + strconv.Itoa(i+1)
		}
		out = append(out, limitRule{name: name, per: perKey, rate: rateOf(l)})
	}
	return out, nil
}

// put writes one key, whose hash and limits have been read. k.mu is held.
func (k *APIKeys) put(a *APIKey, hash [sha256.Size]byte) {
	if old, there := k.byID[a.ID]; there && old != hash {
		k.remove(a.ID)
	}
	next := &apiKey{APIKey: *a, token: &verify.Token{
		Issuer: APIKeyIssuer, Subject: a.App, ClientID: a.App, Audience: a.APIs, Scopes: sortedScopes(a.Scopes),
		ID: a.ID, IssuedAt: a.Created.Unix(),
	}}
	next.rules, _ = keyRules(a) // as apiKeyHash has done
	if !a.Expires.IsZero() {
		next.token.Expires = a.Expires.Unix()
	}
	s := &k.shard[hash[0]%apiKeyShards]
	s.mu.Lock()
	if old := s.keys[hash]; old != nil && old.ID == a.ID {
		next.uses.Store(old.uses.Load())
		next.last.Store(old.last.Load())
	}
	s.keys[hash] = next
	s.mu.Unlock()
	k.byID[a.ID] = hash
}

// remove forgets one key. k.mu is held.
func (k *APIKeys) remove(id string) {
	hash, there := k.byID[id]
	if !there {
		return
	}
	delete(k.byID, id)
	s := &k.shard[hash[0]%apiKeyShards]
	s.mu.Lock()
	delete(s.keys, hash)
	s.mu.Unlock()
}

// find returns the key of a text, nil when nobody has it. What is compared is the SHA-256 of
// what was sent, and never the key: how long that takes tells somebody who guesses how far
// the hash of their guess agrees with a hash that is kept, which they cannot steer towards
// it, and which is not the key (attack gateway 71). Sessions and opaque tokens are found in
// the same way.
func (k *APIKeys) find(text []byte) *apiKey {
	hash := sha256.Sum256(text)
	s := &k.shard[hash[0]%apiKeyShards]
	s.mu.RLock()
	a := s.keys[hash]
	s.mu.RUnlock()
	return a
}

// used counts a use. It is read by TakeUses, not by requests.
func (a *apiKey) used(now time.Time) {
	a.uses.Add(1)
	a.last.Store(now.UnixMicro())
}
