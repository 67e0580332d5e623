package h2

import "golang.org/x/net/http2"

const (
	headSize = 9 // bytes (RFC 9113 section 4.1)
	// maxContinuations is how many frames may go on with one head. The largest head
	// that is accepted needs three of the size that we allow.
	maxContinuations = 16
)

// boundaries follows where frames begin in what is read, and counts those that go on
// with a head. The framer joins them in silence, as many as come: one that holds nothing
// never reaches the limit of a head's size.
type boundaries struct {
	left    int // bytes until the next frame begins
	head    [headSize]byte
	have    int // bytes of head
	follows int // CONTINUATION frames in a row
}

// pass takes note of the next bytes that were read. The error ends the connection.
func (b *boundaries) pass(p []byte) error {
	for len(p) > 0 {
		if b.left > 0 {
			n := min(b.left, len(p))
			b.left, p = b.left-n, p[n:]
			continue
		}
		n := copy(b.head[b.have:], p)
		b.have, p = b.have+n, p[n:]
		if b.have < headSize {
			return nil
		}
		b.have, b.left = 0, int(b.head[0])<<16|int(b.head[1])<<8|int(b.head[2])
		if http2.FrameType(b.head[3]) != http2.FrameContinuation {
			b.follows = 0
			continue
		}
		if b.follows++; b.follows > maxContinuations {
			return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
		}
	}
	return nil
}
