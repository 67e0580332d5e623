package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Sets of ASCII bytes as two words of bits: one for the bytes below 64, one for
// those from 64 to 127. Shifts by 64 and more give 0, so a test needs no branch.
const (
	digits   = uint64(1<<10-1) << '0'
	capitals = uint64(1<<26-1) << ('A' - 64)
	smalls   = uint64(1<<26-1) << ('a' - 64)

	// token = 1*tchar (RFC 9110 section 5.6.2)
	tokenLow  = digits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	tokenHigh = capitals | smalls | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)

	// What we take as a method: capitals, digits, "-" and "_".
	methodLow  = digits | 1<<'-'
	methodHigh = capitals | 1<<('_'-64)

	// What we take as a host name: letters, digits, "-", "." and "_". The rest of
	// RFC 3986's reg-name (percent escapes, sub-delims) names no host that exists.
	hostLow  = digits | 1<<'-' | 1<<'.'
	hostHigh = capitals | smalls | 1<<('_'-64)
)

// in reports whether c is in the set of the two words.
func in(c byte, low, high uint64) bool {
	return (uint64(1)<<c)&low|(uint64(1)<<(c-64))&high != 0
}

// tokenEnd returns the index of the first byte of b that no token may hold.
func tokenEnd(b []byte) int {
	for i, c := range b {
		if !in(c, tokenLow, tokenHigh) {
			return i
		}
	}
	return len(b)
}

// ValidFieldName reports whether b is a token (RFC 9110 section 5.6.2).
func ValidFieldName(b []byte) bool { return len(b) > 0 && tokenEnd(b) == len(b) }

// ValidFieldValue reports whether b may stand as a header field's value: no
// control byte but the tab, no DEL, no white space at either end.
func ValidFieldValue(b []byte) bool {
	if n := len(b); n > 0 && (isSpace(b[0]) || isSpace(b[n-1])) {
		return false
	}
	return noControls(b)
}

// noControls reports whether b holds no control byte but the tab, and no DEL.
// It looks at thirty-two bytes at a time, then at eight, and at single ones where there is a suspect.
func noControls(b []byte) bool {
	for len(b) >= 32 {
		w := b[:32]
		suspects := suspect(w[:8]) | suspect(w[8:16]) | suspect(w[16:24]) | suspect(w[24:])
		if suspects != 0 && !noControlsSlow(w) {
			return false
		}
		b = b[32:]
	}
	for len(b) >= 8 {
		if suspect(b) != 0 && !noControlsSlow(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return noControlsSlow(b)
}

// suspect returns 0 when none of the first eight bytes of b is a control byte, the tab included, or DEL.
func suspect(b []byte) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	x := binary.LittleEndian.Uint64(b)
	low := x &^ tops                        // seven bits of each byte, so that nothing is carried into the next
	del, visible := low+ones, low+ones*0x60 // top bit set where a byte is 0x7f; where it is not under 0x20
	return (del | ^visible) &^ x & tops
}

func noControlsSlow(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trimSpace removes optional white space (RFC 9110 section 5.6.3) from both ends.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// EqualFold reports whether b is s without regard to the case of ASCII letters.
// s must be in lower case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// equalFoldBytes is EqualFold for two strings of any case.
func equalFoldBytes(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if d-'A' < 26 {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

// nextMember returns the first member of a comma-separated list, trimmed, and
// what follows its comma. Empty members are returned as such.
func nextMember(list []byte) (member, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trimSpace(list[:i]), list[i+1:]
	}
	return trimSpace(list), nil
}

// parseLength reads a Content-Length: digits only, at most 18 of them, so that
// it cannot overflow. It returns -1 for anything else.
func parseLength(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// validHost reports whether b is a host with an optional port: a name, an IPv4
// address, or an IPv6 address in brackets; no user information, no empty port.
func validHost(b []byte) bool {
	name, port := b, []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !validIPv6(b[1:end]) {
			return false
		}
		port = b[end+1:]
		return len(port) == 0 || port[0] == ':' && validPort(port[1:])
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		name, port = b[:i], b[i+1:]
		if !validPort(port) {
			return false
		}
	}
	if len(name) == 0 || len(name) > 255 || name[0] == '.' {
		return false
	}
	for _, c := range name {
		if !in(c, hostLow, hostHigh) {
			return false
		}
	}
	return true
}

func validIPv6(b []byte) bool {
	addr, err := netip.ParseAddr(string(b))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

func validPort(b []byte) bool {
	n := parseLength(b)
	return len(b) <= 5 && n >= 0 && n <= 65535
}
