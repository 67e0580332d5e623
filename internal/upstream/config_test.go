package upstream

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]targetSettings{
		"http://orders:8080":            {host: "orders", addr: "orders:8080", host1: "orders:8080"},
		"http://orders":                 {host: "orders", addr: "orders:80", host1: "orders"},
		"http://orders:80/":             {host: "orders", addr: "orders:80", host1: "orders"},
		"https://Orders.Acme.test":      {host: "orders.acme.test", addr: "orders.acme.test:443", host1: "orders.acme.test", secure: true},
		"https://orders:80":             {host: "orders", addr: "orders:80", host1: "orders:80", secure: true},
		"http://[2001:db8::1]":          {host: "2001:db8::1", addr: "[2001:db8::1]:80", host1: "[2001:db8::1]"},
		"http://[2001:db8::1]:9000/a/b": {host: "2001:db8::1", addr: "[2001:db8::1]:9000", host1: "[2001:db8::1]:9000", prefix: "/a/b"},
		"http://h/v1/":                  {host: "h", addr: "h:80", host1: "h", prefix: "/v1"},
	} {
		want.raw = raw
		got, err := parseTarget(raw)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		"", "orders:8080", "ftp://h", "http://", "http://:80", "http://h:", "http://h:0", "http://h:65536", "http://h:8a",
		"http://u:p@h", "http://h?q", "http://h/?", "http://h#f", "http://h/a//b", "http://h/a/../b", "http://h/./b",
		"http://h/a%2fb", "http://h/a;b", "http://h/a b", "http://h/\\x", "http://h/ä", "unix:///run/x.sock", "http://h/\x00",
	} {
		if got, err := parseTarget(raw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is accepted as %+v", raw, got)
		}
	}
	if _, err := parseTarget("http://u:secret@h"); strings.Contains(err.Error(), "secret") {
		t.Error("the error repeats the password")
	}
}

func TestParseBalance(t *testing.T) {
	for in, want := range map[string]balance{
		"": {}, "round_robin": {}, "least_requests": {kind: leastRequests}, "random": {kind: random}, "hash(ip)": {kind: hashAddress},
		"hash(header:X-User)": {hashHeader, "X-User"}, "hash(claim:sub)": {hashClaim, "sub"},
	} {
		if got, err := parseBalance(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"roundrobin", "hash", "hash()", "hash(header:)", "hash(claim:)", "hash(cookie:x)", "hash(ip", " random"} {
		if _, err := parseBalance(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is accepted", in)
		}
	}
}

func TestConfigErrorsNameTheSetting(t *testing.T) {
	good := spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}
	for setting, change := range map[string]func(*spec.Upstream){
		"targets":         func(u *spec.Upstream) { u.Targets = nil },
		"timeout":         func(u *spec.Upstream) { u.Timeout = -1 },
		"retries":         func(u *spec.Upstream) { u.Retries = maxAttempts },
		"max_connections": func(u *spec.Upstream) { u.MaxConnections = -1 },
		"health.path":     func(u *spec.Upstream) { u.Health = &spec.Health{Path: "health"} },
		"health.interval": func(u *spec.Upstream) { u.Health = &spec.Health{Path: "/h", Interval: -1} },
		"balance":         func(u *spec.Upstream) { u.Balance = "best" },
	} {
		u := good
		change(&u)
		_, err := New(Config{API: spec.API{Name: "hr", Upstream: u}})
		f := fault.Of(err)
		if f == nil || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Path != "apis.hr.upstream."+setting {
			t.Errorf("%s: %v", setting, err)
		}
	}
	u := good
	u.Targets = []string{"http://h", "http://h"}
	if _, err := New(Config{API: spec.API{Name: "hr", Upstream: u}}); err == nil {
		t.Error("a target listed twice is accepted")
	}
}

// attack gateway 67: where a target's name leads is checked when it is dialled.
// attack gateway 67: what leads inside is refused to a tenant's upstream, and where clouds
// answer with credentials to everybody's, under whatever address of IPv6 carries it.
func TestGuardAddress(t *testing.T) {
	for address, want := range map[string][2]bool{ // allowed for: a tenant's upstream, the operator's file
		"93.184.215.14:80":            {true, true},
		"[2606:2800:21f:cb07::1]:443": {true, true},
		"127.0.0.1:80":                {false, true},
		"[::1]:80":                    {false, true},
		"10.1.2.3:80":                 {false, true},
		"192.168.1.1:80":              {false, true},
		"100.64.0.1:80":               {false, true},
		"[fd00::1]:80":                {false, true},
		"[::ffff:127.0.0.1]:80":       {false, true},
		"169.254.169.254:80":          {false, false},
		"[::ffff:169.254.169.254]:80": {false, false},
		"[fe80::1]:80":                {false, false},
		"0.0.0.0:80":                  {false, false},
		"[::]:80":                     {false, false},
		"224.0.0.1:80":                {false, false},
		"255.255.255.255:80":          {false, false},
		"168.63.129.16:80":            {false, false}, // Azure
		"100.100.100.200:80":          {false, false}, // Alibaba Cloud
		"192.0.0.192:80":              {false, false}, // Oracle Cloud
		"[fd00:ec2::254]:80":          {false, false}, // AWS
		"[64:ff9b::a9fe:a9fe]:80":     {false, false},
		"[64:ff9b::a01:203]:80":       {false, true},
		"[64:ff9b::808:808]:80":       {true, true},
		"[2002:a9fe:a9fe::1]:80":      {false, false},
		"[2002:7f00:1::1]:80":         {false, true},
		"[::169.254.169.254]:80":      {false, false},
		"[fe80::1%eth0]:80":           {false, false},
		"/run/docker.sock":            {false, false},
		"not an address":              {false, false},
	} {
		for i, private := range []bool{false, true} {
			err := guardAddress(private)(context.Background(), "tcp", address, nil)
			if (err == nil) != want[i] {
				t.Errorf("%s, private allowed %v: %v", address, private, err)
			}
		}
	}
}

