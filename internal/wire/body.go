package wire

import (
	"errors"
	"io"
)

// Body is the content of a message. The zero value is an empty body.
type Body struct {
	length int64
}

// NewBody returns a body that is read from r, for lanes other than this
// package's. length is -1 when it is not known. When r has a method
// Interrupt(), it is called, on another goroutine than the one that reads, to make a
// blocked Read return because the body is no longer wanted.
func NewBody(r io.Reader, length int64) Body { return Body{length: length} }

// BytesBody returns a body that is all there.
func BytesBody(b []byte) Body { return Body{length: int64(len(b))} }

// Length returns the declared length in bytes, or -1 when it is not known before the end.
func (b *Body) Length() int64 { return b.length }

// Buffered returns the next bytes of the body that are in memory, without
// reading from the connection and without consuming them. The slice is valid until the next Read.
func (b *Body) Buffered() []byte { return nil }

// Limit makes reading fail with ErrBodyTooLarge beyond n bytes. A body whose
// declared length is larger fails at its first Read; Limit then returns ErrBodyTooLarge at once.
func (b *Body) Limit(n int64) error { return nil }

// Read reads the content, decoded. It returns io.EOF at the clean end only.
func (b *Body) Read(p []byte) (int, error) { return 0, errors.ErrUnsupported }
