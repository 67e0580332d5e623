package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/settings"
)

// signedFor writes a certificate for a time, and its key.
func signedFor(t *testing.T, from, to time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{"gateway.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Doctor says when a certificate ends, before it has.
func TestDoctorKnowsTheEndOfCertificates(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for _, c := range []struct {
		from, to time.Duration
		outcome  app.Outcome
		detail   string
	}{
		{-day, 90 * day, app.Passed, "is good until"},
		{-day, 7 * day, app.Warning, "ends on"},
		{-9 * day, -day, app.Failed, "ended on"},
		{day, 90 * day, app.Failed, "begins only on"},
	} {
		cert, key := signedFor(t, now.Add(c.from), now.Add(c.to))
		file := write(t, fmt.Sprintf("version: 1\nserver: { gateway: { tls: { cert: %s, key: %s } } }\n", cert, key))
		list, err := app.Doctor(t.Context(), app.Config{
			File: file, Getenv: func(string) (string, bool) { return "", false },
			Flags: settings.Flags{Data: t.TempDir(), Gateway: "127.0.0.1:0", Identity: "127.0.0.1:0", Console: "127.0.0.1:0"},
		})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range list {
			if f.Check == "gateway certificate" {
				found = f.Outcome == c.outcome && strings.Contains(f.Detail, c.detail)
			}
		}
		if !found {
			t.Errorf("from %s to %s: %+v", c.from, c.to, list)
		}
	}
}
