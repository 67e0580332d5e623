package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/internal/fault"
)

// keySets keeps the last good key set of each issuer in a folder, so that a node
// restarts with everything else down. It implements verify.Store.
type keySets struct{ dir string }

func (k keySets) path(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return filepath.Join(k.dir, hex.EncodeToString(sum[:16])+".json")
}

// Load returns what Save kept, or nil when there is nothing.
func (k keySets) Load(issuer string) (b []byte, err error) {
	defer fault.Wrap(&err, "read the kept keys of %s", issuer)
	b, err = os.ReadFile(k.path(issuer))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Save replaces what is kept of the issuer.
func (k keySets) Save(issuer string, b []byte) (err error) {
	defer fault.Wrap(&err, "keep the keys of %s", issuer)
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	return writeFile(k.path(issuer), b)
}
