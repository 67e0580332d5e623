package keys

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// FileStore is a RingStore in one file, for keys of a node's own that must be
// there when everything else is down, such as those of the context signer. Only one
// process may use the file.
type FileStore struct {
	path string
	mu   sync.Mutex
}

// NewFileStore returns the RingStore in the file at path, which need not exist yet.
func NewFileStore(path string) *FileStore { return &FileStore{path: path} }

// Keys implements RingStore.
func (s *FileStore) Keys(_ context.Context, t tenant.ID, server string) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.load()
	return slices.DeleteFunc(all, func(r Record) bool { return r.Tenant != t || r.Server != server }), err
}

// Insert implements RingStore.
func (s *FileStore) Insert(_ context.Context, r Record) error {
	return s.update(func(all []Record) ([]Record, error) {
		if find(all, r.Tenant, r.Server, r.ID) >= 0 {
			return nil, fault.New(fault.Conflict, "there is a signing key %q already", r.ID)
		}
		return append(all, r), nil
	})
}

// Change implements RingStore.
func (s *FileStore) Change(_ context.Context, r Record, from State) (done bool, err error) {
	err = s.update(func(all []Record) ([]Record, error) {
		i := find(all, r.Tenant, r.Server, r.ID)
		if i < 0 || all[i].State != from {
			return nil, nil
		}
		all[i].State, all[i].Activates, all[i].Expires = r.State, r.Activates, r.Expires
		done = true
		return all, nil
	})
	return done && err == nil, err
}

// Delete implements RingStore.
func (s *FileStore) Delete(_ context.Context, t tenant.ID, server, id string) error {
	return s.update(func(all []Record) ([]Record, error) {
		i := find(all, t, server, id)
		if i < 0 || all[i].State != Expired && all[i].State != Revoked {
			return nil, nil
		}
		return slices.Delete(all, i, i+1), nil
	})
}

func find(all []Record, t tenant.ID, server, id string) int {
	return slices.IndexFunc(all, func(r Record) bool { return r.Tenant == t && r.Server == server && r.ID == id })
}

func (s *FileStore) load() ([]Record, error) {
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Record
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the signing keys in %s cannot be read", s.path)
	}
	return all, nil
}

// update replaces the file by rename; change returns nil to leave it.
func (s *FileStore) update(change func([]Record) ([]Record, error)) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.load()
	if err != nil {
		return err
	}
	if all, err = change(all); err != nil || all == nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fault.Because(err, fault.Unavailable, "the signing keys in %s cannot be written", s.path)
		}
	}()
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.path)
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