// caller of a hash balance.
type someone struct {
	header, claim string
	addr          netip.Addr
}

func (s someone) Header(string) []byte { return []byte(s.header) }
func (s someone) Claim(string) string  { return s.claim }
func (s someone) ClientIP() netip.Addr { return s.addr }

// poolOf returns a pool of n targets that is never sent anything.
func poolOf(t *testing.T, balance string, n int) *Pool {
	t.Helper()
	u := spec.Upstream{Balance: balance}
	for i := range n {
		u.Targets = append(u.Targets, "http://127.0.0.1:"+string(rune('1'+i/10))+string(rune('0'+i%10)))
	}
	p, err := New(Config{API: spec.API{Name: "hr", Upstream: u}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() }) // never fails
	return p
}

func TestRoundRobinIsEven(t *testing.T) {
	p := poolOf(t, "round_robin", 3)
	var counts [3]int
	for range 300 {
		counts[p.first(epoch, someone{})]++
	}
	if counts != [3]int{100, 100, 100} {
		t.Errorf("%v", counts)
	}
}

func TestRandomReachesAll(t *testing.T) {
	p := poolOf(t, "random", 4)
	var counts [4]int
	for range 4000 {
		counts[p.first(epoch, someone{})]++
	}
	for _, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("%v", counts)
		}
	}
}

func TestLeastRequests(t *testing.T) {
	p := poolOf(t, "least_requests", 4)
	for i, n := range []int32{5, 2, 9, 2} {
		p.targets[i].active.Store(n)
	}
	var counts [4]int
	for range 100 {
		counts[p.first(epoch, someone{})]++
	}
	if counts[0]+counts[2] != 0 || counts[1] < 20 || counts[3] < 20 {
		t.Errorf("%v, want the ties 1 and 3 in turn", counts)
	}
	fail(&p.targets[1].guard, epoch, breakAfter)
	fail(&p.targets[3].guard, epoch, breakAfter)
	if got := p.first(epoch, someone{}); got != 0 {
		t.Errorf("%d, want 0, the least of those that are available", got)
	}

	// Many targets: two choices spread a load that is given back at random.
	p = poolOf(t, "least_requests", 40)
	for range 4000 {
		p.targets[p.first(epoch, someone{})].active.Add(1)
	}
	for i, target := range p.targets {
		if n := target.active.Load(); n < 90 || n > 110 {
			t.Errorf("target %d has %d of 4000 requests, want about 100", i, n)
		}
	}
}

func TestHashIsStableAndMovesLittle(t *testing.T) {
	p := poolOf(t, "hash(header:X-User)", 5)
	names := make([]string, 1000)
	home := make([]int, len(names))
	var counts [5]int
	for i := range names {
		names[i] = strings.Repeat("u", i%7) + time.Duration(i).String()
		home[i] = p.first(epoch, someone{header: names[i]})
		counts[home[i]]++
	}
	for _, n := range counts {
		if n < 130 || n > 270 {
			t.Errorf("uneven: %v", counts)
		}
	}
	fail(&p.targets[2].guard, epoch, breakAfter)
	for i, name := range names {
		got := p.first(epoch, someone{header: name})
		if got == 2 || home[i] != 2 && got != home[i] {
			t.Fatalf("%q went from %d to %d when target 2 went", name, home[i], got)
		}
	}
	// Without anything to hash, requests go round.
	seen := map[int]bool{}
	for range 5 {
		seen[p.first(epoch, someone{})] = true
	}
	if len(seen) != 5 {
		t.Errorf("without the header only %v are used", seen)
	}
	a := someone{addr: netip.MustParseAddr("192.0.2.7"), claim: "ana"}
	for _, balance := range []string{"hash(ip)", "hash(claim:sub)"} {
		p := poolOf(t, balance, 5)
		home := p.first(epoch, a)
		for range 10 {
			if p.first(epoch, a) != home {
				t.Errorf("%s is not stable", balance)
			}
		}
	}
}
