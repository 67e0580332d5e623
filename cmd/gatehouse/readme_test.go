package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary builds the program once for the tests of this package.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

type addresses struct {
	Gateway, Identity, Console string
	PID                        int
}

// serve starts the binary on free ports in dir until the test ends.
func serve(t *testing.T, bin, dir string, args ...string) (addresses, *exec.Cmd, *bytes.Buffer) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	args = append(args, "--gateway", "127.0.0.1:0", "--identity", "127.0.0.1:0", "--console", "127.0.0.1:0", "--ready-file", ready)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin, args...)
	cmd.Dir = dir
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	var a addresses
	deadline := time.Now().Add(time.Minute)
	for {
		if b, err := os.ReadFile(ready); err == nil && json.Unmarshal(b, &a) == nil {
			return a, cmd, &out
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("not ready after a minute\n%s\n%s", out.String(), log.String())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// step is a command of the README and the output that it shows.
type step struct {
	command string
	output  []string
}

// steps reads the console blocks of the README.
func steps(t *testing.T) []step {
	t.Helper()
	f, err := os.Open("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []step
	inside := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			all = append(all, step{command: line[2:]})
		case len(all) > 0:
			all[len(all)-1].output = append(all[len(all)-1].output, line)
		}
	}
	return all
}

// pattern turns the shown output into an expression: "…" stands for anything, runs
// of spaces for any spaces.
func pattern(lines []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for _, line := range lines {
		if line == "…" {
			b.WriteString(`.*`)
			continue
		}
		text := regexp.QuoteMeta(strings.Join(strings.Fields(line), " "))
		text = strings.ReplaceAll(text, " … ", `\s.*?\s`)
		text = strings.ReplaceAll(text, "…", `.*?`)
		b.WriteString(`\s*` + strings.ReplaceAll(text, " ", `\s+`))
	}
	b.WriteString(`\s*$`)
	return regexp.MustCompile(b.String())
}

// The quickstart is run from the README itself, and shows what the README shows.
func TestReadmeQuickstart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the binary; make test runs it")
	}
	bin := binary(t)
	dir := t.TempDir()
	all := steps(t)
	if len(all) < 6 {
		t.Fatalf("the README has %d commands", len(all))
	}
	if all[0].command != "go run ./cmd/gatehouse dev" {
		t.Fatalf("the first command is %q", all[0].command)
	}
	a, cmd, out := serve(t, bin, dir, "dev")
	there := strings.NewReplacer("http://127.0.0.1:8080", a.Gateway, "http://127.0.0.1:8081", a.Identity, "http://127.0.0.1:8082", a.Console)
	back := strings.NewReplacer(a.Gateway, "http://127.0.0.1:8080", a.Identity, "http://127.0.0.1:8081", a.Console, "http://127.0.0.1:8082")
	for _, s := range all[1:] {
		c := exec.CommandContext(t.Context(), "bash", "-c", there.Replace(s.command))
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"))
		b, err := c.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !(strings.Contains(s.command, "explain") && errors.As(err, &exit) && exit.ExitCode() == 4) {
			t.Errorf("%s: %v\n%s", s.command, err, b)
			continue
		}
		if got := back.Replace(string(b)); !pattern(s.output).MatchString(got) {
			t.Errorf("%s\nprints\n%s\nthe README shows\n%s", s.command, got, strings.Join(s.output, "\n"))
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v, want exit code 0", err)
	}
	if got := back.Replace(out.String()); !pattern(all[0].output).MatchString(got) {
		t.Errorf("dev prints\n%s\nthe README shows\n%s", got, strings.Join(all[0].output, "\n"))
	}
}

// command runs the binary and returns what it prints and its exit code.
func command(t *testing.T, bin, dir string, args ...string) (string, int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), bin, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	t.Fatal(err)
	return "", -1
}
