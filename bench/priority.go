//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
)

// While latency is measured, both sides have a priority above every ordinary program:
// what else runs on the machine takes a core for some milliseconds now and then, and
// that was taken for latency of the server between.
const realTime = "20" // of 1 to 99

// mayHurry reports whether this process may give others that priority; root may.
func mayHurry(ctx context.Context) bool {
	return exec.CommandContext(ctx, "chrt", "--rr", realTime, "true").Run() == nil
}

// hurry gives all threads of the program and its workers real-time priority; those that they
// start from then on have it too.
func (p *process) hurry(ctx context.Context) error {
	all, err := tree(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, s := range all {
		out, err := exec.CommandContext(ctx, "chrt", "--all-tasks", "--rr", "--pid", realTime, strconv.Itoa(s.pid)).CombinedOutput() // #nosec G204 -- a number
		if err != nil {
			return fmt.Errorf("real-time priority for %s: %w: %s", p.name, err, out)
		}
	}
	return nil
}
