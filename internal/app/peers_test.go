package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// freeAddress returns an address on loopback that nobody listens on. Its port is below
// those that systems give to whoever takes any: nobody gets it before the test does.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if ln, err := lc.Listen(t.Context(), "tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// runFront runs a proxy until the test ends.
func runFront(t *testing.T, name, address string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	out := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s says:\n%s", name, out)
		}
	})
	eventually(t, name+" to listen", func() bool {
		c, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return "http://" + address
}

// missing skips a test whose proxy is not there, unless all of them have to be.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// spoofing are headers with which a client says that it is somebody else, somewhere
// else, or asks for something else.
var spoofing = []string{
	"X-User-ID", "root", "X-Client-ID", "root", "X-Granted-Scopes", "everything", "X-Gatehouse-Context", "forged", "X-Gatehouse-Omitted", "everything",
	"X-Forwarded-Uri", "/hr/health", "X-Forwarded-Method", "GET", "X-Original-URI", "/hr/health", "X-Original-Method", "GET",
	"X-Forwarded-For", "10.0.0.1", "Gatehouse-Token", "guessed", "User-Agent", "GoogleHC/1.0",
}

// attackFront sends what strangers would to a proxy that asks. Attack gateway 44, 48,
// 49, 50, 54, 57, 58 and identity 71: identity headers of a client do not reach the upstream
// in any spelling, and what it says about where it comes from or what it asks for is
// not what is decided. refused is what the proxy makes of the gateway's status.
func attackFront(t *testing.T, p *program, front string, refused func(status int) int) {
	t.Helper()
	token := p.token("vacations:read")
	got := p.request("GET", front+"/hr/vacations/ana?year=2026", token, "", spoofing...)
	if got.Status != http.StatusOK {
		t.Fatalf("allowed: %d %s", got.Status, got.Body)
	}
	headers, _ := got.json(t)["headers"].(map[string]any)
	value := func(name string) string {
		list, _ := headers[name].([]any)
		if len(list) != 1 {
			return fmt.Sprint(list)
		}
		return fmt.Sprint(list[0])
	}
	id := p.Ready().Demo.ClientID
	if value("X-Client-Id") != id || value("X-User-Id") != id || value("X-Granted-Scopes") != "vacations:read" || !strings.HasPrefix(value("X-Gatehouse-Context"), "ey") {
		t.Errorf("the upstream sees %v", headers)
	}
	if headers["Authorization"] != nil {
		t.Error("the token reached the upstream")
	}

	// Nobody is known on a public operation, whatever the client says.
	got = p.request("GET", front+"/hr/health", "", "", spoofing...)
	headers, _ = got.json(t)["headers"].(map[string]any)
	for _, name := range []string{"X-User-Id", "X-Client-Id", "X-Granted-Scopes", "X-Gatehouse-Context", "X-Gatehouse-Omitted"} {
		if list, _ := headers[name].([]any); got.Status != http.StatusOK || len(list) > 0 && fmt.Sprint(list[0]) != "" {
			t.Errorf("public: %d, %s: %v", got.Status, name, headers[name])
		}
	}

	// Another spelling of a header of ours, which some upstreams take for it: the gateway
	// refuses it, or the proxy has dropped it (nginx).
	got = p.request("GET", front+"/hr/vacations/ana", token, "", "X_User_ID", "root", "x-user_id", "root")
	if strings.Contains(got.Body, "root") || got.Status != http.StatusOK && got.Status != refused(http.StatusBadRequest) {
		t.Errorf("with underscores: %d %s", got.Status, got.Body)
	}
	for name, header := range map[string][]string{
		"two lines":       {"Authorization", "Bearer " + token, "Authorization", "Bearer x"},
		"the same twice":  {"Authorization", "Bearer " + token, "Authorization", "Bearer " + token},
		"joined":          {"Authorization", "Bearer " + token + ", Bearer " + token},
		"another scheme":  {"Authorization", "Token " + token},
		"in a cookie":     {"Cookie", "access_token=" + token},
		"in another line": {"X-Access-Token", token, "Proxy-Authorization", "Bearer " + token},
	} {
		if got := p.request("GET", front+"/hr/vacations/ana?access_token="+token, "", "", header...); got.Status != http.StatusUnauthorized && got.Status != http.StatusBadRequest {
			t.Errorf("a token, %s: %d %s", name, got.Status, got.Body)
		}
	}

	for _, c := range []struct {
		method, path, token string
		want                int
		header              []string
	}{
		{"GET", "/hr/vacations/ana", "", http.StatusUnauthorized, nil},
		{"GET", "/hr/vacations/ana", "nonsense", http.StatusUnauthorized, nil},
		{"PUT", "/hr/vacations/ana", token, http.StatusForbidden, nil},
		{"GET", "/hr/payslips", token, http.StatusNotFound, nil},
		{"GET", "/hr/health/..%2fvacations", token, http.StatusBadRequest, nil},
		{"GET", "/hr/vacations/ana;x=1", token, http.StatusBadRequest, nil},
		// The client asks that its identity, or ours, is dropped on the way.
		{"GET", "/hr/vacations/ana", token, http.StatusOK, []string{"Connection", "X-User-ID, X-Gatehouse-Context"}},
	} {
		got := p.request(c.method, front+c.path, c.token, "", append(append([]string{}, spoofing...), c.header...)...)
		want := c.want
		if want >= 400 {
			want = refused(want)
		}
		if got.Status != want || c.want == http.StatusUnauthorized && !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s %s: %d %v, want %d", c.method, c.path, got.Status, got.Header, want)
		}
		if c.want == http.StatusOK {
			headers, _ = got.json(t)["headers"].(map[string]any)
			if value("X-User-Id") != id || !strings.HasPrefix(value("X-Gatehouse-Context"), "ey") {
				t.Errorf("with %v the upstream sees %v", c.header, headers)
			}
		}
	}
}

func asItIs(status int) int { return status }
