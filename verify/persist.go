package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// saved is an issuer's keys as a Store keeps them.
type saved struct {
	Issuer        string          `json:"issuer"`
	JWKSURL       string          `json:"jwks_uri"`
	TokenEndpoint string          `json:"token_endpoint,omitempty"`
	Fetched       int64           `json:"fetched"` // Unix seconds
	JWKS          json.RawMessage `json:"jwks"`
}

// save keeps good keys for the next start.
func (r *RemoteKeys) save(found discovered, raw []byte, now time.Time) error {
	if r.cfg.Store == nil {
		return nil
	}
	doc, err := json.Marshal(saved{r.cfg.Issuer, found.jwksURL, r.TokenEndpoint(), now.Unix(), raw})
	if err == nil {
		err = r.cfg.Store.Save(r.cfg.Issuer, doc)
	}
	if err != nil {
		return fmt.Errorf("verify: the keys of %s are in use but could not be kept for the next start: %w", r.cfg.Issuer, err)
	}
	return nil
}

// restore takes up the keys that an earlier run kept, unless they are too old.
// What is wrong with them is shown by State until a fetch has succeeded.
func (r *RemoteKeys) restore() {
	if r.cfg.Store == nil {
		return
	}
	raw, err := r.cfg.Store.Load(r.cfg.Issuer)
	if err == nil && raw == nil {
		return
	}
	var doc saved
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err == nil && (doc.Issuer != r.cfg.Issuer || r.cfg.JWKSURL != "" && doc.JWKSURL != r.cfg.JWKSURL) {
		err = errors.New("they are of another issuer or address")
	}
	var set *KeySet
	if err == nil {
		set, err = ParseKeySet(doc.JWKS)
	}
	now := r.cfg.Now()
	fetched := time.Unix(doc.Fetched, 0)
	if fetched.After(now) {
		fetched = now // the clock was set back; they are at least this old
	}
	if err == nil && !now.Before(fetched.Add(r.cfg.MaxStale)) {
		err = errors.New("they are too old")
	}
	if err != nil {
		r.err = fmt.Errorf("verify: kept keys of %s cannot be used: %w", r.cfg.Issuer, err)
		return
	}
	r.adopt(set, fetched)
	r.endpoint.Store(&doc.TokenEndpoint)
	r.jwksURL, r.fetched, r.fromStore = doc.JWKSURL, fetched, true
}

// Directory is a Store: a folder with one file for each issuer.
type Directory string

func (d Directory) path(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return filepath.Join(string(d), "jwks-"+hex.EncodeToString(sum[:12])+".json")
}

// Load implements Store.
func (d Directory) Load(issuer string) ([]byte, error) {
	raw, err := os.ReadFile(d.path(issuer))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// Save implements Store. The file is replaced by rename, so that a crash leaves
// the old one or the new one.
func (d Directory) Save(issuer string, document []byte) (err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil { //nolint:gosec // the folder is the operator's, the file name is a hash
		return err
	}
	f, err := os.CreateTemp(string(d), ".jwks-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) //nolint:gosec // as above
		}
	}()
	_, err = f.Write(document)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), d.path(issuer)) //nolint:gosec // as above
}

// KeyState is what is known about an issuer's keys, for readiness and diagnosis.
type KeyState struct {
	Issuer      string
	JWKSURL     string    // "" until discovery has answered
	Keys        []string  // usable keys as "kid (alg)", sorted
	Ignored     []string  // published keys that are not used, and why
	Fetched     time.Time // when the keys in use were got; zero when there are none
	Attempt     time.Time // when a fetch was last started
	Err         error     // why the last fetch failed or could not be kept; nil when neither
	StaleSince  time.Time // since when fetches have failed; zero when the last one did not
	FromStore   bool      // the keys in use come from the Store
	UsableUntil time.Time // when the keys in use will be too old; zero when there are none
}

// State returns a copy of what is known now.
func (r *RemoteKeys) State() KeyState {
	r.mu.Lock()
	s := KeyState{
		Issuer: r.cfg.Issuer, JWKSURL: r.jwksURL, Fetched: r.fetched, Attempt: r.attempt,
		Err: r.err, StaleSince: r.stale, FromStore: r.fromStore,
	}
	r.mu.Unlock()
	set := r.set.Load()
	if set == nil {
		return s
	}
	s.UsableUntil = s.Fetched.Add(r.cfg.MaxStale)
	s.Ignored = set.Ignored()
	if !r.usable() {
		return s
	}
	for _, k := range set.keys {
		alg := string(k.alg)
		if alg == "" {
			alg = "any"
		}
		s.Keys = append(s.Keys, k.id+" ("+alg+")")
	}
	sort.Strings(s.Keys)
	return s
}
