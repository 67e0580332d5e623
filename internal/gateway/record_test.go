package gateway

import (
	"encoding/json"
	"testing"
)

// TestAppendText: whatever the bytes are, the text is a JSON string that says each of them.
func TestAppendText(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, s := range []string{"", "plain", `"`, `\`, `a"b\c`, "\x00", "ends\n", "\nbegins", "Zoë", string(all)} {
		var got string
		if err := json.Unmarshal(appendText([]byte(nil), s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		want := make([]rune, len(s))
		for i := range len(s) {
			want[i] = rune(s[i])
		}
		if got != string(want) {
			t.Errorf("%q reads as %q", s, got)
		}
	}
}
