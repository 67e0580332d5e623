package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// DefaultQuiet is how long nothing must change before a change is reported.
const DefaultQuiet = 100 * time.Millisecond

// longestWait bounds how long further changes may put off the report of the first, in
// quiet times.
const longestWait = 20

// WatcherConfig says what is watched.
type WatcherConfig struct {
	// Path is a configuration file, or a folder of them.
	Path string
	// Changed is called, on the goroutine of Run, after the files have changed and
	// nothing has for the quiet time.
	Changed func()
	// References names files that the configuration refers to, which count as it does.
	// It is asked again after every change; nil means none.
	References func() []string
	// Quiet is that time; 0 means DefaultQuiet.
	Quiet time.Duration
	// After is the clock; nil means time.After.
	After func(time.Duration) <-chan time.Time
}

// Watcher reports changes of a configuration. It watches folders and not files:
// editors put a new file in the place of the old one, and Kubernetes puts a new
// target in the place of a symbolic link.
type Watcher struct {
	c      WatcherConfig
	fs     *fsnotify.Watcher
	folder string            // that Path names, or lies in
	whole  bool              // Path is a folder: every YAML file of it counts
	real   map[string]string // what the links of files, references too, led to when last looked at
	others []string          // the references
}

// NewWatcher begins to watch; changes from now on will be reported by Run.
// Close it, or run it until its end.
func NewWatcher(c WatcherConfig) (*Watcher, error) {
	if c.Quiet <= 0 {
		c.Quiet = DefaultQuiet
	}
	if c.After == nil {
		c.After = time.After
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", c.Path, err)
	}
	c.Path = path
	w := &Watcher{c: c, folder: filepath.Dir(path)}
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("watch the configuration: %w", err)
	} else if info.IsDir() {
		w.folder, w.whole = path, true
	}
	if w.fs, err = fsnotify.NewWatcher(); err != nil {
		return nil, fmt.Errorf("watch the configuration: the system gives no more watches: %w", err)
	}
	if err := w.fs.Add(w.folder); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the folder %s: %w", w.folder, err), w.fs.Close())
	}
	w.real = w.look()
	w.others = nil // Run looks at them first
	return w, nil
}

// Close ends the watch, and Run with it.
func (w *Watcher) Close() error { return w.fs.Close() }

// look notes what the configuration's files are, and watches the folders that
// links lead to.
func (w *Watcher) look() map[string]string {
	names := []string{w.c.Path}
	if w.whole {
		found, err := filesOf(w.folder)
		if err == nil {
			names = found
		}
	}
	w.others = nil
	if w.c.References != nil {
		w.others = w.c.References()
		for _, name := range w.others {
			_ = w.fs.Add(filepath.Dir(name)) // the folder of the link; below is that of the file
		}
	}
	names = append(names, w.others...)
	out := make(map[string]string, len(names))
	for _, name := range names {
		target, err := filepath.EvalSymlinks(name)
		if err != nil {
			continue
		}
		out[name] = target
		if folder := filepath.Dir(target); folder != w.folder {
			// It may be gone a moment later; the next event of the folder of the
			// link looks again.
			_ = w.fs.Add(folder)
		}
	}
	return out
}

// Run reports changes until the context ends, which is no error, or the watch
// breaks, which is.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.fs.Close() //nolint:errcheck // nothing is left to be lost
	var quiet <-chan time.Time
	waits := 0
	if w.again() {
		quiet = w.c.After(w.c.Quiet)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.fs.Events:
			if !ok {
				return errors.New("watch the configuration: the watch was closed")
			}
			if w.concerns(e) && (quiet == nil || waits < longestWait) {
				quiet = w.c.After(w.c.Quiet)
				waits++
			}
		case err, ok := <-w.fs.Errors:
			if !ok {
				return errors.New("watch the configuration: the watch was closed")
			}
			// Events may have been lost: looking again is always right.
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				quiet = w.c.After(w.c.Quiet)
				continue
			}
			return fmt.Errorf("watch the configuration: %w", err)
		case <-quiet:
			quiet, waits = nil, 0
			w.c.Changed()
			if w.again() {
				quiet = w.c.After(w.c.Quiet)
			}
		}
	}
}

// again looks once more. It reports whether a file that was known is another one now,
// since the event of that may have been taken out already, and whether there are
// references that were not watched when they were read.
func (w *Watcher) again() bool {
	before, others := w.real, w.others
	w.real = w.look()
	if slices.ContainsFunc(w.others, func(name string) bool { return !slices.Contains(others, name) }) {
		return true
	}
	for name, target := range before {
		if w.real[name] != target {
			return true
		}
	}
	return false
}

// concerns reports whether the event is about the configuration: one of its files,
// or a link on the way to one that now leads elsewhere.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	named := w.named(e.Name)
	if e.Op == fsnotify.Write {
		return named // no link leads elsewhere for that: folders with much traffic cost little
	}
	before := w.real
	w.real = w.look()
	return named || w.named(e.Name) || !maps.Equal(before, w.real)
}

// named reports whether the path is one of the configuration, or what a link of it leads to.
func (w *Watcher) named(path string) bool {
	if path == w.c.Path || w.whole && filepath.Dir(path) == w.folder && isConfigName(filepath.Base(path)) || slices.Contains(w.others, path) {
		return true
	}
	for _, target := range w.real {
		if path == target {
			return true
		}
	}
	return false
}
