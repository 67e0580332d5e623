package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The environment and the files of the tests. "canary" must never be seen.
const canary = "c4n4ry-value"

func testOptions() Options {
	env := map[string]string{
		"PGPASSWORD": canary, "LEVEL": canary, "EMPTY": "", "NAME": "x", "SECRET": canary, "CONTROL": "a\n\x07b",
		"ISSUER": "https://acme.okta.com/oauth2/aus1", "AUDIENCE": "api://from-outside",
	}
	files := map[string]string{"/run/upstream": "http://10.0.0.3:9000\n", "/run/secrets/partner": canary, "/run/decide": canary + canary + canary}
	return Options{
		Env: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
		ReadFile: func(path string) ([]byte, error) {
			if s, ok := files[path]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func inputs(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no inputs in %s: %v", folder, err)
	}
	return append(found, filepath.Join(folder, "folder"))
}

// Everything that is refused, with the message it gets.
func TestRefused(t *testing.T) {
	for _, path := range inputs(t, "testdata/bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			o := testOptions()
			o.Path = path
			file, problems := Load(o)
			if file != nil || len(problems) == 0 {
				t.Fatal("accepted")
			}
			var b bytes.Buffer
			if err := problems.Print(&b, false); err != nil {
				t.Fatal(err)
			}
			asJSON, err := json.Marshal(problems)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{canary, "hunter"} {
				if strings.Contains(b.String()+string(asJSON)+problems.Error(), secret) {
					t.Errorf("a problem shows the secret %q:\n%s", secret, b.String())
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", b.Bytes())
		})
	}
}

// What valid files mean.
func TestAccepted(t *testing.T) {
	for _, path := range inputs(t, "testdata/good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			o := testOptions()
			o.Path = path
			compareFile(t, o, strings.TrimSuffix(path, ".yaml")+".json")
		})
	}
}

// The whole grammar of the contract is read, also what cannot be served yet.
func TestWholeGrammar(t *testing.T) {
	o := testOptions()
	o.Path, o.builtAll = "testdata/whole.yaml", true
	o.Elsewhere = true // the contract's example names no files of places
	compareFile(t, o, "testdata/whole.json")
}

func compareFile(t *testing.T, o Options, want string) {
	t.Helper()
	file, problems := Load(o)
	if len(problems) > 0 {
		var b bytes.Buffer
		_ = problems.Print(&b, false)
		t.Fatalf("refused:\n%s", b.String())
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		t.Fatal(err)
	}
	golden(t, want, b.Bytes())
}

func TestStarterIsValid(t *testing.T) {
	file, problems := Parse("gatehouse.yaml", Starter(), testOptions())
	if len(problems) > 0 || len(file.Tests) != 4 {
		t.Fatal(problems)
	}
}
