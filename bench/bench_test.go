//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew")

const wrkGood = `Running 1s test @ http://127.0.0.1:19001/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    93.27us   80.63us   2.56ms   98.65%
    Req/Sec   224.42k    10.00k  241.05k    70.00%
  Latency Distribution
     50%   72.00us
     75%  120.00us
     90%  131.00us
     99%    1.83ms
  222829 requests in 1.00s, 32.09MB read
Requests/sec: 222751.71
Transfer/sec:     32.08MB
`

const wrkBad = `  Latency Distribution
     50%    1.02s 
     99%    1.10m 
  100 requests in 2.00m, 32.09KB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 40
`

func TestParseWrk(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      load
	}{
		{"good", wrkGood, load{Requests: 222829, Elapsed: time.Second, P50: 72 * time.Microsecond, P99: 1830 * time.Microsecond, Saturated: true}},
		{"failures", wrkBad, load{Requests: 60, Failed: 50, Elapsed: 2 * time.Minute, P50: 1020 * time.Millisecond, P99: 66 * time.Second, Saturated: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseWrk(c.out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, out := range []string{"", "unable to connect", "  x requests in 1.00s, 1MB read", "  9 requests in never, 1MB read"} {
		if got, err := parseWrk(out); err == nil {
			t.Errorf("parseWrk(%q) = %+v, want an error", out, got)
		}
	}
}

const h2loadReport = `starting benchmark...
finished in 2.50s, 163431.00 req/s, 10.91MB/s
requests: 1000 total, 1040 started, 1000 done, 990 succeeded, 10 failed, 4 errored, 6 timeout
status codes: 980 2xx, 0 3xx, 7 4xx, 3 5xx
traffic: 10.91MB (11440366) total, 7.48MB (7844688) headers (space savings 51.02%), 638.40KB (653724) data
                     min         max         mean         sd        +/- sd
time for request:       12us      2.62ms       237us        82us    86.04%
`

func TestParseH2load(t *testing.T) {
	got, err := parseH2load(h2loadReport)
	if err != nil {
		t.Fatal(err)
	}
	want := load{Requests: 980, Failed: 20, Elapsed: 2500 * time.Millisecond, P50: 237 * time.Microsecond, Saturated: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := parseH2load("Could not connect to the host"); err == nil {
		t.Error("a report without figures must be an error")
	}
}

func TestParseStat(t *testing.T) {
	const line = "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 100 20 3 4 20 0 5 0 9 1 2 3\n"
	got, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{pid: 42, parent: 7, ticks: 127}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "42 nothing", "x (a) S 7", "42 (a) S 7 42", "42 (a) S p 42 42 0 -1 4194560 100 0 0 0 100 20 3 4 20"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestParseRSS(t *testing.T) {
	got, err := parseRSS([]byte("Name:\tx\nVmPeak:\t  900 kB\nVmRSS:\t   1234 kB\nThreads:\t1\n"))
	if err != nil || got != 1234<<10 {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := parseRSS([]byte("Name:\tkthreadd\n")); err != nil || got != 0 {
		t.Errorf("a process without memory: got %d, %v", got, err)
	}
}

func TestBelowFindsWorkersOfWorkers(t *testing.T) {
	all := map[int]stat{1: {pid: 1}, 5: {pid: 5, parent: 1}, 6: {pid: 6, parent: 5}, 7: {pid: 7, parent: 6}, 8: {pid: 8, parent: 1}}
	got := map[int]bool{}
	for _, s := range below(all, 5) {
		got[s.pid] = true
	}
	if diff := cmp.Diff(map[int]bool{5: true, 6: true, 7: true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestProcessorTimeOfThisProcessGrows(t *testing.T) {
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	before, err := p.cpu()
	if err != nil {
		t.Fatal(err)
	}
	// As the other account of it has it: on a busy machine, time passes without any of it.
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began, sum := used(), sha256.Sum256(nil)
	for used()-began < 100*time.Millisecond {
		for range 1000 {
			sum = sha256.Sum256(sum[:])
		}
	}
	after, err := p.cpu()
	if err != nil {
		t.Fatal(err)
	}
	if counted := after - before; counted < 20*time.Millisecond {
		t.Errorf("a busy 100 ms counted as %v", counted)
	}
	if rss, err := p.rss(); err != nil || rss < 1<<20 {
		t.Errorf("memory of this process: %d, %v", rss, err)
	}
}

func TestCoresAreDivided(t *testing.T) {
	for _, c := range []struct {
		allowed, server, load string
		n                     int
	}{
		{"0", "0", "0", 0},
		{"0-1", "0", "1", 0},
		{"2,4-6", "2,4", "5,6", 0},
		{"0-15", "0,1,2,3", "4,5,6,7,8,9,10,11,12,13,14,15", 0},
		{"0-3", "0,1,2", "3", 3},
		{"0-1", "0,1", "0,1", 2},
	} {
		allowed, err := parseCores(c.allowed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := split(allowed, c.n)
		if err != nil || got.server != c.server || got.load != c.load {
			t.Errorf("%s by %d: got %+v, %v", c.allowed, c.n, got, err)
		}
	}
	if _, err := split([]int{0}, 2); err == nil {
		t.Error("more cores than there are must be an error")
	}
	if _, err := parseCores("0-x"); err == nil {
		t.Error("parseCores must refuse what is no number")
	}
}

func TestABusyMachineIsSaid(t *testing.T) {
	for loadavg, want := range map[string]bool{"0.40 9.00 9.00 1/2 3\n": false, "0.50 0 0 1/2 3\n": false, "0.60 0 0 1/2 3\n": true} {
		warning, err := judgeLoad(loadavg, 2)
		if err != nil || (warning != "") != want {
			t.Errorf("%q: got %q, %v", loadavg, warning, err)
		}
	}
	if _, err := judgeLoad("x", 2); err == nil {
		t.Error("what is no number must be an error")
	}
}

func TestMedianAndRatiosAreTakenWithinRounds(t *testing.T) {
	if got := median([]float64{9, 1, 4}); got != 4 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 9}); got != 3 {
		t.Errorf("median of four: %v", got)
	}
	rows := []row{
		{Server: "a", Rounds: []round{{CPU: 10}, {CPU: 20}, {CPU: 10}}}, // the second round was disturbed
		{Server: "b", Rounds: []round{{CPU: 15}, {CPU: 30}, {CPU: 16}}},
	}
	if got := ratio(rows, "b", "a"); got != 1.5 {
		t.Errorf("ratio: %v", got)
	}
	if got := difference(rows, "b", "a"); got != 6 {
		t.Errorf("difference: %v", got)
	}
	if got := ratio(rows, "b", "missing"); got != 0 {
		t.Errorf("ratio to what is missing: %v", got)
	}
}

func TestReportIsOnePageOfTables(t *testing.T) {
	r := &report{
		Machine: machine{Date: "2026-01-02", CPU: "Example(R) CPU @ 2GHz", Cores: "1 of 2", Kernel: "6.1", Go: "go1", Versions: []string{"nginx/1"}, Method: "By hand.", Warning: "Busy."},
		Bars: []bar{
			{What: "cost", Got: 1.04, Limit: 1, Unit: "x"},
			{What: "tokens", Got: 2600.4, Limit: 2500, Least: true},
			{What: "failed requests", Got: 0, Limit: 0},
		},
		Rows: []row{
			{Work: "plain", Server: "nginx", Median: round{CPU: 26, Ratio: 1, Rate: 30000, P50: time.Millisecond, P99: 2 * time.Millisecond}},
			{Work: "plain", Server: "Gatehouse", Median: round{CPU: 27.04, Ratio: 1.04, Rate: 29000, P50: time.Millisecond}},
			{Work: "large", Server: "nginx", Median: round{CPU: 400, Ratio: 1, Failed: 3}},
		},
		Tables: []table{{Title: "Memory", Head: []string{"server", "idle"}, Rows: [][]string{{"nginx", "9 MiB"}}}},
	}
	dir := t.TempDir()
	path, err := r.save(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "2026-01-02-example-cpu-2ghz.md"); path != want {
		t.Errorf("written to %s, want %s", path, want)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/report.md"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(strings.TrimSuffix(path, ".md") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*r, back); diff != "" {
		t.Error(diff)
	}
}

func TestTokensVerify(t *testing.T) {
	iss, err := newIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.close)
	res, err := http.Get(iss.url + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || !strings.Contains(string(body), `"issuer":"`+iss.url+`"`) {
		t.Errorf("metadata: %s, %v", body, err)
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		tokens, err := iss.tokens(alg, 5)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, token := range tokens {
			cut := strings.LastIndexByte(token, '.')
			signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
			if err != nil {
				t.Fatal(err)
			}
			if !verifies(iss, alg, token[:cut], signature) {
				t.Errorf("%s: the signature does not verify", alg)
			}
			if got, err := algorithm(token); err != nil || got != alg {
				t.Errorf("algorithm: got %q, %v", got, err)
			}
			seen[token] = true
		}
		if len(seen) != len(tokens) {
			t.Errorf("%s: %d of %d tokens differ", alg, len(seen), len(tokens))
		}
	}
	if _, err := iss.token("none", 0); err == nil {
		t.Error("an unknown algorithm must be an error")
	}
}

func verifies(iss *issuer, alg, input string, signature []byte) bool {
	digest := sha256.Sum256([]byte(input))
	switch alg {
	case "RS256":
		return rsa.VerifyPKCS1v15(&iss.rsa.PublicKey, crypto.SHA256, digest[:], signature) == nil
	case "ES256":
		return len(signature) == 64 && ecdsa.Verify(&iss.ec.PublicKey, digest[:],
			new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	default:
		return ed25519.Verify(iss.edKey, []byte(input), signature)
	}
}
