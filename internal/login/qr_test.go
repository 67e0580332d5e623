package login

import (
	"net/url"
	"strings"
	"testing"
)

// The image is a QR code: the three finder patterns are where they must be, inside a
// quiet zone of four.
func TestQRSquares(t *testing.T) {
	got, err := qrSquares(keyURI("id.example.com", "ana@example.com", "JBSWY3DPEHPK3PXP"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Size < 21+2*quietZone || got.Size > 77+2*quietZone {
		t.Errorf("size %d", got.Size)
	}
	last := got.Size - quietZone - 7
	for _, corner := range [][2]int{{quietZone, quietZone}, {last, quietZone}, {quietZone, last}} {
		if !darkRun(got.Path, corner[0], corner[1], 7) {
			t.Errorf("no finder pattern at %v", corner)
		}
	}
}

// darkRun reports whether the path has a run of at least n dark squares there.
func darkRun(path string, x, y, n int) bool {
	for piece := range strings.SplitSeq(path, "z") {
		if at, ok := readRun(piece); ok && at.y == y && at.x == x && at.n >= n {
			return true
		}
	}
	return false
}

func TestKeyURI(t *testing.T) {
	u, err := url.Parse(keyURI("id.example.com:8081", "a b@example.com", "SECRET"))
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/id.example.com:8081:a b@example.com" {
		t.Errorf("%+v %v", u, err)
	}
	if q := u.Query(); q.Get("secret") != "SECRET" || q.Get("issuer") != "id.example.com:8081" {
		t.Errorf("%v", q)
	}
}

func TestGrouped(t *testing.T) {
	if got := grouped("ABCDEFGHIJ"); got != "ABCD EFGH IJ" {
		t.Errorf("%q", got)
	}
}

type run struct{ x, y, n int }

// readRun reads a piece such as M4 4h7v1H4.
func readRun(piece string) (r run, ok bool) {
	for _, p := range []*int{&r.x, &r.y, &r.n} {
		piece = strings.TrimLeft(piece, "M h")
		i := 0
		for i < len(piece) && piece[i] >= '0' && piece[i] <= '9' {
			*p = *p*10 + int(piece[i]-'0')
			i++
		}
		if i == 0 {
			return r, false
		}
		piece = piece[i:]
	}
	return r, true
}
