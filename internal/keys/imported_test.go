package keys

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

func TestImportedHashes(t *testing.T) {
	p := NewPasswords(PasswordConfig{MemoryKiB: 64, Iterations: 1, Lanes: 1})
	enc := base64.StdEncoding
	derived, err := hex.DecodeString("c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a") // password, salt, 4096
	if err != nil {
		t.Fatal(err)
	}
	salt := enc.EncodeToString([]byte("salt"))
	sum1, sum256, sum512 := sha1.Sum([]byte("pw")), sha256.Sum256([]byte("saltpw")), sha512.Sum512([]byte("pwsalt"))
	for _, c := range []struct {
		password string
		hash     ImportedHash
	}{
		{"U*U", ImportedHash{Algorithm: "BCRYPT", Work: 5, Salt: "CCCCCCCCCCCCCCCCCCCCC.", Value: "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}},
		{"password", ImportedHash{Algorithm: "PBKDF2", Digest: "SHA256_HMAC", Rounds: 4096, KeySize: 32, Salt: salt, Value: enc.EncodeToString(derived)}},
		{"pw", ImportedHash{Algorithm: "SHA-1", Value: enc.EncodeToString(sum1[:])}},
		{"pw", ImportedHash{Algorithm: "SHA-256", Salt: salt, SaltOrder: "PREFIX", Value: enc.EncodeToString(sum256[:])}},
		{"pw", ImportedHash{Algorithm: "SHA-512", Salt: salt, SaltOrder: "POSTFIX", Value: enc.EncodeToString(sum512[:])}},
	} {
		v, err := c.hash.Verifier()
		if err != nil || !IsVerifier(v) {
			t.Errorf("%s: %v", c.hash.Algorithm, err)
			continue
		}
		if ok, rehash, err := p.Check(t.Context(), v, c.password); !ok || !rehash || err != nil {
			t.Errorf("%s: the password: %v %v %v", c.hash.Algorithm, ok, rehash, err)
		}
		if ok, rehash, err := p.Check(t.Context(), v, c.password+"x"); ok || rehash || err != nil {
			t.Errorf("%s: another one: %v %v %v", c.hash.Algorithm, ok, rehash, err)
		}
	}
	for name, h := range map[string]ImportedHash{
		"no algorithm":    {Value: "x"},
		"MD5":             {Algorithm: "MD5", Value: enc.EncodeToString(make([]byte, 16))},
		"work too high":   {Algorithm: "BCRYPT", Work: 20, Salt: "CCCCCCCCCCCCCCCCCCCCC.", Value: "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		"short salt":      {Algorithm: "BCRYPT", Work: 10, Salt: "CCCC", Value: "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		"few rounds":      {Algorithm: "PBKDF2", Digest: "SHA256_HMAC", Rounds: 1, KeySize: 32, Salt: salt, Value: enc.EncodeToString(derived)},
		"many rounds":     {Algorithm: "PBKDF2", Digest: "SHA256_HMAC", Rounds: 1 << 30, KeySize: 32, Salt: salt, Value: enc.EncodeToString(derived)},
		"another key":     {Algorithm: "PBKDF2", Digest: "SHA256_HMAC", Rounds: 4096, KeySize: 64, Salt: salt, Value: enc.EncodeToString(derived)},
		"PBKDF2 of SHA-1": {Algorithm: "PBKDF2", Digest: "SHA1_HMAC", Rounds: 4096, KeySize: 32, Salt: salt, Value: enc.EncodeToString(derived)},
		"no order":        {Algorithm: "SHA-256", Salt: salt, Value: enc.EncodeToString(sum256[:])},
		"short value":     {Algorithm: "SHA-256", Value: "AAAA"},
		"a dollar":        {Algorithm: "SHA-256", Salt: "a$b", SaltOrder: "PREFIX", Value: enc.EncodeToString(sum256[:])},
	} {
		if v, err := h.Verifier(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %q %v", name, v, err)
		}
	}
}

func FuzzParseImported(f *testing.F) {
	f.Add("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Add("$pbkdf2-sha256$4096$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=")
	f.Add("$sha1$none$$0Of0r5wvFVBHbE5BW8CpyQG3+Hs=")
	f.Fuzz(func(t *testing.T, v string) {
		if h, err := parseImported(v); err == nil && h.check == nil {
			t.Errorf("%q is good and checks nothing", v)
		}
	})
}

func TestBreachedPasswords(t *testing.T) {
	folder := t.TempDir()
	put := func(name, content string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var lines, known []string
	for i := range 3000 {
		password := fmt.Sprintf("password %d", i)
		sum := sha1.Sum([]byte(password))
		lines = append(lines, strings.ToUpper(hex.EncodeToString(sum[:]))+fmt.Sprintf(":%d", i*i))
		known = append(known, password)
	}
	slices.Sort(lines)
	for name, content := range map[string]string{
		"hashes": strings.Join(lines, "\n") + "\n", "windows": strings.Join(lines, "\r\n"), "lower": strings.ToLower(strings.Join(lines, "\n")),
		"plain": strings.Join(known, "\r\n"), "one": lines[0],
	} {
		list, err := OpenBreached(put(name, content))
		if err != nil {
			t.Fatal(name, err)
		}
		for i, password := range known {
			sum := sha1.Sum([]byte(password))
			want := name != "one" || strings.HasPrefix(lines[0], strings.ToUpper(hex.EncodeToString(sum[:])))
			if got, err := list.Contains(password); got != want || err != nil {
				t.Fatalf("%s: %q (%d): %v %v", name, password, i, got, err)
			}
			if got, err := list.Contains(password + "!"); got || err != nil {
				t.Fatalf("%s: %q!: %v %v", name, password, got, err)
			}
		}
		if err := list.Close(); err != nil {
			t.Error(err)
		}
	}
	slices.Reverse(lines)
	if _, err := OpenBreached(put("unsorted", strings.Join(lines, "\n"))); !fault.Is(err, fault.Invalid) {
		t.Errorf("a list that is not sorted: %v", err)
	}
	if _, err := OpenBreached(filepath.Join(folder, "nothing")); err == nil {
		t.Error("a list that is not there")
	}
}
