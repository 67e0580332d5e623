//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cores says who runs where: the server under measurement has cores of its own,
// and the load generators share the others with the origin.
type cores struct {
	server, load           string // as taskset -c reads them
	serverCount, loadCount int
}

// divide gives the measured server the first n of the cores this process may
// use, or half of them but at most four, and the load the rest. A machine with one core shares it.
func divide(n int) (cores, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return cores{}, err
	}
	_, rest, _ := strings.Cut(string(b), "\nCpus_allowed_list:")
	line, _, _ := strings.Cut(rest, "\n")
	allowed, err := parseCores(strings.TrimSpace(line))
	if err != nil {
		return cores{}, fmt.Errorf("cores of this process: %w", err)
	}
	return split(allowed, n)
}

func split(allowed []int, n int) (cores, error) {
	if n == 0 {
		n = min(4, max(1, len(allowed)/2))
	}
	if n > len(allowed) {
		return cores{}, fmt.Errorf("%d cores are asked for and %d are there", n, len(allowed))
	}
	server, load := allowed[:n], allowed[n:]
	if len(load) == 0 {
		load = allowed
	}
	return cores{server: list(server), load: list(load), serverCount: len(server), loadCount: len(load)}, nil
}

func list(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// parseCores reads a list of numbers and ranges such as "0-3,8".
func parseCores(s string) ([]int, error) {
	var numbers []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		z, err2 := strconv.Atoi(to)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		for n := a; n <= z; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// describe returns where this runs, without names of hosts or folders.
func describe(c cores) (machine, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return machine{}, err
	}
	cpu := runtime.GOARCH
	if _, rest, ok := strings.Cut(string(info), "\nmodel name"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		_, name, _ := strings.Cut(line, ":")
		cpu = strings.TrimSpace(name)
	}
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return machine{}, err
	}
	release := make([]byte, 0, len(u.Release))
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	version, _, _ := strings.Cut(string(release), "-")
	return machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: cpu, Kernel: version, Go: runtime.Version(),
		Cores: fmt.Sprintf("%d of the machine's %d cores for the measured server, %d for load and origin", c.serverCount, runtime.NumCPU(), c.loadCount),
	}, nil
}

// busy returns a warning when other work keeps the machine from being measured.
func busy() (string, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	return judgeLoad(string(b), runtime.NumCPU())
}

// judgeLoad reads the load of the last minute from /proc/loadavg; a quarter of the cores is too much.
func judgeLoad(loadavg string, cores int) (string, error) {
	first, _, _ := strings.Cut(loadavg, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return "", fmt.Errorf("load average: %w", err)
	}
	if load <= float64(cores)/4 {
		return "", nil
	}
	return fmt.Sprintf("The machine was busy with other work when this began (load %.1f on %d cores): "+
		"throughput and latency are worse than they would be, CPU per request is less disturbed.", load, cores), nil
}

// method says how the figures came about.
func (b *bench) method() string {
	priority := "There, both sides have real-time priority, so that other programs of the machine do not take their cores from them."
	if !b.hurries {
		priority = "Without real-time priority, which root may give, other programs of the machine delay both sides there."
	}
	return fmt.Sprintf("CPU is user and system time of the measured server and its workers, from /proc, divided by the requests it answered, "+
		"while wrk (h2load for HTTP/2) sends as fast as it can over loopback. One nginx is the origin of all; it shares the other cores with the load and is not counted. "+
		"Every server may use the same number of cores: nginx has as many workers, HAProxy as many threads, Go programs see as many cores. "+
		"All keep connections alive on both sides; \"no log\" means that no access log is written, otherwise it goes to a file. "+
		"The servers take turns, %d rounds of %v each, in the first four tables five times as many of a third of the length; figures are medians, ratios are taken within a round (to the first line of each table) before the median. "+
		"First sight and constant rate use the benchmark's own generator, whose latency counts from the moment a request was due; at a constant rate it is the origin as well, on the same thread. %s", b.rounds, b.seconds, priority)
}

// moduleRoot returns the folder of the module that this is part of.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "bench", "caddy", "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("run this inside the repository of Gatehouse")
		}
		dir = up
	}
}
