// Package fault is the one error type of Gatehouse.
//
// Inside, an error is made once with New (or taken from a library) and wrapped
// once per layer with the operation that failed. At each edge one function
// turns it into that protocol's answer: a problem document, an RFC 6749 error,
// an Okta error, a page. What has no code is "internal" outside and whole in
// the log. The package must know no protocol and imports nothing of ours.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure it is. Edges map codes to status codes.
type Code uint8

// The codes. Internal is the zero value: what nobody has classified.
const (
	Internal        Code = iota
	Invalid              // the input is wrong; Fields may say where
	Unauthenticated      // who is calling is not known
	Denied               // known, but may not
	NotFound             // there is no such thing, or not for this caller
	Conflict             // it exists already, or something still refers to it
	Stale                // the object has changed since the caller read it
	TooLarge             // over a limit of size or depth
	RateLimited          // over a limit of rate
	Unsupported          // valid, but this version cannot do it
	Unavailable          // something that this needs is down
	Timeout              // something that this needs is too slow
	Full                 // no space is left to store it
)

var codeNames = [...]string{
	Internal: "internal", Invalid: "invalid", Unauthenticated: "unauthenticated", Denied: "denied",
	NotFound: "not found", Conflict: "conflict", Stale: "stale", TooLarge: "too large",
	RateLimited: "rate limited", Unsupported: "not supported", Unavailable: "unavailable",
	Timeout: "timeout", Full: "no space left",
}

// String returns the code in words.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "internal"
}

// Field is one thing that is wrong with an input.
type Field struct {
	Path    string // where, as a dotted path such as "apis.orders.limit"
	Message string // what is wrong and what to do, lower-case, no trailing period
}

// Error is a failure that a caller may be told about.
type Error struct {
	Code    Code
	Reason  string // stable machine-readable reason such as "missing_scope"; may be empty
	Message string // for the caller: what happened and what to do; holds no secret
	Fields  []Field
	Cause   error // for the log only
}

// New returns an error with a code and a text that the caller may see.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns an error that keeps cause for the log and shows the text to the caller.
func Because(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// WithReason returns a copy of e with the machine-readable reason.
func (e *Error) WithReason(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

// WithFields returns a copy of e with the field errors added.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), fields...)
	return &c
}

// Error returns the whole of it, the cause included: it is for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Message == "" {
		b.WriteString(e.Code.String())
	}
	for i, f := range e.Fields {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(f.Path)
		b.WriteString(": ")
		b.WriteString(f.Message)
	}
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Wrap adds the operation to *errp when it is not nil. Use it deferred:
//
//	defer fault.Wrap(&err, "load snapshot %q", path)
func Wrap(errp *error, format string, args ...any) {
	if *errp != nil {
		*errp = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *errp)
	}
}

// CodeOf returns the code of the first fault in err's chain, or Internal.
func CodeOf(err error) Code {
	if e := Of(err); e != nil {
		return e.Code
	}
	return Internal
}

// Of returns the first fault in err's chain, or nil.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Is reports whether err carries a fault with the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
