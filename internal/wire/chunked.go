package wire

import "bytes"

// chunkState says what of a chunked body comes next (RFC 9112 section 7.1).
type chunkState uint8

const (
	chunkSize     chunkState = iota // the line with the size of a chunk
	chunkData                       // its content
	chunkEnd                        // the line end behind it
	chunkTrailers                   // trailer lines, up to the empty one
)

const (
	maxChunkLine    = 256     // a size with its extensions and line end
	maxChunkWaste   = 8 << 10 // line bytes beyond 16 a chunk and what 2 % of the content allow
	maxTrailerBytes = 8 << 10
	maxTrailers     = 32
)

// frame takes the framing that is in memory and reports whether content is next.
// When it is not, and neither the end nor an error, more bytes are needed.
func (b *Body) frame() (bool, error) {
	for b.err == nil && !b.ended {
		var took bool
		switch b.chunk {
		case chunkSize:
			took = b.takeSize()
		case chunkData:
			if b.left > 0 {
				return true, nil
			}
			b.chunk, took = chunkEnd, true
		case chunkEnd:
			took = b.takeEnd()
		case chunkTrailers:
			took = b.takeTrailer()
		}
		if !took {
			break
		}
	}
	return false, b.err
}

func (b *Body) broken() bool {
	b.err = ErrBodyInvalid
	return false
}

// takeSize reads "hex [;extensions] CRLF".
func (b *Body) takeSize() bool {
	here := b.src.pending()
	size, i := int64(0), 0
	for ; i < len(here); i++ {
		d, ok := hexValue(here[i])
		if !ok {
			break
		}
		if i == 15 { // 60 bits at most: it cannot overflow
			return b.broken()
		}
		size = size<<4 | int64(d)
	}
	if i == len(here) {
		return false
	}
	if i == 0 || here[i] != '\r' && here[i] != ';' {
		return b.broken()
	}
	for ; i < len(here) && here[i] != '\r'; i++ {
		if c := here[i]; i >= maxChunkLine || c != '\t' && c < ' ' || c >= 0x7f {
			return b.broken()
		}
	}
	if i+1 >= len(here) {
		return false
	}
	if here[i+1] != '\n' {
		return b.broken()
	}
	b.src.r += i + 2
	// A flood of extensions or of one-byte chunks must not cost more than the content is worth.
	b.waste = max(0, b.waste+int64(i+2)-16-2*size)
	if b.waste > maxChunkWaste {
		return b.broken()
	}
	if size == 0 {
		b.chunk, b.waste, b.left = chunkTrailers, 0, 0
	} else {
		b.chunk, b.left = chunkData, size
	}
	return true
}

func (b *Body) takeEnd() bool {
	here := b.src.pending()
	if len(here) > 0 && here[0] != '\r' || len(here) > 1 && here[1] != '\n' {
		return b.broken()
	}
	if len(here) < 2 {
		return false
	}
	b.src.r += 2
	b.chunk = chunkSize
	return true
}

// takeTrailer checks one trailer line and drops it: nothing that comes behind
// the content may look like a header field to anyone. waste counts the bytes, left the lines.
func (b *Body) takeTrailer() bool {
	here := b.src.pending()
	i := bytes.IndexByte(here, '\n')
	if i < 0 {
		if len(here) > maxTrailerBytes {
			return b.broken()
		}
		return false
	}
	line := here[:i]
	b.waste += int64(i + 1)
	b.left++
	if i == 0 || line[i-1] != '\r' || b.waste > maxTrailerBytes || b.left > maxTrailers {
		return b.broken()
	}
	line = line[:i-1]
	b.src.r += i + 1
	if len(line) == 0 {
		b.ended, b.left = true, 0
		return false
	}
	n := tokenEnd(line)
	if n == 0 || n == len(line) || line[n] != ':' || !noControls(line[n+1:]) {
		return b.broken()
	}
	return true
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c-'0' <= 9:
		return c - '0', true
	case (c|0x20)-'a' < 6:
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}
