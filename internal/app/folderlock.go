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

// lockFolder keeps a second process from the data folder: what both would write
// there (revocations, proofs, the snapshot) is one process's own. A process that ends may
// keep it from the next one for as long as wait. Close ends it.
func lockFolder(ctx context.Context, dir string, wait time.Duration) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be used: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		late := time.Since(began) >= wait // before the last attempt, which may come long after the one before it
		if !tryLock(f) {
			break
		}
		if late {
			pid := make([]byte, 32)
			n, _ := f.ReadAt(pid, 0)
			_ = f.Close()
			return nil, fault.New(fault.Conflict, "another Gatehouse (process %s) runs on the data in %s: end it, or name another folder with --data", strings.TrimSpace(string(pid[:n])), dir)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	// For the message above; a full disk is no reason not to serve.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}
