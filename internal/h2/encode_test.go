package h2

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// What is encoded here another implementation decodes to the same.
func FuzzField(f *testing.F) {
	f.Add("Content-Type", "text/plain", false)
	f.Add("X-"+strings.Repeat("Long", 60), strings.Repeat("v", 300), true)
	f.Add("set-cookie", "", true)
	f.Fuzz(func(t *testing.T, name, value string, never bool) {
		if name == "" || strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) >= 0 {
			return
		}
		got, err := hpack.NewDecoder(0, nil).DecodeFull(appendField(nil, []byte(name), []byte(value), never))
		if err != nil || len(got) != 1 || got[0].Name != strings.ToLower(name) || got[0].Value != value || got[0].Sensitive != never {
			t.Errorf("%q: %q became %+v, %v", name, value, got, err)
		}
	})
}

func TestStatus(t *testing.T) {
	for _, status := range []int{100, 200, 201, 204, 206, 302, 304, 400, 401, 404, 431, 500, 503} {
		got, err := hpack.NewDecoder(0, nil).DecodeFull(appendStatus(nil, status))
		want := string([]byte{'0' + byte(status/100), '0' + byte(status/10%10), '0' + byte(status%10)})
		if err != nil || len(got) != 1 || got[0].Name != ":status" || got[0].Value != want {
			t.Errorf("%d became %+v, %v", status, got, err)
		}
	}
}

// Every name that has an index is that of the static table.
func TestStaticNames(t *testing.T) {
	found := 0
	for index := 15; index <= 61; index++ {
		got, err := hpack.NewDecoder(0, nil).DecodeFull(append(appendInt(nil, 0, 4, uint64(index)), 1, 'x'))
		if err != nil || len(got) != 1 {
			t.Fatalf("index %d: %v", index, err)
		}
		if n := staticName([]byte(got[0].Name)); n != 0 {
			found++
			if n != index {
				t.Errorf("%s is %d, not %d", got[0].Name, index, n)
			}
		}
	}
	if found < 20 || !bytes.Equal(appendInt(nil, 0, 5, 1337), []byte{31, 154, 10}) { // RFC 7541 appendix C.1.2
		t.Errorf("%d names, %v", found, appendInt(nil, 0, 5, 1337))
	}
}
