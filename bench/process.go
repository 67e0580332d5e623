//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of the times in /proc/<pid>/stat. The kernel shows
// them to programs in hundredths of a second on every platform Go runs on.
const ticksPerSecond = 100

// process is a program that the benchmark started and will end, by its id alone.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
	log  string        // path of what it wrote
}

// startProcess runs argv on the given cores, with its output in the file log.
// The program ends with the context, or with this program, whichever is first.
func startProcess(ctx context.Context, name, cores, log string, env []string, argv ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", cores}, argv...)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{}), log: log}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the program to end and, after five seconds, ends it and its workers.
func (p *process) stop() {
	workers, _ := tree(p.cmd.Process.Pid)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		for _, s := range workers {
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
		}
		<-p.done
	}
}

// ended returns an error with the end of the program's output when it is not running.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%w); its last words:\n%s", p.name, errors.Join(p.err, errEnded), p.tail())
	default:
		return nil
	}
}

var errEnded = errors.New("it should have gone on")

// tail returns the last 2 KiB of what the program wrote.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2048):])
}

// cpu returns the processor time that the program and its workers have used so far.
func (p *process) cpu() (time.Duration, error) {
	stats, err := tree(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	var ticks uint64
	for _, s := range stats {
		ticks += s.ticks
	}
	return time.Duration(ticks) * (time.Second / ticksPerSecond), nil
}

// rss returns the resident memory in bytes of the program and its workers.
// Pages that several processes share are counted in each.
func (p *process) rss() (int64, error) {
	stats, err := tree(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range stats {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.pid), "status"))
		if err != nil {
			continue // ended in between
		}
		n, err := parseRSS(b)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// stat is what is read of /proc/<pid>/stat.
type stat struct {
	pid, parent int
	ticks       uint64 // user and system time, its own and that of children it has waited for
}

// parseStat reads /proc/<pid>/stat. The program's name in it may hold anything, so the fields count from
// the last parenthesis (proc(5)).
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return stat{}, fmt.Errorf("no program name in %q", b)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:open])))
	if err != nil {
		return stat{}, fmt.Errorf("process id: %w", err)
	}
	f := strings.Fields(string(b[end+1:])) // f[0] is field 3, the state
	if len(f) < 15 {
		return stat{}, fmt.Errorf("%d fields after the name, want 15 or more", len(f))
	}
	s := stat{pid: pid}
	if s.parent, err = strconv.Atoi(f[1]); err != nil {
		return stat{}, fmt.Errorf("parent: %w", err)
	}
	for _, v := range f[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("processor time: %w", err)
		}
		s.ticks += n
	}
	return s, nil
}

// parseRSS finds VmRSS in /proc/<pid>/status and returns it in bytes; a process without memory has none.
func parseRSS(b []byte) (int64, error) {
	_, rest, ok := strings.Cut(string(b), "\nVmRSS:")
	if !ok {
		return 0, nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("VmRSS: %w", err)
	}
	return n << 10, nil
}

// tree returns the process and all below it.
func tree(root int) ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat)
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // ended in between
		}
		s, err := parseStat(b)
		if err != nil {
			return nil, fmt.Errorf("/proc/%s/stat: %w", e.Name(), err)
		}
		all[s.pid] = s
	}
	if _, ok := all[root]; !ok {
		return nil, fmt.Errorf("process %d has ended", root)
	}
	return below(all, root), nil
}

// below returns the process and its descendants out of all processes.
func below(all map[int]stat, root int) []stat {
	found := []stat{all[root]}
	for i := 0; i < len(found); i++ {
		for _, s := range all {
			if s.parent == found[i].pid && s.pid != root {
				found = append(found, s)
			}
		}
	}
	return found
}
