package keys

import (
	"strings"
	"testing"
)

func TestRecoveryCodes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		code := NewRecoveryCode()
		hash := RecoveryHash(code)
		if len(code) != recoveryLength+4 || len(hash) != 64 || seen[hash] {
			t.Fatalf("%q, hash %q", code, hash)
		}
		seen[hash] = true
		for what, typed := range map[string]string{
			"upper case": strings.ToUpper(code), "without dashes": strings.ReplaceAll(code, "-", ""), "with spaces": " " + strings.ReplaceAll(code, "-", " ") + "\n",
			"o for 0": strings.ReplaceAll(code, "0", "O"), "l for 1": strings.ReplaceAll(code, "1", "l"),
		} {
			if RecoveryHash(typed) != hash {
				t.Errorf("%s: %q is not taken for %q", what, typed, code)
			}
		}
	}
	for _, not := range []string{"", "abc", strings.Repeat("u", 26), strings.Repeat("a", 27), strings.Repeat("-", 26), strings.Repeat("a", 500), strings.Repeat("é", 13)} {
		if RecoveryHash(not) != "" {
			t.Errorf("%q is taken for a code", not)
		}
	}
}
