package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// waitForFolder is how long a process that ends may keep the data folder from the next one.
const waitForFolder = 3 * time.Second

// lockFolder keeps a second process from the data folder: what both would write
// there (revocations, proofs, the snapshot) is one process's own. Close ends it.
func lockFolder(ctx context.Context, dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be used: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(waitForFolder)
	defer late.Stop()
	for tryLock(f) {
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-late.C:
			pid := make([]byte, 32)
			n, _ := f.ReadAt(pid, 0)
			_ = f.Close()
			return nil, fault.New(fault.Conflict, "another Gatehouse (process %s) runs on the data in %s: end it, or name another folder with --data", strings.TrimSpace(string(pid[:n])), dir)
		case <-tick.C:
		}
	}
	// For the message above; a full disk is no reason not to serve.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}
