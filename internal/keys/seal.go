package keys

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

const sealPrefix = "sealed:v1:"

// Place is where a sealed value belongs. It is authenticated with the value, so
// that a sealed text cannot be moved to another field, object or tenant.
type Place struct {
	Tenant tenant.ID
	Kind   string
	ID     string
	Field  string
}

// SealKey is one key of a Sealer.
type SealKey struct {
	ID     string // letters, digits and hyphens
	Secret [32]byte
}

// Sealer encrypts secrets at rest with XChaCha20-Poly1305, whose nonces are long
// enough to be drawn at random for ever. It is safe for concurrent use.
type Sealer struct {
	newest string
	byID   map[string]cipher.AEAD
	root   []byte // that Derive derives from
}

// NewSealer returns a Sealer: the first key seals, all of them open.
func NewSealer(keys ...SealKey) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "there is no key to seal secrets with")
	}
	s := &Sealer{newest: keys[0].ID, byID: map[string]cipher.AEAD{}}
	var err error
	if s.root, err = hkdf.Extract(sha256.New, keys[0].Secret[:], []byte("gatehouse derived keys")); err != nil {
		return nil, fault.Because(err, fault.Internal, "seal key")
	}
	for _, k := range keys {
		if k.ID == "" || strings.Trim(k.ID, base62+"-") != "" {
			return nil, fault.New(fault.Invalid, "the id %q of a seal key is not of letters, digits and hyphens", k.ID)
		}
		if s.byID[k.ID] != nil {
			return nil, fault.New(fault.Invalid, "the seal key %q is given twice", k.ID)
		}
		aead, err := chacha20poly1305.NewX(k.Secret[:])
		if err != nil {
			return nil, fault.Because(err, fault.Internal, "seal key")
		}
		s.byID[k.ID] = aead
	}
	return s, nil
}

// Derive returns a key of 32 bytes for the purpose: the same on every node that has
// the newest seal key, and nothing that tells about that key (RFC 5869).
func (s *Sealer) Derive(purpose string) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, s.root, purpose, sha256.Size)
	if err != nil {
		return nil, fault.Because(err, fault.Internal, "derive a key")
	}
	return key, nil
}

// Seal returns "sealed:v1:<key id>:<nonce and ciphertext in base64url>".
func (s *Sealer) Seal(plain []byte, at Place) (string, error) {
	aead := s.byID[s.newest]
	buf := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(buf)
	buf = aead.Seal(buf, buf, plain, at.bind(s.newest))
	return sealPrefix + s.newest + ":" + base64.RawURLEncoding.EncodeToString(buf), nil
}

// Open returns what Seal was given at the same place. The error is
// fault.Invalid when the text is not a sealed one, and fault.Denied when no key
// here opens it or it was sealed for another place.
func (s *Sealer) Open(sealed string, at Place) ([]byte, error) {
	id, text, ok := cutSealed(sealed)
	if !ok {
		return nil, fault.New(fault.Invalid, "not a sealed value")
	}
	aead := s.byID[id]
	if aead == nil {
		return nil, fault.New(fault.Denied, "the value was sealed with the key %q, which is not here; add it to the seal keys", id)
	}
	buf, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(buf) < aead.NonceSize() {
		return nil, fault.New(fault.Invalid, "not a sealed value")
	}
	plain, err := aead.Open(nil, buf[:aead.NonceSize()], buf[aead.NonceSize():], at.bind(id))
	if err != nil {
		return nil, fault.New(fault.Denied, "the sealed value of %s %s is damaged or belongs elsewhere", at.Kind, at.Field)
	}
	return plain, nil
}

// Stale reports whether a sealed text should be sealed again because a newer
// key has come.
func (s *Sealer) Stale(sealed string) bool {
	id, _, ok := cutSealed(sealed)
	return ok && id != s.newest
}

// IsSealed reports whether the text has the form of a sealed one.
func IsSealed(text string) bool {
	_, _, ok := cutSealed(text)
	return ok
}

func cutSealed(text string) (id, rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, sealPrefix)
	if !ok {
		return "", "", false
	}
	id, rest, ok = strings.Cut(rest, ":")
	return id, rest, ok && id != "" && rest != ""
}

// bind writes the place so that no two places read alike: each part has its
// length before it.
func (p Place) bind(key string) []byte {
	b := []byte(sealPrefix)
	for _, part := range [...]string{key, string(p.Tenant), p.Kind, p.ID, p.Field} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// LoadSealer returns the Sealer of a process. env is the value of
// GATEHOUSE_SEAL_KEY: one or more keys, newest first, separated by commas or
// spaces, each 32 bytes in base64 or hex. When it is empty the keys are read from
// the file at path, one a line, newest first; a missing file is created with a
// new key and mode 0600. Add a line at the top to rotate.
func LoadSealer(path, env string) (*Sealer, error) {
	if strings.TrimSpace(env) != "" {
		s, err := readSealKeys(env)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_SEAL_KEY: %w", err)
		}
		return s, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createSealKey(path); err == nil {
			raw, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the seal key file %s cannot be read or created", path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Denied, "the seal key file %s can be read by others; run chmod 600 on it", path)
	}
	s, err := readSealKeys(string(raw))
	if err != nil {
		return nil, fmt.Errorf("seal key file %s: %w", path, err)
	}
	return s, nil
}

func readSealKeys(text string) (*Sealer, error) {
	var list []SealKey
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
			k, ok := readSealKey(word)
			if !ok {
				return nil, fault.New(fault.Invalid, "seal key %d is not 32 bytes in base64 or hex; make one with: openssl rand -base64 32", len(list)+1)
			}
			list = append(list, k)
		}
	}
	return NewSealer(list...)
}

// readSealKey reads one key; its id is the start of a hash of it.
func readSealKey(word string) (k SealKey, ok bool) {
	raw, err := hex.DecodeString(word)
	if err != nil {
		word = strings.TrimRight(word, "=")
		if raw, err = base64.RawStdEncoding.DecodeString(word); err != nil {
			raw, err = base64.RawURLEncoding.DecodeString(word)
		}
	}
	if err != nil || len(raw) != len(k.Secret) {
		return k, false
	}
	copy(k.Secret[:], raw)
	sum := sha256.Sum256(append([]byte("gatehouse seal key id\x00"), raw...))
	k.ID = hex.EncodeToString(sum[:4])
	return k, true
}

// createSealKey makes the file whole under another name and then links it into
// place, so that of two processes that start at once one wins and the other reads it.
func createSealKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	f, err := os.CreateTemp(dir, ".seal-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString("# Gatehouse seals secrets at rest with the first key and opens them with all. Keep a copy apart from the data.\n" +
		base64.StdEncoding.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(f.Name(), path) // a file system without hard links
}
