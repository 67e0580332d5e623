package telemetry

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// TraceParent is a W3C trace context: which trace a request belongs to, which
// span called, and whether the caller records it (Trace Context, section 3.2).
type TraceParent struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

const (
	flagSampled = 1
	// traceParentLen is the length of a version 00 traceparent.
	traceParentLen = 55
)

// ParseTraceParent reads the value of a traceparent header. False means that it
// is to be ignored and a new trace started: wrong length, upper-case digits, all
// zeros, version ff. A later version is read as far as this one goes.
func ParseTraceParent(b []byte) (TraceParent, bool) {
	var t TraceParent
	if len(b) < traceParentLen || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return t, false
	}
	var version, flags [1]byte
	if !hexBytes(version[:], b[0:2]) || version[0] == 0xff {
		return t, false
	}
	if len(b) > traceParentLen && (version[0] == 0 || b[55] != '-') {
		return t, false
	}
	if !hexBytes(t.TraceID[:], b[3:35]) || !hexBytes(t.SpanID[:], b[36:52]) || !hexBytes(flags[:], b[53:55]) {
		return TraceParent{}, false
	}
	if t.TraceID == ([16]byte{}) || t.SpanID == ([8]byte{}) {
		return TraceParent{}, false
	}
	t.Flags = flags[0] & flagSampled
	return t, true
}

// NewTraceParent starts a trace, not sampled.
func NewTraceParent() TraceParent {
	var t TraceParent
	for t.TraceID == ([16]byte{}) {
		//nolint:gosec // trace ids must differ, they need not be secret
		binary.BigEndian.PutUint64(t.TraceID[:8], rand.Uint64())
		//nolint:gosec // as above
		binary.BigEndian.PutUint64(t.TraceID[8:], rand.Uint64())
	}
	t.SpanID = newSpanID()
	return t
}

// Child returns the same trace with a span id of our own.
func (t TraceParent) Child() TraceParent {
	t.SpanID = newSpanID()
	return t
}

// Sampled reports whether the trace is recorded.
func (t TraceParent) Sampled() bool { return t.Flags&flagSampled != 0 }

// Append appends the header value, 55 bytes, version 00.
func (t TraceParent) Append(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, t.TraceID[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, t.SpanID[:])
	return append(dst, '-', '0', '0'+t.Flags&flagSampled)
}

func newSpanID() (id [8]byte) {
	for id == ([8]byte{}) {
		//nolint:gosec // span ids must differ, they need not be secret
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// hexBytes decodes lower-case hexadecimal only, as the standard demands.
func hexBytes(dst, src []byte) bool {
	for i := range dst {
		hi, lo := hexDigit(src[2*i]), hexDigit(src[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
