//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// load is what one run of a load generator saw.
type load struct {
	Requests  int64         // answered with 2xx
	Failed    int64         // answered otherwise, or not at all
	Elapsed   time.Duration // how long it ran
	P50, P99  time.Duration // until the end of the answer
	Saturated bool          // as fast as the server could, not at a rate
}

// perSecond returns the good answers per second.
func (l load) perSecond() float64 {
	if l.Elapsed <= 0 {
		return 0
	}
	return float64(l.Requests) / l.Elapsed.Seconds()
}

// replayScript sends the requests of a file in turn: a path, and after a tab each, whole header fields.
const replayScript = `
local requests, n, i = {}, 0, 0
function init(args)
  for line in io.lines(args[1]) do
    local headers = {}
    for name, value in line:gmatch("\t([^\t:]+): ([^\t]+)") do headers[name] = value end
    n = n + 1
    requests[n] = wrk.format("GET", line:match("^[^\t]+"), headers)
  end
end
function request()
  i = i % n + 1
  return requests[i]
end
`

// formScript posts one form, with basic credentials, over and over.
const formScript = `
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  wrk.headers["Authorization"] = args[1]
  wrk.body = args[2]
  req = wrk.format(nil, args[3])
end
function request() return req end
`

// wrk runs wrk at full speed. The script is empty or a path, and gets args.
func (b *bench) wrk(ctx context.Context, url string, connections int, d time.Duration, script string, args ...string) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	argv := []string{
		"-c", b.cores.load, "wrk", "-t", strconv.Itoa(min(b.cores.loadCount, connections)), "-c", strconv.Itoa(connections),
		"-d", strconv.FormatInt(max(1, int64(d.Round(time.Second).Seconds())), 10), "--latency", "--timeout", "10s",
	}
	if script != "" {
		argv = append(argv, "-s", script)
	}
	argv = append(argv, url)
	if len(args) > 0 {
		argv = append(append(argv, "--"), args...)
	}
	out, err := exec.CommandContext(ctx, "taskset", argv...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads the report of wrk 4 with --latency.
func parseWrk(out string) (load, error) {
	l := load{Saturated: true}
	var total int64
	for line := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) == 2 && f[0] == "50%":
			l.P50, err = parseWrkTime(f[1])
		case len(f) == 2 && f[0] == "99%":
			l.P99, err = parseWrkTime(f[1])
		case len(f) >= 4 && f[1] == "requests" && f[2] == "in":
			if total, err = strconv.ParseInt(f[0], 10, 64); err == nil {
				l.Elapsed, err = parseWrkTime(strings.TrimSuffix(f[3], ","))
			}
		case strings.HasPrefix(line, "  Non-2xx or 3xx responses: "):
			var n int64
			n, err = strconv.ParseInt(f[len(f)-1], 10, 64)
			l.Failed += n
			total -= n
		case strings.HasPrefix(line, "  Socket errors: "):
			var n int64
			n, err = sumWrkErrors(line)
			l.Failed += n
		}
		if err != nil {
			return load{}, fmt.Errorf("wrk said %q: %w", line, err)
		}
	}
	if l.Elapsed == 0 {
		return load{}, fmt.Errorf("wrk gave no figures:\n%s", out)
	}
	l.Requests = total
	return l, nil
}

// sumWrkErrors adds up "Socket errors: connect 0, read 1, write 0, timeout 2".
func sumWrkErrors(line string) (int64, error) {
	_, list, _ := strings.Cut(line, ":")
	var sum int64
	for part := range strings.SplitSeq(list, ",") {
		f := strings.Fields(part)
		if len(f) != 2 {
			return 0, errors.New("not a list of counts")
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// parseWrkTime reads wrk's times: "812.00us", "1.52ms", "3.00s", "1.02m", "1.50h".
func parseWrkTime(s string) (time.Duration, error) {
	return time.ParseDuration(s)
}

// h2load runs h2load at full speed over HTTP/2 without TLS.
func (b *bench) h2load(ctx context.Context, url, token string, connections, streams int, d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	argv := []string{
		"-c", b.cores.load, "h2load", "-t", "1", "-c", strconv.Itoa(connections), "-m", strconv.Itoa(streams),
		"-D", strconv.FormatInt(max(1, int64(d.Round(time.Second).Seconds())), 10),
	}
	if token != "" {
		argv = append(argv, "-H", "authorization: Bearer "+token)
	}
	out, err := exec.CommandContext(ctx, "taskset", append(argv, url)...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	return parseH2load(string(out))
}

// parseH2load reads the report of nghttp2's h2load. It has no percentiles, so P50 is its mean and P99 is 0.
func parseH2load(out string) (load, error) {
	l := load{Saturated: true}
	var answered int64
	for line := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) > 3 && f[0] == "finished" && f[1] == "in":
			l.Elapsed, err = time.ParseDuration(strings.TrimSuffix(f[2], ","))
		case strings.HasPrefix(line, "requests: "):
			for i := 1; i+1 < len(f) && err == nil; i += 2 {
				if word := strings.TrimSuffix(f[i+1], ","); word == "failed" {
					l.Failed, err = strconv.ParseInt(f[i], 10, 64)
				}
			}
		case strings.HasPrefix(line, "status codes: ") && len(f) > 2:
			if l.Requests, err = strconv.ParseInt(f[2], 10, 64); err != nil {
				break
			}
			for i := 2; i+1 < len(f) && err == nil; i += 2 {
				var n int64
				n, err = strconv.ParseInt(f[i], 10, 64)
				answered += n
			}
		case strings.HasPrefix(line, "time for request:") && len(f) > 5:
			l.P50, err = time.ParseDuration(f[5])
		}
		if err != nil {
			return load{}, fmt.Errorf("h2load said %q: %w", line, err)
		}
	}
	if l.Elapsed == 0 {
		return load{}, fmt.Errorf("h2load gave no figures:\n%s", out)
	}
	l.Failed += answered - l.Requests
	return l, nil
}
