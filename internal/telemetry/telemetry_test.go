package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// attack gateway 72: no token, key, cookie or password reaches a log.
func TestLoggerHidesSecrets(t *testing.T) {
	const canary = "CANARY-4711"
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmEifQ." + canary
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		log, err := NewLogger(LogConfig{Writer: &b, Format: format, Level: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("got "+"it",
			slog.String("authorization", canary), slog.String("Set-Cookie", canary), slog.String("client_secret", canary),
			slog.String("X-API-Key", canary), slog.String("refresh_token", canary), slog.Any("password", []byte(canary)),
			slog.Group("request", slog.String("cookie", canary), slog.String("header", "Bearer "+canary)),
			slog.Any("error", errors.New("upstream said: invalid token "+jwt+", go away")),
			slog.String("line", "Authorization: SSWS "+canary), slog.String("kept", "forbearer of news"), slog.Int("status", 200),
		)
		out := b.String()
		if strings.Contains(out, canary) || strings.Contains(out, "eyJhbG") {
			t.Errorf("%s: a secret is in the log: %s", format, out)
		}
		for _, kept := range []string{"forbearer of news", "200", "go away", "got it"} {
			if !strings.Contains(out, kept) {
				t.Errorf("%s: %q is not in the log: %s", format, kept, out)
			}
		}
	}
}

func TestRedactText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                               "plain",
		"Bearer abc.def~x+/==, next":          "Bearer [redacted], next",
		"bEARER abc":                          "bEARER [redacted]",
		"overbearer abc":                      "overbearer abc",
		"Bearer ":                             "Bearer ",
		"tok eyJhbGciOiJub25lIn0.e30.sig end": "tok [redacted] end",
		"eyJ short":                           "eyJ short",
		"DPoP xyz and Basic dXNlcjpw":         "DPoP [redacted] and Basic [redacted]",
	} {
		if got := RedactText(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestLogSettings(t *testing.T) {
	if _, err := NewLogger(LogConfig{Level: "loud"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("level: %v", err)
	}
	if _, err := NewLogger(LogConfig{Format: "xml"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("format: %v", err)
	}
	var b bytes.Buffer
	log, err := NewLogger(LogConfig{Writer: &b, Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud")
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"msg":"loud"`) {
		t.Errorf("log: %s", got)
	}
}
