package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

// A snapshot on disk is one line that says what follows, and the JSON:
//
//	gatehouse-snapshot 1 <bytes> <SHA-256 in hex>
//
// It lets a node serve when nothing else is up. It holds no plain secret, but it
// does say everything about who may do what: only the owner may read it.
const (
	snapshotMagic   = "gatehouse-snapshot"
	snapshotVersion = 1
	maxSnapshot     = 512 << 20 // bytes
)

// Status is what a node says about what it serves.
type Status struct {
	Tenant   string    `json:"tenant,omitempty"`
	Revision int64     `json:"revision"` // 0 = nothing is loaded
	Loaded   time.Time `json:"loaded,omitzero"`
	APIs     int       `json:"apis"`
	Routes   int       `json:"routes"`
	FromDisk bool      `json:"from_disk,omitempty"`
	// Failed is the last attempt to load that did not succeed, if it came after Loaded.
	Failed   time.Time `json:"failed,omitzero"`
	Error    string    `json:"error,omitempty"`
	Persists bool      `json:"persists"` // the snapshot served is on disk
}

// Status returns what is served and how the last change went.
func (g *Gateway) Status() Status { return *g.status.Load() }

// Revision returns the revision that is served, 0 when none is.
func (g *Gateway) Revision() int64 {
	if c := g.current.Load(); c != nil {
		return c.revision
	}
	return 0
}

// Check compiles a snapshot and throws it away: the error is what Load would say.
func (g *Gateway) Check(s spec.Snapshot) error {
	probe := g.probe()
	c, err := probe.compile(s, nil)
	if err != nil {
		return err
	}
	for _, r := range c.routes {
		r.metrics.Release()
	}
	return nil
}

// probe is a gateway with the same settings that makes no backends.
func (g *Gateway) probe() *Gateway {
	p := &Gateway{config: g.config, names: g.names, render: g.render}
	p.config.Backend = func(spec.API, Backend) (Backend, error) { return &noBackend{}, nil }
	if p.config.Introspect != nil {
		// The secret of a snapshot that is not served yet may not be one that can be opened.
		p.config.Introspect = func(spec.Issuer) (Introspector, error) { return notAsked{}, nil }
	}
	if p.config.DecisionPoint != nil {
		p.config.DecisionPoint = func(spec.DecisionPoint) (DecisionPoint, error) { return nobodyAsked{}, nil }
	}
	if p.config.SignIn != nil {
		p.config.SignIn = func(spec.Issuer, []string) (SignIn, error) { return SignIn{Sessions: noSessions{}}, nil }
	}
	return p
}

// noSessions stands in where nobody signs in.
type noSessions struct{}

func (noSessions) Find([]byte, time.Time) Session             { return nil }
func (noSessions) Renew(context.Context, Session, bool) error { return nil }
func (noSessions) End(Session) error                          { return nil }

// Load compiles a snapshot, persists it, and serves it from then on. On any
// failure what was served before goes on. Exchanges under way end with the
// snapshot that they began with. Connections are not touched.
func (g *Gateway) Load(ctx context.Context, s spec.Snapshot) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	err := g.load(ctx, s, g.config.Snapshot)
	g.config.Metrics.Reload(err == nil)
	if err != nil {
		g.failed(err)
	}
	return err
}

// LoadFromDisk serves the snapshot that Load has left at Config.Snapshot. A
// missing file is a fault of code NotFound; a damaged one is Invalid.
func (g *Gateway) LoadFromDisk(ctx context.Context) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	s, err := ReadSnapshot(g.config.Snapshot)
	if err == nil {
		err = g.load(ctx, s, "")
	}
	g.config.Metrics.Reload(err == nil)
	if err != nil {
		g.failed(err)
		return err
	}
	status := *g.status.Load()
	status.FromDisk, status.Persists = true, true
	g.status.Store(&status)
	return nil
}

func (g *Gateway) failed(err error) {
	status := *g.status.Load()
	status.Failed, status.Error = g.config.Now(), err.Error()
	g.status.Store(&status)
}

func (g *Gateway) load(ctx context.Context, s spec.Snapshot, path string) error {
	if err := g.base.Err(); err != nil {
		return fault.Because(err, fault.Unavailable, "the gateway is closed")
	}
	old := g.current.Load()
	next, err := g.compile(s, old)
	if err != nil {
		return err
	}
	if path != "" {
		if err := writeSnapshot(path, s); err != nil {
			next.release(old)
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		next.release(old)
		return fmt.Errorf("load revision %d: %w", s.Revision, err)
	}
	g.current.Store(next)
	g.status.Store(&Status{
		Tenant: s.Tenant, Revision: s.Revision, Loaded: g.config.Now(), APIs: len(next.apis), Routes: len(next.routes),
		Persists: path != "",
	})
	g.config.Metrics.Revision(s.Tenant, s.Revision)
	if old != nil {
		for _, err := range old.release(next) {
			g.config.Logger.WarnContext(ctx, "something of the old configuration did not close", slog.Any("error", err))
		}
	}
	return nil
}

// writeSnapshot puts the file in place at once: after a crash there is the old
// one or the new one, whole.
func writeSnapshot(path string, s spec.Snapshot) (err error) {
	defer fault.Wrap(&err, "write snapshot %s", path)
	body, err := json.Marshal(s)
	if err != nil {
		return fault.Because(err, fault.Internal, "encode it")
	}
	sum := sha256.Sum256(body)
	head := fmt.Sprintf("%s %d %d %s\n", snapshotMagic, snapshotVersion, len(body), hex.EncodeToString(sum[:]))
	return replaceFile(path, []byte(head), body)
}

// replaceFile puts a file in place as a whole or not at all.
func replaceFile(path string, parts ...[]byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".snapshot-*") // made with mode 0600
	if err != nil {
		return fault.Because(err, fault.Unavailable, "make a file beside it: check that the folder exists and has room")
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // it may not be there any more
		}
	}()
	for _, part := range parts {
		if err == nil {
			_, err = f.Write(part)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return fault.Because(err, fault.Full, "the old one stays: check that the disk has room")
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read from
	return d.Sync()
}

// ReadSnapshot reads a snapshot file. A missing file is a fault of code
// NotFound; one that is damaged or of another version is Invalid.
func ReadSnapshot(path string) (s spec.Snapshot, err error) {
	defer fault.Wrap(&err, "read snapshot %s", path)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return s, fault.Because(err, fault.NotFound, "there is none yet")
	}
	if err != nil {
		return s, fault.Because(err, fault.Unavailable, "it cannot be opened")
	}
	defer f.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxSnapshot+1))
	if err != nil {
		return s, fault.Because(err, fault.Unavailable, "it cannot be read")
	}
	head, body, ok := bytes.Cut(data, []byte("\n"))
	var magic, sum string
	var version, size int
	if n, err := fmt.Sscanf(string(head), "%s %d %d %s", &magic, &version, &size, &sum); !ok || err != nil || n != 4 || magic != snapshotMagic {
		return s, fault.New(fault.Invalid, "it is not a snapshot: remove it, and the node will get a new one")
	}
	if version != snapshotVersion {
		return s, fault.New(fault.Invalid, "it is of version %d, this program reads version %d: remove it, and the node will get a new one", version, snapshotVersion)
	}
	if got := sha256.Sum256(body); size != len(body) || sum != hex.EncodeToString(got[:]) {
		return s, fault.New(fault.Invalid, "it is damaged, its checksum does not agree: remove it, and the node will get a new one")
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fault.Because(err, fault.Invalid, "it does not hold a snapshot")
	}
	return s, nil
}
