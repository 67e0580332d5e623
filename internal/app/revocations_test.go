package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
	"gatehouse/internal/revocation"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

func newLog(path string) *revocationLog {
	return &revocationLog{path: path, set: revocation.New(revocation.Config{}), now: time.Now}
}

func revoked(jti string) cluster.Revocation {
	return cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: "i", Value: jti}
}

func (l *revocationLog) has(jti string) bool {
	k := l.set.KeysOf(tenant.Default, &verify.Token{Issuer: "i", ID: jti}, "h", "")
	return l.set.Names(&k, 0) != ""
}

func listOf(list ...cluster.Revocation) iter.Seq2[cluster.Revocation, error] {
	return func(yield func(cluster.Revocation, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// What is in force is what the file says after a restart: also what was told while
// the store was read, what was taken back, and not a line that was half-written.
func TestRevocationsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations.jsonl")
	l := newLog(path)
	if known, err := l.recall(); known || err != nil || l.set.Known() {
		t.Fatal(known, err)
	}
	lifted := func(r cluster.Revocation) cluster.Revocation { r.Lifted = true; return r }
	tell := func(r cluster.Revocation) {
		t.Helper()
		if err := l.Revoked(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	over := revoked("over")
	over.Expires = time.Now().Add(-time.Second)
	err := l.replace(func(yield func(cluster.Revocation, error) bool) {
		_ = yield(revoked("stored"), nil) && yield(revoked("stored, then taken back"), nil) && yield(over, nil)
		tell(revoked("meanwhile"))
		tell(lifted(revoked("stored, then taken back")))
	})
	if err != nil {
		t.Fatal(err)
	}
	tell(revoked("later"))
	tell(revoked("later, then taken back"))
	tell(lifted(revoked("later, then taken back")))
	tell(revoked("twice"))
	tell(lifted(revoked("twice")))
	tell(revoked("twice"))
	l.close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, `{"tenant":"default","ki`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := newLog(path)
	if known, err := again.recall(); !known || err != nil || !again.set.Known() {
		t.Fatal(known, err)
	}
	for _, l := range []*revocationLog{l, again} {
		for jti, want := range map[string]bool{
			"stored": true, "meanwhile": true, "later": true, "twice": true,
			"stored, then taken back": false, "later, then taken back": false, "never": false,
		} {
			if got := l.has(jti); got != want {
				t.Errorf("%s: %v", jti, got)
			}
		}
	}
	if again.has("over") {
		t.Error("what has expired was read again")
	}
	if err := os.WriteFile(path, []byte("{\n"+string(b)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newLog(path).recall(); err == nil {
		t.Error("a broken line in the middle was passed over")
	}
}

// A store that breaks off changes neither what is in force nor the file.
func TestRevocationsOfABrokenStore(t *testing.T) {
	dir := t.TempDir()
	l := newLog(filepath.Join(dir, "revocations.jsonl"))
	if err := l.replace(listOf(revoked("a"))); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the store has gone")
	err := l.replace(func(yield func(cluster.Revocation, error) bool) {
		_ = yield(revoked("b"), nil) && yield(cluster.Revocation{}, broken)
	})
	if !errors.Is(err, broken) || !l.has("a") || l.has("b") {
		t.Errorf("%v", err)
	}
	if err := l.Revoked(t.Context(), revoked("c")); err != nil {
		t.Fatal(err)
	}
	again := newLog(l.path)
	if _, err := again.recall(); err != nil || !again.has("a") || again.has("b") || !again.has("c") {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v is left in the folder", list)
	}
}

// /readyz says which mode the list of revocations is in.
func TestRevocationStatus(t *testing.T) {
	l := newLog(filepath.Join(t.TempDir(), "revocations.jsonl"))
	l.set = revocation.New(revocation.Config{Max: 16})
	if s := l.status(t.Context()); s.State != telemetry.Failing || !strings.Contains(s.Detail, "503") {
		t.Errorf("unknown: %+v", s)
	}
	if err := l.replace(listOf()); err != nil {
		t.Fatal(err)
	}
	if s := l.status(t.Context()); s.State != telemetry.OK || s.Detail != "0 of 16" {
		t.Errorf("empty: %+v", s)
	}
	var refused error
	for i := 0; refused == nil; i++ {
		refused = l.Revoked(t.Context(), revoked(fmt.Sprint(i)))
	}
	if s := l.status(t.Context()); s.State != telemetry.Degraded || !strings.Contains(s.Detail, "15 of 16") || !strings.Contains(refused.Error(), "not in force") {
		t.Errorf("full: %+v, %v", s, refused)
	}
}

// What a change of a user or an app takes back, and what it does not.
func TestWhatChangesTakeBack(t *testing.T) {
	user := func(status directory.Status, changed int) json.RawMessage {
		return encode(t, directory.User{Status: status, Password: "$argon2id$x", PasswordChanged: time.Unix(int64(changed), 0).UTC()})
	}
	active := user(directory.Active, 1)
	for name, c := range map[string]struct {
		change ledger.Change
		want   bool
	}{
		"suspended":            {ledger.Change{Before: active, After: user(directory.Suspended, 1)}, true},
		"deprovisioned":        {ledger.Change{Before: active, After: user(directory.Deprovisioned, 1)}, true},
		"password reset":       {ledger.Change{Before: active, After: user(directory.Recovery, 1)}, true},
		"password expired":     {ledger.Change{Before: active, After: user(directory.PasswordExpired, 1)}, true},
		"deleted":              {ledger.Change{Before: active}, true},
		"password set anew":    {ledger.Change{Before: active, After: user(directory.Active, 2), ID: "u"}, true},
		"by the user":          {ledger.Change{Before: active, After: user(directory.Active, 2), ID: "u", Actor: ledger.Actor{ID: "u"}}, false},
		"locked out":           {ledger.Change{Before: active, After: user(directory.LockedOut, 1)}, false},
		"active again":         {ledger.Change{Before: user(directory.Suspended, 1), After: active}, false},
		"nothing that matters": {ledger.Change{Before: active, After: active}, false},
	} {
		if why, err := userLost(&c.change); err != nil || (why != "") != c.want {
			t.Errorf("%s: %q %v", name, why, err)
		}
	}
	on, off := encode(t, access.App{Status: access.Active}), encode(t, access.App{Status: access.Inactive})
	for name, c := range map[string]struct {
		change ledger.Change
		want   bool
	}{
		"deactivated": {ledger.Change{Before: on, After: off}, true}, "deleted": {ledger.Change{Before: off}, true},
		"changed": {ledger.Change{Before: on, After: on}, false}, "activated": {ledger.Change{Before: off, After: on}, false},
	} {
		if why, err := appLost(&c.change); err != nil || (why != "") != c.want {
			t.Errorf("app %s: %q %v", name, why, err)
		}
	}
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
