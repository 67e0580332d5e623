package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// The bounds of a JWK Set.
const (
	maxSetBytes = 1 << 20
	maxSetKeys  = 100
)

// KeySet is the usable keys of a JWK Set (RFC 7517 section 5).
type KeySet struct {
	keys    []*Key
	byID    map[string]*Key
	ignored []string
}

// ParseKeySet reads a JWK Set of at most 1 MiB and 100 keys. Keys that must not
// be used are left out and named by Ignored: symmetric ones, ones for
// encryption, RSA under 2048 bits, points off their curve, private ones, and all that share a kid.
// It is an error when no key is left.
func ParseKeySet(jwks []byte) (*KeySet, error) {
	if len(jwks) > maxSetBytes {
		return nil, errors.New("the key set is larger than 1 MiB")
	}
	doc, err := decodeObject(string(jwks))
	if err != nil {
		return nil, fmt.Errorf("the key set cannot be read: %w", err)
	}
	list, ok := doc["keys"].([]any)
	if !ok {
		return nil, errors.New(`the key set has no list "keys"`)
	}
	if len(list) > maxSetKeys {
		return nil, fmt.Errorf("the key set has %d keys; at most 100 are accepted", len(list))
	}
	s := &KeySet{byID: map[string]*Key{}}
	twice := map[string]bool{}
	for i, v := range list {
		k, err := parseJWK(v)
		if err != nil {
			s.ignored = append(s.ignored, fmt.Sprintf("key %d%s: %s", i, shown(v), err))
			continue
		}
		if old := s.byID[k.id]; k.id != "" && old != nil {
			if old.same(k) {
				continue // written twice, but nothing is in doubt
			}
			twice[k.id] = true
			continue
		}
		if k.id != "" {
			s.byID[k.id] = k
		}
		s.keys = append(s.keys, k)
	}
	for _, kid := range sortedNames(twice) {
		s.ignored = append(s.ignored, fmt.Sprintf("kid %q: more than one key has it, so none of them is used", kid))
		delete(s.byID, kid)
	}
	s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool { return twice[k.id] })
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("the key set has no usable key%s", reasons(s.ignored))
	}
	return s, nil
}

func reasons(ignored []string) string {
	if len(ignored) == 0 {
		return ""
	}
	return " (" + strings.Join(ignored[:min(len(ignored), 3)], "; ") + ")"
}

