package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

func TestLoadSaysWhatIsMissing(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		"":                                  "--config FILE",
		filepath.Join(folder, "none.yaml"):  "gatehouse init",
		folder:                              "holds no *.yaml",
		filepath.Join(folder, "x", "y.yml"): "no such file",
	} {
		if _, problems := Load(Options{Path: path}); len(problems) != 1 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%q: %v", path, problems)
		}
	}
}

// What is read is bounded, and refusing it is quick.
func TestBounds(t *testing.T) {
	o := testOptions()
	big := strings.Repeat("x", mostReference-1)
	o.Env = func(string) (string, bool) { return big, true }
	for name, text := range map[string]string{
		"larger than a file":   "# " + strings.Repeat("x", MaxFileBytes),
		"brackets":             strings.Repeat("[", 1<<20),
		"braces":               strings.Repeat("{a: ", 1<<18),
		"dashes":               strings.Repeat("- ", 1<<20),
		"indentation":          "version: 1\nissuers:\n" + nested(1000),
		"aliases":              "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
		"keys":                 "version: 1\napis:\n" + keys(mostKeys+1),
		"what references hold": "version: 1\ntests:\n" + strings.Repeat("  - ${env:BIG}\n", 200),
	} {
		began := spent(t)
		_, problems := Parse("big.yaml", []byte(text), o)
		if len(problems) == 0 || len(problems) > MaxProblems {
			t.Errorf("%s: %d problems", name, len(problems))
		}
		took := spent(t) - began
		t.Logf("%s: %v, %s", name, took.Round(time.Millisecond), problems[0].Message)
		if took > 20*time.Second {
			t.Errorf("%s: refused after %v", name, took)
		}
		if len(problems.Error()) > 1000 {
			t.Errorf("%s: a message of %d bytes", name, len(problems.Error()))
		}
	}
}

// All references together are bounded too.
func TestReferencesAreBoundedTogether(t *testing.T) {
	o := testOptions()
	big := strings.Repeat("x", mostReference-1)
	o.Env = func(string) (string, bool) { return big, true }
	_, problems := Parse("big.yaml", []byte("version: 1\nissuers: { a: { builtin: a } }\nserver: { data: \""+strings.Repeat("${env:BIG}", 200)+"\" }\n"), o)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "bring in more than 8 MiB") {
		t.Errorf("%v", problems)
	}
}

// Should a message ever repeat a value from outside, it is taken out at the end.
func TestScrub(t *testing.T) {
	c := compilation{brought: []brought{{canary, "${env:SECRET}"}}}
	c.problems = Problems{{Message: "cannot use " + canary, Suggestion: canary}}
	p := c.finish()[0]
	if p.Message != "cannot use ${env:SECRET}" || p.Suggestion != "${env:SECRET}" {
		t.Errorf("%+v", p)
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  a%d: x\n", i)
	}
	return b.String()
}

// References bring in text and never structure (a value cannot become a key, a
// list or another document).
func TestReferencesBringNoStructure(t *testing.T) {
	o := testOptions()
	o.Env = func(string) (string, bool) { return "x\nauth: public\nroutes: {}", true }
	_, problems := Parse("a.yaml", []byte("version: 1\nissuers: { a: { builtin: a } }\napis:\n  o:\n    upstream: http://u\n    auth: a\n    host: ${env:X}\n    routes: { GET /x: \"${env:X}\" }\n"), o)
	if len(problems) != 2 {
		t.Errorf("%v", problems)
	}
	o.Env = func(string) (string, bool) { return "[s, t]", true }
	file, problems := Parse("a.yaml", []byte("version: 1\nissuers: { a: { builtin: a } }\napis:\n  o:\n    upstream: http://u\n    auth: a\n    routes: { GET /x: { scopes: [\"${env:X}\", \"$${env:X}\"] } }\n"), o)
	if file != nil || !strings.Contains(problems.Error(), "a scope is printable") {
		t.Errorf("%v", problems)
	}
}

// An issuer over http is for loopback, and for developers.
func TestIssuersOverHTTP(t *testing.T) {
	text := []byte("version: 1\nissuers: { a: { url: \"http://keycloak:8080/realms/x\", audience: x }, b: { url: \"http://localhost:1\", audience: x } }\n")
	if _, problems := Parse("a.yaml", text, Options{}); len(problems) != 1 || problems[0].Path != "issuers.a.url" {
		t.Errorf("%v", problems)
	}
	if _, problems := Parse("a.yaml", text, Options{Dev: true}); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}

func TestScopesOfBuiltinServers(t *testing.T) {
	text := []byte("version: 1\nissuers: { own: { builtin: default }, okta: { url: \"https://x.test\", audience: x } }\napis:\n  o: { upstream: http://u, auth: own, routes: { GET /x: { scopes: [[\"orders:raed\"], [\"orders:write\"]] } } }\n  p: { base_path: /p, upstream: http://u, auth: [own, okta], routes: { GET /x: other } }\n")
	_, problems := Parse("a.yaml", text, Options{Scopes: map[string][]string{"default": {"orders:read", "orders:write"}}})
	if len(problems) != 1 || problems[0].Suggestion != "orders:read" || problems[0].Line != 4 {
		t.Errorf("%v", problems)
	}
	if _, problems := Parse("a.yaml", text, Options{}); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}

func TestProblemsAsJSONAndFault(t *testing.T) {
	_, problems := Parse("a.yaml", []byte("version: 1\napi: {}\n"), Options{})
	raw, err := json.Marshal(problems)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"file":"a.yaml","line":2,"column":1,"path":"api","message":"unknown key \"api\": did you mean apis?","did_you_mean":"apis","source":"api: {}","width":3}]`
	if string(raw) != want {
		t.Errorf("%s", raw)
	}
	if f := fault.Of(problems.Fault()); f == nil || f.Code != fault.Invalid || f.Fields[0].Path != "api" {
		t.Errorf("%v", f)
	}
	if problems = nil; problems.Err() != nil || problems.Fault() != nil {
		t.Error("no problems are an error")
	}
}

// Ten thousand routes are read in a moment.
func TestManyRoutes(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nissuers: { a: { builtin: a } }\napis:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  api%d:\n    base_path: /api%d\n    upstream: http://u\n    auth: a\n    routes:\n", i, i)
		for j := range 100 {
			fmt.Fprintf(&b, "      GET /r%d/{id}: s:%d\n", j, j)
		}
	}
	began := spent(t)
	file, problems := Parse("many.yaml", []byte(b.String()), Options{})
	if len(problems) > 0 || len(file.Declared.APIs) != 100 {
		t.Fatal(problems)
	}
	took := spent(t) - began
	t.Logf("%d KiB in %v", b.Len()>>10, took)
	if took > 15*time.Second {
		t.Errorf("reading 10,000 routes took %v", took)
	}
}

func TestLoadReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, Starter(), 0o600); err != nil {
		t.Fatal(err)
	}
	file, problems := Load(Options{Path: path})
	if len(problems) > 0 || file.Files[0] != path || len(file.Digest) != 64 {
		t.Fatal(problems, file)
	}
}

// What is no regular file is not read: a device never ends, and a pipe waits for ever.
func TestReferencesAreRegularFiles(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/dev/zero": "/dev/zero is no regular file", filepath.Dir(big): "is no regular file", big: "holds more than 64 KiB"} {
		_, problems := Parse("gatehouse.yaml", []byte("version: 1\nserver: { data: \"${file:"+path+"}\" }\n"), Options{})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %v", path, problems)
		}
	}
}
