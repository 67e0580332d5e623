package app_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The HTTP/2 lane passes every case of h2spec, over TLS.
func TestH2Spec(t *testing.T) {
	if testing.Short() {
		t.Skip("145 cases take twenty seconds; make test runs them")
	}
	tool, err := filepath.Abs("../../bin/h2spec")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
			t.Fatal("bin/h2spec is missing: make bin/h2spec")
		}
		t.Skip("bin/h2spec is not built; make test builds it")
	}
	// The cases need an answer with a body that does not come at once.
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(30 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, strings.Repeat("body ", 100))
	}))
	defer up.Close()
	cert, key, _ := selfSigned(t)
	p := start(t, write(t, fmt.Sprintf(`version: 1
server:
  gateway: { tls: { cert: %s, key: %s } }
apis:
  s:
    upstream: %s
    auth: public
    routes:
      "* /*": public
`, cert, key, up.URL)))
	u, err := url.Parse(p.Ready().Gateway)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	out, err := exec.CommandContext(t.Context(), tool, "-h", "127.0.0.1", "-p", u.Port(), "-t", "-k", "-P", "/", "-o", "30", "-j", report).CombinedOutput()
	b, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("%v %v\n%s", err, readErr, out)
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Package string    `xml:"package,attr"`
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	total, passed, skipped := 0, 0, 0
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			name := c.Package + " " + c.Name
			total++
			switch {
			case c.Skipped != nil:
				skipped++
			case c.Failure == nil && c.Error == nil:
				passed++
			default:
				t.Errorf("fails: %q", name)
			}
		}
	}
	if total < 100 {
		t.Fatalf("h2spec ran %d cases\n%s", total, out)
	}
	t.Logf("h2spec: %d of %d pass, %d skipped", passed, total, skipped)
	if t.Failed() {
		t.Logf("%s", out)
	}
}
