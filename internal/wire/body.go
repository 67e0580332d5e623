package wire

import (
	"errors"
	"io"
)

// bodyMode says how the end of a body is known.
type bodyMode uint8

const (
	bodyNone    bodyMode = iota
	bodyFixed            // by Content-Length
	bodyChunked          // by the last chunk
	bodyToClose          // by the end of the connection (answers only)
	bodyMemory           // it is all there
	bodyReader           // by io.EOF of another lane's reader
)

// Body is the content of a message. The zero value is an empty body.
type Body struct {
	mode   bodyMode
	chunk  chunkState
	bound  bool // limit holds
	ended  bool // everything, trailers included, has been taken
	length int64
	left   int64 // bodyFixed: bytes to come; bodyChunked: bytes of this chunk to come
	got    int64 // content bytes taken so far
	limit  int64
	waste  int64 // chunked: bytes of framing beyond what such a body needs
	err    error

	src    *stream
	memory []byte
	reader io.Reader
}

// NewBody returns a body that is read from r, for lanes other than this
// package's. length is -1 when it is not known. When r has a method
// Interrupt(), it is called, on another goroutine than the one that reads, to make a
// blocked Read return because the body is no longer wanted.
func NewBody(r io.Reader, length int64) Body {
	return Body{mode: bodyReader, reader: r, length: length, left: length, ended: length == 0}
}

// BytesBody returns a body that is all there.
func BytesBody(b []byte) Body {
	return Body{mode: bodyMemory, memory: b, length: int64(len(b)), ended: len(b) == 0}
}

// fixedBody is a body of n bytes on src.
func fixedBody(src *stream, n int64) Body {
	return Body{mode: bodyFixed, src: src, length: n, left: n, ended: n == 0}
}

func chunkedBody(src *stream) Body { return Body{mode: bodyChunked, src: src, length: -1} }

func closeBody(src *stream) Body { return Body{mode: bodyToClose, src: src, length: -1} }

// Length returns the declared length in bytes, or -1 when it is not known before the end.
func (b *Body) Length() int64 { return b.length }

// Limit makes reading fail with ErrBodyTooLarge beyond n bytes in all. When the
// declared length is larger than that, it returns ErrBodyTooLarge at once as well.
func (b *Body) Limit(n int64) error {
	b.bound, b.limit = true, n
	if b.length > n {
		b.err = ErrBodyTooLarge
		return b.err
	}
	return nil
}

// Buffered returns the next bytes of the body that are in memory, without
// reading from the connection and without consuming them: the body may hold more.
// The slice is valid until the next Read.
func (b *Body) Buffered() []byte {
	if b.err != nil || b.ended {
		return nil
	}
	var p []byte
	switch b.mode {
	case bodyMemory:
		p = b.memory
	case bodyToClose:
		p = b.src.pending()
	case bodyFixed:
		p = b.src.pending()
		p = p[:min(int64(len(p)), b.left)]
	case bodyChunked:
		if ok, err := b.frame(); err != nil || !ok {
			return nil
		}
		p = b.src.pending()
		p = p[:min(int64(len(p)), b.left)]
	case bodyNone, bodyReader:
	}
	if b.bound {
		p = p[:min(int64(len(p)), b.limit-b.got)]
	}
	return p
}

// consume takes n bytes of what Buffered returned.
func (b *Body) consume(n int) {
	b.got += int64(n)
	switch b.mode {
	case bodyMemory:
		b.memory = b.memory[n:]
		b.ended = len(b.memory) == 0
	case bodyFixed:
		b.src.r += n
		b.left -= int64(n)
		b.ended = b.left == 0
	case bodyChunked:
		b.src.r += n
		b.left -= int64(n)
	case bodyToClose:
		b.src.r += n
	case bodyNone, bodyReader:
	}
}

// moved accounts for n bytes that went past the buffer, from socket to socket.
func (b *Body) moved(n int64) {
	b.got += n
	b.left -= n
	b.ended = b.left == 0
}

