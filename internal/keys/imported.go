package keys

import (
	"crypto/pbkdf2"
	"crypto/sha1" // #nosec G505 -- what other systems have left; replaced at the next sign-in
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/internal/fault"
)

// ImportedHash is a password's hash of another system, in the words of Okta's API
// (credentials.password.hash). Salt and Value are base64; of BCRYPT they are in its
// own alphabet.
type ImportedHash struct {
	Algorithm string // BCRYPT, PBKDF2, SHA-512, SHA-256, SHA-1
	Work      int    // of BCRYPT
	Salt      string
	SaltOrder string // PREFIX or POSTFIX, of SHA with a salt
	Value     string
	Digest    string // of PBKDF2: SHA256_HMAC or SHA512_HMAC
	Rounds    int    // of PBKDF2
	KeySize   int    // of PBKDF2, in bytes
}

// The bounds of what a stored hash may cost: a check takes a few seconds at most.
const (
	minWork, maxWork     = 4, 15
	minRounds, maxRounds = 4096, 5_000_000
)

// digests are those that a hash may be made with.
func digests() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
}

// Verifier returns the hash as it is stored, or fault.Invalid with what is wrong.
func (h ImportedHash) Verifier() (v string, err error) {
	switch h.Algorithm {
	case "BCRYPT":
		v = fmt.Sprintf("$2a$%02d$%s%s", h.Work, h.Salt, h.Value)
	case "PBKDF2":
		digest := map[string]string{"SHA256_HMAC": "sha256", "SHA512_HMAC": "sha512"}[h.Digest]
		v = fmt.Sprintf("$pbkdf2-%s$%d$%s$%s", digest, h.Rounds, h.Salt, h.Value)
		if raw, err := base64.StdEncoding.DecodeString(h.Value); err != nil || len(raw) != h.KeySize {
			return "", wrongHash("keySize", "must be the number of bytes of value")
		}
	case "SHA-512", "SHA-256", "SHA-1":
		order := strings.ToLower(h.SaltOrder)
		if h.Salt == "" {
			order = "none"
		}
		v = fmt.Sprintf("$%s$%s$%s$%s", strings.ToLower(strings.ReplaceAll(h.Algorithm, "-", "")), order, h.Salt, h.Value)
	default:
		return "", wrongHash("algorithm", "must be BCRYPT, PBKDF2, SHA-512, SHA-256 or SHA-1")
	}
	if _, err := parseImported(v); err != nil {
		return "", err
	}
	return v, nil
}

func wrongHash(path, message string) error {
	return fault.New(fault.Invalid, "the password's hash is not valid").WithFields(fault.Field{Path: "credentials.password.hash." + path, Message: message})
}

// IsVerifier reports whether the text is a password's verifier: one of ours, or a hash
// of another system that Check can read.
func IsVerifier(s string) bool {
	if strings.HasPrefix(s, "$argon2id$") {
		return true
	}
	_, err := parseImported(s)
	return err == nil
}

// imported is a parsed hash of another system.
type imported struct {
	check func(password string) bool
}

// parseImported reads what Verifier has written, and bounds what it may cost.
func parseImported(v string) (imported, error) {
	if strings.HasPrefix(v, "$2a$") || strings.HasPrefix(v, "$2b$") || strings.HasPrefix(v, "$2y$") {
		return parseBcrypt(v)
	}
	part := strings.Split(v, "$")
	if len(part) != 5 || part[0] != "" || len(v) > 1024 {
		return imported{}, wrongHash("value", "cannot be read")
	}
	enc := base64.StdEncoding.Strict()
	salt, err1 := enc.DecodeString(part[3])
	value, err2 := enc.DecodeString(part[4])
	if err1 != nil || err2 != nil {
		return imported{}, wrongHash("value", "salt and value must be base64")
	}
	if digest, ok := strings.CutPrefix(part[1], "pbkdf2-"); ok {
		return parsePBKDF2(digest, part[2], salt, value)
	}
	return parseSHA(part[1], part[2], salt, value)
}

func parseBcrypt(v string) (imported, error) {
	cost, err := bcrypt.Cost([]byte(v))
	if err != nil || len(v) != 60 || cost < minWork || cost > maxWork {
		return imported{}, wrongHash("value", fmt.Sprintf("must be a BCRYPT hash with a salt of 22 and a value of 31 characters, and a workFactor from %d to %d", minWork, maxWork))
	}
	return imported{func(password string) bool { return bcrypt.CompareHashAndPassword([]byte(v), []byte(password)) == nil }}, nil
}

func parsePBKDF2(digest, rounds string, salt, value []byte) (imported, error) {
	h := digests()[digest]
	n, err := strconv.Atoi(rounds)
	switch {
	case h == nil || digest == "sha1":
		return imported{}, wrongHash("digestAlgorithm", "must be SHA256_HMAC or SHA512_HMAC")
	case err != nil || n < minRounds || n > maxRounds:
		return imported{}, wrongHash("iterationCount", fmt.Sprintf("must be from %d to %d", minRounds, maxRounds))
	case len(salt) == 0 || len(value) < 16 || len(value) > 128:
		return imported{}, wrongHash("value", "must have 16 to 128 bytes, and a salt")
	}
	return imported{func(password string) bool {
		got, err := pbkdf2.Key(h, password, salt, n, len(value))
		return err == nil && subtle.ConstantTimeCompare(got, value) == 1
	}}, nil
}

func parseSHA(digest, order string, salt, value []byte) (imported, error) {
	h := digests()[digest]
	switch {
	case h == nil:
		return imported{}, wrongHash("algorithm", "is not known")
	case len(value) != h().Size():
		return imported{}, wrongHash("value", fmt.Sprintf("must have %d bytes", h().Size()))
	case !slices.Contains([]string{"prefix", "postfix", "none"}, order) || (order == "none") != (len(salt) == 0):
		return imported{}, wrongHash("saltOrder", "must be PREFIX or POSTFIX with a salt")
	}
	return imported{func(password string) bool {
		d := h()
		parts := [][]byte{salt, []byte(password)}
		if order == "postfix" {
			slices.Reverse(parts)
		}
		for _, p := range parts {
			_, _ = d.Write(p) // never fails
		}
		return subtle.ConstantTimeCompare(d.Sum(nil), value) == 1
	}}, nil
}
