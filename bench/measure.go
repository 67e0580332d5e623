//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// contestant is one server on one piece of work.
type contestant struct {
	name   string
	server *server
	run    func(context.Context, time.Duration) (load, error)
	// before, if not nil, prepares each round, such as by a restart; it is not measured.
	before func(context.Context) error
}

// round is one measurement.
type round struct {
	CPU    float64       `json:"cpu_us_per_request"`
	Ratio  float64       `json:"ratio"` // to the reference in the same round; 0 when it has none
	Rate   float64       `json:"requests_per_second"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Failed int64         `json:"failed"`

	Requests int64 `json:"requests"` // answered well
}

// row is a server's rounds on a piece of work, and the middle of each figure.
type row struct {
	Work   string  `json:"work"`
	Server string  `json:"server"`
	Median round   `json:"median"`
	Rounds []round `json:"rounds"`
}

// contest measures the contestants in turn, round after round, so that what
// disturbs the machine disturbs all of them. The first one is the reference.
// The order turns with every round.
func (b *bench) contest(ctx context.Context, work string, cs ...contestant) ([]row, error) {
	rows := make([]row, len(cs))
	for i, c := range cs {
		rows[i] = row{Work: work, Server: c.name}
		if c.before == nil { // caches, pools and the collector are warm before the first round
			if _, err := c.run(ctx, time.Second); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", work, c.name, err)
			}
		}
	}
	for n := range b.rounds {
		these := make([]round, len(cs))
		for k := range cs {
			i := (k + n) % len(cs)
			m, err := b.measure(ctx, &cs[i])
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", work, cs[i].name, err)
			}
			these[i] = m
		}
		for i := range these {
			if these[0].CPU > 0 {
				these[i].Ratio = these[i].CPU / these[0].CPU
			}
			rows[i].Rounds = append(rows[i].Rounds, these[i])
		}
	}
	for i := range rows {
		rows[i].Median = middle(rows[i].Rounds)
		m := rows[i].Median
		b.say("  %-34s %7.1f us  x%.2f  %8.0f/s  p99 %v", rows[i].Server, m.CPU, m.Ratio, m.Rate, m.P99.Round(time.Microsecond))
	}
	b.rows = append(b.rows, rows...)
	return rows, nil
}

// fine is contest in five times as many rounds of a third of the length. A machine that is
// shared is for seconds a fifth faster or slower than before: the shorter the rounds, the more
// of them does that hit as a whole, and the fewer of them count.
func (b *bench) fine(ctx context.Context, work string, cs ...contestant) ([]row, error) {
	if b.seconds >= 3*time.Second {
		defer func(rounds int, seconds time.Duration) { b.rounds, b.seconds = rounds, seconds }(b.rounds, b.seconds)
		b.rounds, b.seconds = 5*b.rounds, b.seconds/3
	}
	return b.contest(ctx, work, cs...)
}

// measure runs one contestant once and divides the processor time it used by the requests.
func (b *bench) measure(ctx context.Context, c *contestant) (round, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return round{}, err
		}
	}
	c.server.emptyLogs()
	before, err := c.server.cpu()
	if err != nil {
		return round{}, err
	}
	l, err := c.run(ctx, b.seconds)
	if err != nil {
		return round{}, err
	}
	after, err := c.server.cpu()
	if err != nil {
		return round{}, err
	}
	c.server.emptyLogs()
	if l.Requests == 0 {
		return round{}, fmt.Errorf("no request was answered well, %d failed; last words:\n%s", l.Failed, c.server.tail())
	}
	return round{
		CPU:  float64((after - before).Microseconds()) / float64(l.Requests+l.Failed),
		Rate: l.perSecond(), P50: l.P50, P99: l.P99, Failed: l.Failed, Requests: l.Requests,
	}, nil
}

// middle returns the median of each figure, and all failures.
func middle(rounds []round) round {
	var m round
	pick := func(of func(round) float64) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = of(r)
		}
		return median(values)
	}
	m.CPU = pick(func(r round) float64 { return r.CPU })
	m.Ratio = pick(func(r round) float64 { return r.Ratio })
	m.Rate = pick(func(r round) float64 { return r.Rate })
	m.P50 = time.Duration(pick(func(r round) float64 { return float64(r.P50) }))
	m.P99 = time.Duration(pick(func(r round) float64 { return float64(r.P99) }))
	for _, r := range rounds {
		m.Failed += r.Failed
	}
	return m
}

// median returns the middle value, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// replay returns a run at full speed of the requests in a file.
func (b *bench) replay(address, file string, connections int) func(context.Context, time.Duration) (load, error) {
	return func(ctx context.Context, d time.Duration) (load, error) {
		return b.wrk(ctx, "http://"+address+"/", connections, d, b.replayScript, file)
	}
}

// generate runs the constant-rate generator in a process of its own on the load's cores.
func (b *bench) generate(ctx context.Context, j job) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Time+2*time.Minute)
	defer cancel()
	in, err := json.Marshal(j)
	if err != nil {
		return load{}, err
	}
	argv := []string{"-c", b.cores.load, b.self, "-worker"}
	if j.Hurry {
		argv = []string{"-c", b.cores.load, "chrt", "--rr", realTime, b.self, "-worker"}
	}
	cmd := exec.CommandContext(ctx, "taskset", argv...)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return load{}, fmt.Errorf("load generator: %w", err)
	}
	var l load
	return l, json.Unmarshal(out, &l)
}

// requests writes a file of requests: every path with the token of the same index, both taken in turn.
func (b *bench) requests(name string, paths, tokens []string) (string, error) {
	lines := make([]string, max(len(paths), len(tokens)))
	for i := range lines {
		lines[i] = paths[i%len(paths)]
		if len(tokens) > 0 && tokens[i%len(tokens)] != "" {
			lines[i] += "\tAuthorization: Bearer " + tokens[i%len(tokens)]
		}
	}
	return b.lines(name, lines...)
}

// lines writes a file of requests, each a path and its header fields, as in replayScript.
func (b *bench) lines(name string, lines ...string) (string, error) {
	path := filepath.Join(b.dir, name+".requests")
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