// atEnd reports whether the end of the body is known to have been reached,
// reading only what is in memory.
func (b *Body) atEnd() bool {
	if b.mode == bodyChunked {
		_, _ = b.frame() // an error stays in b.err
	}
	return (b.ended || b.mode == bodyNone) && b.err == nil
}

// settle drops what is left of the body if all of it is in memory, and reports
// whether the body has come to its end.
func (b *Body) settle() bool {
	for {
		p := b.Buffered()
		if len(p) == 0 {
			return b.atEnd()
		}
		b.consume(len(p))
	}
}

// Read reads the content, decoded. It returns io.EOF at the clean end only.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p)
	if b.bound && b.got > b.limit {
		n, err = 0, ErrBodyTooLarge
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a body's own end is the plain io.EOF
		b.err = err
	}
	return n, err
}

func (b *Body) read(p []byte) (int, error) {
	switch b.mode {
	case bodyReader:
		return b.readOther(p)
	case bodyChunked:
		if err := b.awaitChunk(); err != nil {
			return 0, err
		}
	case bodyNone, bodyMemory, bodyFixed, bodyToClose:
	}
	if b.atEnd() {
		return 0, io.EOF
	}
	if here := b.Buffered(); len(here) > 0 {
		n := copy(p, here)
		b.consume(n)
		return n, nil
	}
	if b.bound && b.limit == b.got && (b.mode == bodyChunked || b.mode == bodyToClose && len(b.src.pending()) > 0) {
		return 0, ErrBodyTooLarge // more content follows
	}
	return b.readDirect(p)
}

// awaitChunk reads until content of the next chunk or the end of the body is at hand.
func (b *Body) awaitChunk() error {
	for {
		ok, err := b.frame()
		if ok || b.ended || err != nil {
			return err
		}
		if err := b.src.fillBody(); err != nil {
			return truncated(err)
		}
	}
}

// readDirect reads from the connection into p when nothing is in memory; small
// reads go through the buffer.
func (b *Body) readDirect(p []byte) (int, error) {
	if b.mode != bodyToClose && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if len(p) < 4<<10 {
		if err := b.src.fillBody(); err != nil {
			return 0, b.ending(err)
		}
		n := copy(p, b.Buffered())
		b.consume(n)
		return n, nil
	}
	n, err := b.src.receive(p)
	b.src.r, b.src.w = b.src.base, b.src.base
	if n > 0 {
		b.src.w += n // consume takes them from the buffer's account
		b.consume(n)
		b.src.r, b.src.w = b.src.base, b.src.base
		return n, nil
	}
	return 0, b.ending(err)
}

// ending tells the end of a body that lasts as long as its connection from a
// connection that broke.
func (b *Body) ending(err error) error {
	if b.mode == bodyToClose && err == io.EOF { //nolint:errorlint // io.ErrUnexpectedEOF of TLS is a cut
		b.ended = true
		return io.EOF
	}
	return truncated(err)
}

func (b *Body) readOther(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.reader.Read(p)
	b.got += int64(n)
	switch {
	case b.length >= 0 && b.got > b.length:
		return 0, ErrBodyInvalid
	case errors.Is(err, io.EOF) && b.length >= 0 && b.got < b.length:
		return n, ErrBodyTruncated
	case errors.Is(err, io.EOF) || b.length >= 0 && b.got == b.length:
		b.ended = true
		if n > 0 {
			return n, nil
		}
		return 0, io.EOF
	}
	return n, err
}

// Interrupt makes a Read that blocks on another goroutine return with an error.
func (b *Body) Interrupt() {
	if b.src != nil {
		b.src.sock.interruptRead()
	} else if i, ok := b.reader.(interface{ Interrupt() }); ok {
		i.Interrupt()
	}
}

// truncated names a connection's end in the middle of a body.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrBodyTruncated
	}
	return err
}
