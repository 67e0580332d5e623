package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/tenant"
)

// revocationLog puts revocations into force on this node and keeps them in a
// file of one JSON line each, so that a node which restarts while the store is
// down still refuses what was revoked. The store has the truth: when it is
// there, rewrite replaces the file. It implements cluster.Subscriber.
type revocationLog struct {
	path    string
	set     *gateway.Revocations
	now     func() time.Time
	revised func(tenant.ID, int64) // told of revisions; may be nil

	mu        sync.Mutex
	file      *os.File             // open for appending; nil before the first line
	replacing bool                 // the store is being read
	meanwhile []cluster.Revocation // told since then
}

// Revoked puts a revocation into force. It is in force even when the file could
// not be written; the error then keeps the caller from being told that all is done.
func (l *revocationLog) Revoked(_ context.Context, r cluster.Revocation) (err error) {
	defer fault.Wrap(&err, "apply a revocation")
	g, err := forGateway(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.replacing {
		l.meanwhile = append(l.meanwhile, r)
	}
	if err := l.set.Add(l.now(), g); err != nil {
		return err
	}
	return l.append(r)
}

// Revised passes on that a revision is out.
func (l *revocationLog) Revised(_ context.Context, t tenant.ID, revision int64) {
	if l.revised != nil {
		l.revised(t, revision)
	}
}

func (l *revocationLog) append(r cluster.Revocation) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if l.file == nil {
		l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
	}
	if _, err = l.file.Write(append(b, '\n')); err != nil {
		return err
	}
	return l.file.Sync()
}

// replace makes what read returns, which is what the store has, the whole of what
// is in force and in the file. What is told while read runs is kept as well: read
// may have looked before it was there.
func (l *revocationLog) replace(read func() ([]cluster.Revocation, error)) (err error) {
	defer fault.Wrap(&err, "load the revocations of the store")
	l.mu.Lock()
	l.replacing, l.meanwhile = true, nil
	l.mu.Unlock()
	list, err := read()
	l.mu.Lock()
	defer l.mu.Unlock()
	list = append(list, l.meanwhile...)
	l.replacing, l.meanwhile = false, nil
	if err != nil {
		return err
	}
	if err := l.force(list); err != nil {
		return err
	}
	var b []byte
	for i := range list {
		line, err := json.Marshal(list[i])
		if err != nil {
			return err
		}
		b = append(append(b, line...), '\n')
	}
	l.closeFile()
	return writeFile(l.path, b)
}

// recall puts into force what the file holds, and reports whether there is a file:
// without one this node cannot know what was revoked.
func (l *revocationLog) recall() (known bool, err error) {
	defer fault.Wrap(&err, "read the kept revocations in %s", l.path)
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	now := l.now()
	var list []cluster.Revocation
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r cluster.Revocation
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			// The last line may be half-written: it was never confirmed.
			if lines.Scan() {
				return false, err
			}
			break
		}
		if r.Expires.IsZero() || r.Expires.After(now) {
			list = append(list, r)
		}
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	return true, l.force(list)
}

func (l *revocationLog) force(list []cluster.Revocation) error {
	all := make([]gateway.Revocation, 0, len(list))
	for i := range list {
		g, err := forGateway(list[i])
		if err != nil {
			return err
		}
		all = append(all, g)
	}
	return l.set.Replace(all)
}

func (l *revocationLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFile()
}

func (l *revocationLog) closeFile() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// revocationKinds are the words of the bus in those of the data plane.
var revocationKinds = map[cluster.Kind]gateway.RevocationKind{
	cluster.TokenID:   gateway.RevokedTokenID,
	cluster.TokenHash: gateway.RevokedTokenHash,
	cluster.Session:   gateway.RevokedSession,
	cluster.Client:    gateway.RevokedClient,
	cluster.User:      gateway.RevokedUser,
	cluster.Key:       gateway.RevokedKey,
	cluster.Issuer:    gateway.RevokedIssuer,
}

func forGateway(r cluster.Revocation) (gateway.Revocation, error) {
	kind, ok := revocationKinds[r.Kind]
	if !ok {
		return gateway.Revocation{}, fault.New(fault.Invalid, "revocations are of a token, token_hash, session, client, user, key or issuer, not of %q", string(r.Kind))
	}
	return gateway.Revocation{Kind: kind, Issuer: r.Issuer, Value: r.Value, IssuedBefore: r.IssuedBefore, Expires: r.Expires}, nil
}