func sortedNames(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// shown returns the kid of a published key for a message, cut to a sane length.
func shown(v any) string {
	m, _ := v.(map[string]any)
	kid, _ := m["kid"].(string)
	if kid == "" {
		return ""
	}
	return fmt.Sprintf(" (kid %q)", kid[:min(len(kid), 64)])
}

// Keys returns the usable keys in the order of the document.
func (s *KeySet) Keys() []*Key { return slices.Clone(s.keys) }

// Ignored says which keys of the document are not used, and why.
func (s *KeySet) Ignored() []string { return slices.Clone(s.ignored) }

// find returns the key that KeySource.Key is to return, or nil.
func (s *KeySet) find(kid string, alg Algorithm) *Key {
	if kid != "" {
		if k := s.byID[kid]; k != nil && k.Allows(alg) {
			return k
		}
		return nil
	}
	var found *Key
	for _, k := range s.keys {
		if !k.Allows(alg) {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

// inherit takes over those keys of an older set that are the same, so that
// they keep their identity.
func (s *KeySet) inherit(old *KeySet) {
	if old == nil {
		return
	}
	for i, k := range s.keys {
		j := slices.IndexFunc(old.keys, k.same)
		if j < 0 {
			continue
		}
		s.keys[i] = old.keys[j]
		if k.id != "" {
			s.byID[k.id] = old.keys[j]
		}
	}
}

// ParseKey reads one public JWK (RFC 7517 section 4).
func ParseKey(jwk []byte) (*Key, error) {
	doc, err := decodeObject(string(jwk))
	if err != nil {
		return nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	return parseJWK(doc)
}

func parseJWK(v any) (*Key, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	text := map[string]string{}
	for _, name := range [...]string{"kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"} {
		v, has := m[name]
		if !has {
			continue
		}
		if text[name], ok = v.(string); !ok {
			return nil, errors.New(name + " is not a string")
		}
	}
	if _, has := m["d"]; has {
		return nil, errors.New("it holds the private part, so it is known to others")
	}
	if len(text["kid"]) > maxHeaderText {
		return nil, errors.New("kid is too long")
	}
	if use, has := m["use"]; has && use != "sig" {
		return nil, errors.New("use is not sig")
	}
	if err := checkKeyOps(m); err != nil {
		return nil, err
	}
	if _, has := m["alg"]; has && !Algorithm(text["alg"]).Known() {
		return nil, fmt.Errorf("alg %q is not accepted", text["alg"][:min(len(text["alg"]), 32)])
	}
	pub, err := publicKey(text)
	if err != nil {
		return nil, err
	}
	return NewKey(text["kid"], Algorithm(text["alg"]), pub)
}

// checkKeyOps honours RFC 7517 section 4.3.
func checkKeyOps(m map[string]any) error {
	v, has := m["key_ops"]
	if !has {
		return nil
	}
	ops, ok := v.([]any)
	if !ok || !slices.Contains(ops, any("verify")) {
		return errors.New("key_ops does not allow verify")
	}
	return nil
}

func publicKey(text map[string]string) (crypto.PublicKey, error) {
	switch text["kty"] {
	case "RSA":
		n, ok1 := decodePart(nil, []byte(text["n"]))
		e, ok2 := decodePart(nil, []byte(text["e"]))
		if !ok1 || !ok2 || len(e) > 4 || len(n) > maxRSABits/8+1 {
			return nil, errors.New("n or e is not an acceptable number")
		}
		exp := new(big.Int).SetBytes(e)
		if exp.BitLen() > 31 {
			return nil, errors.New("e is too large")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())}, nil
	case "EC":
		return curvePoint(text)
	case "OKP":
		x, ok := decodePart(nil, []byte(text["x"]))
		if text["crv"] != "Ed25519" || !ok || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("not an Ed25519 key")
		}
		return ed25519.PublicKey(x), nil
	case "oct":
		return nil, errors.New("symmetric")
	default:
		return nil, errors.New("kty is not accepted")
	}
}

// curvePoint reads x and y, which must have the curve's full length (RFC 7518
// section 6.2.1.2) and be a point of it.
func curvePoint(text map[string]string) (crypto.PublicKey, error) {
	var curve elliptic.Curve
	switch text["crv"] {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, errors.New("crv is not accepted")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, ok1 := decodePart(nil, []byte(text["x"]))
	y, ok2 := decodePart(nil, []byte(text["y"]))
	if !ok1 || !ok2 || len(x) != size || len(y) != size {
		return nil, errors.New("x or y has a wrong length")
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("x and y are not a point of the curve")
	}
	return pub, nil
}

// StaticKeys are keys that never change: a JWK Set that the operator has.
type StaticKeys struct{ set *KeySet }

// NewStaticKeys reads a JWK Set as ParseKeySet does.
func NewStaticKeys(jwks []byte) (*StaticKeys, error) {
	set, err := ParseKeySet(jwks)
	if err != nil {
		return nil, err
	}
	return &StaticKeys{set}, nil
}

// Retire ends the use of the keys, when another source takes their place:
// tokens that they signed leave the caches of verifiers.
func (s *StaticKeys) Retire() {
	for _, k := range s.set.keys {
		k.Retire()
	}
}

// Key implements KeySource.
func (s *StaticKeys) Key(_ context.Context, kid string, alg Algorithm) (*Key, error) {
	if k := s.set.find(kid, alg); k != nil {
		return k, nil
	}
	return nil, fail(ReasonUnknownKey, "no key of the set has this kid and allows this algorithm")
}
