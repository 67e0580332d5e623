package gateway

import "encoding/binary"

// frames follows a stream of WebSocket frames (RFC 6455 section 5.2) only so far
// as to know where one ends. It reads what an upstream sends and refuses nothing: bytes that
// are no frames are followed somewhere, and passed on like others.
type frames struct {
	head [14]byte
	have int    // of the head
	left uint64 // of the payload
	lost bool   // where it is is not known
}

// between reports whether what has passed so far ends with a frame.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 && !f.lost }

// follow takes note of the next bytes.
func (f *frames) follow(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.head[f.have] = b[0]
		f.have++
		b = b[1:]
		if n := f.length(); f.have == n {
			f.left, f.have = f.payload(), 0
		}
	}
}

// length returns how long the head is, as far as that is known.
func (f *frames) length() int {
	n := 2
	if f.have < n {
		return n
	}
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 { // masked, which servers never do
		n += 4
	}
	return n
}

func (f *frames) payload() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}

// appendClose appends a frame that closes the connection with a status code and a
// reason for people, of 123 bytes at most.
func appendClose(b []byte, code uint16, why string) []byte {
	why = why[:min(len(why), 123)]
	b = append(b, 0x88, byte(2+len(why))) // #nosec G115 -- 125 at most
	return append(binary.BigEndian.AppendUint16(b, code), why...)
}
