package keys

import (
	"strings"
	"testing"
)

// A key is what secret scanners can recognize, and each typing error shows: every
// change of one character, and every two neighbours that change places.
func TestAPIKey(t *testing.T) {
	key := APIKey()
	if !strings.HasPrefix(key, "gk_live_") || len(key) != 46 || strings.Trim(key[8:], base62) != "" {
		t.Fatalf("%q", key)
	}
	if key == APIKey() {
		t.Fatal("two keys are one")
	}
	if !WellFormedAPIKey([]byte(key)) {
		t.Error("a new key is not well-formed")
	}
	for i := range key {
		for _, c := range []byte("aZ0_ ") {
			b := []byte(key)
			if b[i] == c {
				continue
			}
			b[i] = c
			if WellFormedAPIKey(b) {
				t.Errorf("character %d may be another", i)
			}
		}
		b := []byte(key)
		if i > 0 && b[i] != b[i-1] {
			b[i], b[i-1] = b[i-1], b[i]
			if WellFormedAPIKey(b) {
				t.Errorf("characters %d and %d may change places", i-1, i)
			}
		}
	}
	for _, text := range []string{"", "gk_live_", key[1:], key + "0", key[:45]} {
		if WellFormedAPIKey([]byte(text)) {
			t.Errorf("%q is well-formed", text)
		}
	}
	if hint := APIKeyHint(key); len(hint) != 12 || !strings.HasPrefix(key, hint) {
		t.Errorf("hint %q", hint)
	}
	if n := testing.AllocsPerRun(100, func() { WellFormedAPIKey([]byte(key)) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
