package config

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// watched runs a watcher with a short quiet time.
type watched struct {
	t       *testing.T
	changed chan struct{}
}

func watch(t *testing.T, c WatcherConfig) *watched {
	t.Helper()
	w := &watched{t: t, changed: make(chan struct{}, 1000)}
	also := c.Changed
	c.Changed = func() {
		if also != nil {
			also()
		}
		w.changed <- struct{}{}
	}
	if c.Quiet == 0 {
		c.Quiet = 10 * time.Millisecond
	}
	watcher, err := NewWatcher(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- watcher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// expect waits for the report of a change, and for what came of the same change late.
func (w *watched) expect(what string) {
	w.t.Helper()
	select {
	case <-w.changed:
	case <-time.After(time.Minute):
		w.t.Fatalf("%s: not reported", what)
	}
	for {
		select {
		case <-w.changed:
		case <-time.After(60 * time.Millisecond):
			return
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "gatehouse.yaml")
	write(t, path, "version: 1\n")
	w := watch(t, WatcherConfig{Path: path})

	write(t, path, "version: 1\n# more\n")
	w.expect("written in place")

	temporary := filepath.Join(folder, ".gatehouse.yaml.swp")
	write(t, temporary, "version: 1\n# new\n")
	do(t, os.Rename(temporary, path))
	w.expect("replaced by rename, as editors do")

	do(t, os.Remove(path))
	w.expect("removed")
	write(t, path, "version: 1\n")
	w.expect("made again")
}

// seen runs a watcher whose quiet time never comes, and counts what it takes for changes.
func seen(t *testing.T, c WatcherConfig) <-chan struct{} {
	t.Helper()
	asked := make(chan struct{}, 1000)
	c.After = func(time.Duration) <-chan time.Time {
		asked <- struct{}{}
		return nil
	}
	watch(t, c)
	return asked
}

// alone puts a new file in the place of path, which is one event, and fails unless that is
// the one change that is seen, after all that was done before.
func alone(t *testing.T, path string, asked <-chan struct{}, what string) {
	t.Helper()
	fresh := filepath.Join(t.TempDir(), "new")
	write(t, fresh, "version: 1\n# new\n")
	do(t, os.Rename(fresh, path))
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Fatal("a new file is not seen")
	}
	select {
	case <-asked:
		t.Error(what)
	case <-time.After(100 * time.Millisecond):
	}
}

// What lies beside the file, and permissions, do not matter.
func TestWatchFileAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "gatehouse.yaml")
	write(t, path, "version: 1\n")
	asked := seen(t, WatcherConfig{Path: path})
	write(t, filepath.Join(folder, "other.yaml"), "x")
	do(t, os.Chmod(path, 0o400))
	do(t, os.Chmod(path, 0o600))
	alone(t, path, asked, "a change of another file, or of permissions, was taken for one of the configuration")
}

// Nor does what lies beside a reference.
func TestWatchReferenceAlone(t *testing.T) {
	path, secrets := filepath.Join(t.TempDir(), "gatehouse.yaml"), t.TempDir()
	plain := filepath.Join(secrets, "plain")
	write(t, path, "version: 1\n")
	write(t, plain, "1")
	asked := seen(t, WatcherConfig{Path: path, References: func() []string { return []string{plain} }})
	<-asked // what may have changed before it was watched
	write(t, filepath.Join(secrets, "another"), "x")
	alone(t, plain, asked, "a file beside a reference was taken for it")
}

// A Kubernetes volume: the file is a link through ..data to a folder, and an
// update makes a new folder and renames a new ..data over the old.
func TestWatchMountedVolume(t *testing.T) {
	folder := t.TempDir()
	for _, version := range []string{"..1", "..2", "..3"} {
		do(t, os.Mkdir(filepath.Join(folder, version), 0o700))
		write(t, filepath.Join(folder, version, "gatehouse.yaml"), "version: 1\n# "+version+"\n")
	}
	do(t, os.Symlink("..1", filepath.Join(folder, "..data")))
	path := filepath.Join(folder, "gatehouse.yaml")
	do(t, os.Symlink(filepath.Join("..data", "gatehouse.yaml"), path))
	for name, target := range map[string]string{"file": path, "folder": folder} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, WatcherConfig{Path: target})
			for _, version := range []string{"..2", "..3", "..1"} {
				do(t, os.Symlink(version, filepath.Join(folder, "..data_tmp")))
				do(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
				w.expect("swap to " + version)
			}
		})
	}
}

