//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// profile records where Gatehouse spends its processor time while it does what it
// mostly does: checked and public requests with small answers. The file is what
// the release is built with.
func (b *bench) profile(ctx context.Context, path string, measured int) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	defer b.tearDown()
	if err := b.setUp(ctx, measured); err != nil {
		return err
	}
	dir, err := b.folder("profile")
	if err != nil {
		return err
	}
	s, err := b.gatehouse(ctx, dir, configuration(b.issuer, b.originAddress, 10, ""), "--cpu-profile", path)
	if err != nil {
		return err
	}
	for _, requests := range []string{b.files.full, b.files.full, b.files.full, b.files.public} {
		l, err := b.replay(s.address, requests, 32)(ctx, 5*time.Second)
		if err != nil {
			return err
		}
		if l.Failed > 0 {
			return fmt.Errorf("%d requests failed: the profile would not be of good work", l.Failed)
		}
	}
	s.stop() // completes the file
	b.say("written to %s", path)
	return nil
}
