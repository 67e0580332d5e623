// Package telemetry is the door to slog, Prometheus and OpenTelemetry, and says
// how healthy a process is: the logger, the access log, metrics with bounded
// labels, trace context and spans, health.
//
// Everything here is given what to record and decides nothing. Recording never
// blocks and never fails a request: a sink that is slow or broken costs records,
// and the loss is counted. The package must not know requests, routes,
// configuration or stores, and imports only fault and tenant of ours. There is
// no global registry, provider or logger: each thing is made by a constructor
// and handed to who needs it.
package telemetry

import (
	"io"
	"log/slog"
	"strings"

	"gatehouse/internal/fault"
)

// LogConfig says how the process logs.
type LogConfig struct {
	Writer io.Writer
	Level  string // debug, info (default), warn, error
	Format string // json (default) or text
}

// NewLogger returns the process's logger. Attributes whose names say that they
// hold a secret are written as [redacted], whoever logs them (see Redact).
// An unknown level or format is a fault of code Invalid.
func NewLogger(c LogConfig) (*slog.Logger, error) {
	level := slog.LevelInfo
	if c.Level != "" {
		if err := level.UnmarshalText([]byte(c.Level)); err != nil {
			return nil, fault.New(fault.Invalid, "log level %q is unknown: use debug, info, warn or error", c.Level)
		}
	}
	w := c.Writer
	if w == nil {
		w = io.Discard
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: Redact}
	switch c.Format {
	case "", "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return nil, fault.New(fault.Invalid, "log format %q is unknown: use json or text", c.Format)
}

// redacted stands where a secret would have been.
const redacted = "[redacted]"

// Redact is a slog ReplaceAttr: it hides the value of an attribute whose name
// says that it is a secret (see SecretName), and what looks like a token inside
// any text, an error's included. It is the second line of defence: code does
// not log secrets in the first place.
func Redact(_ []string, a slog.Attr) slog.Attr {
	if SecretName(a.Key) {
		return slog.String(a.Key, redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); mayHoldSecret(s) {
			a.Value = slog.StringValue(RedactText(s))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok && err != nil {
			if s := err.Error(); mayHoldSecret(s) {
				a.Value = slog.StringValue(RedactText(s))
			}
		}
	default: // numbers, times, durations, booleans hold none; groups are visited one by one
	}
	return a
}

// SecretName reports whether a header, field or attribute of this name holds a
// secret: authorization, cookies, passwords, secrets, tokens, keys, assertions.
// Case and the difference of '-' and '_' do not matter.
func SecretName(name string) bool {
	n := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	switch n {
	case "authorization", "proxy_authorization", "cookie", "set_cookie", "dpop", "x_gatehouse_context",
		"token", "code", "code_verifier", "assertion", "otp", "passcode", "private_key", "pem":
		return true
	}
	for _, end := range []string{"password", "secret", "_token", "api_key", "apikey", "_assertion"} {
		if strings.HasSuffix(n, end) {
			return true
		}
	}
	return false
}

// mayHoldSecret is a cheap first look that lets almost every text through.
func mayHoldSecret(s string) bool {
	return strings.Contains(s, "eyJ") || containsFold(s, "bearer ") || containsFold(s, "basic ") ||
		containsFold(s, "ssws ") || containsFold(s, "dpop ")
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// RedactText returns s with everything that looks like a JSON Web Token (eyJ...)
// and every credential behind an authorization scheme replaced by [redacted].
func RedactText(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := schemeAt(s, i); n > 0 {
			end := wordEnd(s, i+n)
			if end > i+n {
				b.WriteString(s[i : i+n])
				b.WriteString(redacted)
				i = end
				continue
			}
		}
		if strings.HasPrefix(s[i:], "eyJ") {
			if end := wordEnd(s, i); end-i >= 16 {
				b.WriteString(redacted)
				i = end
				continue
			}
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// schemeAt returns the length of an authorization scheme and its space at i, or 0.
func schemeAt(s string, i int) int {
	if i > 0 && isTokenByte(s[i-1]) {
		return 0
	}
	for _, scheme := range []string{"bearer ", "basic ", "ssws ", "dpop "} {
		if len(s)-i >= len(scheme) && strings.EqualFold(s[i:i+len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// wordEnd returns the end of the run of token68 bytes that begins at i.
func wordEnd(s string, i int) int {
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return i
}

// isTokenByte reports a byte of token68 (RFC 9110 section 11.2).
func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-._~+/=", c) >= 0
}
