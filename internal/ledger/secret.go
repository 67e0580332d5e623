package ledger

import (
	"strconv"
	"strings"

	"gatehouse/internal/fault"
)

// SealedPrefix begins every sealed value. Whoever seals binds the value to the
// place it stands in: tenant, kind, id and field are its associated data.
const SealedPrefix = "sealed:v1:"

// leastSealed is the length of the shortest possible sealed value behind the
// prefix: a nonce of 12 and a tag of 16 bytes, as base64.
const leastSealed = 38

// Sealed reports whether s has the form of a sealed value. It cannot know whether
// it opens.
func Sealed(s string) bool {
	rest, ok := strings.CutPrefix(s, SealedPrefix)
	if !ok || len(rest) < leastSealed {
		return false
	}
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-_+/=.:", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// checkSecrets refuses a document whose secret fields hold anything but sealed
// values. The message never repeats the value.
func (k *kindCore) checkSecrets(doc []byte) error {
	if len(k.secrets) == 0 {
		return nil
	}
	v, err := parse(doc)
	if err != nil {
		return err
	}
	for _, path := range k.secrets {
		if where := plainText(v, strings.Split(path, "."), ""); where != "" {
			return fault.New(fault.Invalid, "the secret of a %s must be sealed before it is stored", k.name).
				WithFields(fault.Field{Path: where, Message: "holds a value that is not sealed"})
		}
	}
	return nil
}

// plainText returns where, along the path, something stands that is neither
// empty nor sealed; empty for nowhere.
func plainText(v any, path []string, at string) string {
	if v == nil {
		return ""
	}
	if len(path) == 0 {
		if s, ok := v.(string); ok && (s == "" || Sealed(s)) {
			return ""
		}
		return at
	}
	join := func(name string) string { return strings.TrimPrefix(at+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			// encoding/json reads names whatever their case, so this does too.
			if path[0] != "*" && !strings.EqualFold(name, path[0]) {
				continue
			}
			if where := plainText(inner, path[1:], join(name)); where != "" {
				return where
			}
		}
	case []any:
		rest := path
		if path[0] == "*" {
			rest = path[1:]
		}
		for i, inner := range v {
			if where := plainText(inner, rest, join(strconv.Itoa(i))); where != "" {
				return where
			}
		}
	default:
		return at
	}
	return ""
}