// Files that the configuration refers to count as it does: one written in place, one
// of a mounted volume, and one that only a later version refers to.
func TestWatchReferences(t *testing.T) {
	folder, secrets := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "gatehouse.yaml")
	write(t, path, "version: 1\n")
	for _, version := range []string{"..1", "..2"} {
		do(t, os.Mkdir(filepath.Join(secrets, version), 0o700))
		write(t, filepath.Join(secrets, version, "mounted"), version)
	}
	do(t, os.Symlink("..1", filepath.Join(secrets, "..data")))
	do(t, os.Symlink(filepath.Join("..data", "mounted"), filepath.Join(secrets, "mounted")))
	plain, later := filepath.Join(secrets, "plain"), filepath.Join(t.TempDir(), "later")
	write(t, plain, "1")
	write(t, later, "1")
	var list atomic.Pointer[[]string]
	list.Store(&[]string{plain, filepath.Join(secrets, "mounted")})
	w := watch(t, WatcherConfig{Path: path, References: func() []string { return *list.Load() }})

	w.expect("what may have changed before it was watched")
	write(t, plain, "2")
	w.expect("a reference written in place")
	do(t, os.Symlink("..2", filepath.Join(secrets, "..data_tmp")))
	do(t, os.Rename(filepath.Join(secrets, "..data_tmp"), filepath.Join(secrets, "..data")))
	w.expect("a reference of a volume")
	list.Store(&[]string{plain, later})
	write(t, path, "version: 1\n# refers to another\n")
	w.expect("the file itself")
	write(t, later, "2")
	w.expect("a reference that is new")
}

func TestWatchFolder(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a.yaml"), "version: 1\n")
	w := watch(t, WatcherConfig{Path: folder})
	write(t, filepath.Join(folder, "b.yml"), "apis: {}\n")
	w.expect("a file more")
	do(t, os.Remove(filepath.Join(folder, "b.yml")))
	w.expect("a file less")
	write(t, filepath.Join(folder, "a.yaml"), "version: 1\n# x\n")
	w.expect("a file changed")
}

// Many changes at once are one report, when it is quiet and not before; but who
// writes for ever puts it off for a bounded time only.
func TestWatchWaitsForQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	write(t, path, "version: 1\n")
	asked := make(chan struct{}, 1000)
	quiet := make(chan time.Time)
	var since, most atomic.Int64 // changes since the last report, and the most that one has waited for
	w := watch(t, WatcherConfig{Path: path, After: func(time.Duration) <-chan time.Time {
		since.Add(1)
		asked <- struct{}{}
		return quiet
	}, Changed: func() { most.Store(max(most.Load(), since.Swap(0))) }})
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(time.Minute):
			t.Fatalf("%s: did not happen", what)
		}
	}
	for range 5 {
		write(t, path, "version: 1\n# x\n")
		wait("a change is seen", asked)
	}
	select {
	case <-w.changed:
		t.Fatal("reported before it was quiet")
	default:
	}
	select {
	case quiet <- time.Now():
	case <-time.After(time.Minute):
		t.Fatal("the watcher does not wait for quiet")
	}
	wait("the report", w.changed)
	// One write may be seen as one change or as two: they are counted as they are seen.
	for range longestWait {
		write(t, path, "version: 1\n# y\n")
		wait("a change is seen", asked)
	}
	for range 100 {
		write(t, path, "version: 1\n# z\n")
	}
	select {
	case quiet <- time.Now():
	case <-time.After(time.Minute):
		t.Fatal("the watcher does not wait for quiet")
	}
	wait("the report", w.changed)
	if n := most.Load(); n > longestWait {
		t.Errorf("%d changes put the report off", n)
	}
}

func TestWatchMissing(t *testing.T) {
	if _, err := NewWatcher(WatcherConfig{Path: filepath.Join(t.TempDir(), "none.yaml"), Changed: func() {}}); err == nil {
		t.Error("a file that is not there is watched")
	}
}
