package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/fault"
)

// Two processes on one data folder would write over each other's revocations: the
// second is refused, and takes nothing from the first; one that comes while the
// first ends waits for it.
func TestOneProcessOnADataFolder(t *testing.T) {
	data := t.TempDir()
	file := write(t, fmt.Sprintf(publicAPI, "http://127.0.0.1:1", ""))
	first := start(t, file, withData(data))
	second, err := tryStart(t, file, withData(data), func(c *app.Config) { c.FolderWait = time.Millisecond })
	if err == nil {
		second.stop()
		t.Fatal("a second process runs on the folder")
	}
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("what is said: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "local.json")); err != nil {
		t.Errorf("commands do not find the first any more: %v", err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); first.stop() }()
	next := start(t, file, withData(data), func(c *app.Config) { c.FolderWait = time.Minute })
	<-ended
	next.stop()
}
