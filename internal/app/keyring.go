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

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
)

// keyring gives the gateway the API keys of the ledger, and keeps them in a file of
// one JSON line each, so that a node which restarts while the store is down knows
// who may call. The file holds hashes and no keys. A later line of a key takes the
// place of an earlier one.
type keyring struct {
	path string
	set  *gateway.APIKeys

	mu   sync.Mutex
	seen ledger.Revision // what the set shows; 0 = nothing has been read of the ledger yet
	file *os.File        // open for appending; nil before the first line
}

// keptKey is one line of the file.
type keptKey struct {
	gateway.APIKey
	Deleted bool `json:"deleted,omitempty"`
}

// changesAtOnce is how many changes are looked through before the whole is read.
const changesAtOnce = 1000

// follow makes the set show what the ledger has: all of it the first time, after
// that what has changed. When it returns nil, keys of changes that were made before the
// call are in force.
func (k *keyring) follow(ctx context.Context, l *ledger.Ledger) (err error) {
	defer fault.Wrap(&err, "read the API keys")
	k.mu.Lock()
	defer k.mu.Unlock()
	return l.View(ctx, func(tx *ledger.Tx) error {
		head, err := tx.Head()
		if err != nil {
			return err
		}
		switch {
		case k.seen == 0 || head < k.seen: // the first time, or the store is another one
			err = k.all(tx)
		case head > k.seen:
			err = k.changed(tx)
		}
		if err == nil {
			k.seen = head
		}
		return err
	})
}

// all reads every key.
func (k *keyring) all(tx *ledger.Tx) error {
	var list []gateway.APIKey
	inactive := map[string]bool{}
	for o, err := range access.Apps.All(tx, ledger.Query{By: "status", Equal: []string{string(access.Inactive)}, Limit: 1000}) {
		if err != nil {
			return err
		}
		inactive[o.ID] = true
	}
	for o, err := range access.APIKeys.All(tx, ledger.Query{Limit: 1000}) {
		if err != nil {
			return err
		}
		list = append(list, forKeyring(o, inactive[o.Value.App]))
	}
	if err := k.set.Replace(list); err != nil {
		return err
	}
	return k.rewrite(list)
}

// changed reads the keys that have changed, and those of apps that have.
func (k *keyring) changed(tx *ledger.Tx) error {
	list, err := tx.ChangesSince(k.seen, changesAtOnce)
	if err != nil {
		return err
	}
	if len(list) == changesAtOnce {
		return k.all(tx)
	}
	ids := map[string]bool{}
	for i := range list {
		switch list[i].Kind {
		case access.APIKeys.Name():
			ids[list[i].ID] = true
		case access.Apps.Name():
			for o, err := range access.APIKeys.All(tx, ledger.Query{By: "app", Equal: []string{list[i].ID}, Limit: 1000}) {
				if err != nil {
					return err
				}
				ids[o.ID] = true
			}
		}
	}
	var lines []keptKey
	for id := range ids {
		line, err := readKey(tx, id)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	for i := range lines {
		if lines[i].Deleted {
			k.set.Remove(lines[i].ID)
		} else if err := k.set.Put(lines[i].APIKey); err != nil {
			return err
		}
	}
	return k.append(lines)
}

// readKey returns a key as it is now.
func readKey(tx *ledger.Tx, id string) (keptKey, error) {
	o, err := access.APIKeys.Get(tx, id)
	if fault.Is(err, fault.NotFound) {
		return keptKey{APIKey: gateway.APIKey{ID: id}, Deleted: true}, nil
	}
	if err != nil {
		return keptKey{}, err
	}
	app, err := access.Apps.Get(tx, o.Value.App)
	return keptKey{APIKey: forKeyring(o, app.Value.Status != access.Active)}, err
}

func forKeyring(o ledger.Object[access.APIKey], appInactive bool) gateway.APIKey {
	v := o.Value
	return gateway.APIKey{
		ID: o.ID, Hash: v.Hash, App: v.App, Scopes: v.Scopes, APIs: v.APIs, Zones: v.Zones, Limits: v.Limits, Family: v.Family, Created: v.Created, Expires: v.Expires,
		Disabled: appInactive || v.Status != access.Active,
	}
}

// recall makes the set show what the file holds, and reports whether there is a file.
func (k *keyring) recall() (known bool, err error) {
	defer fault.Wrap(&err, "read the kept API keys in %s", k.path)
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	kept := map[string]gateway.APIKey{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line keptKey
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			if lines.Scan() {
				return false, err
			}
			break // the last line may be half-written: it was never confirmed
		}
		if line.Deleted {
			delete(kept, line.ID)
		} else {
			kept[line.ID] = line.APIKey
		}
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	list := make([]gateway.APIKey, 0, len(kept))
	for id := range kept {
		list = append(list, kept[id])
	}
	return true, k.set.Replace(list)
}

func (k *keyring) rewrite(list []gateway.APIKey) error {
	var b []byte
	for i := range list {
		line, err := json.Marshal(keptKey{APIKey: list[i]})
		if err != nil {
			return err
		}
		b = append(append(b, line...), '\n')
	}
	k.closeFile()
	return writeFile(k.path, b)
}

func (k *keyring) append(lines []keptKey) error {
	if len(lines) == 0 {
		return nil
	}
	var b []byte
	for i := range lines {
		line, err := json.Marshal(lines[i])
		if err != nil {
			return err
		}
		b = append(append(b, line...), '\n')
	}
	if k.file == nil {
		f, err := os.OpenFile(k.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		k.file = f
	}
	if _, err := k.file.Write(b); err != nil {
		return err
	}
	return k.file.Sync()
}

func (k *keyring) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closeFile()
}

func (k *keyring) closeFile() {
	if k.file != nil {
		_ = k.file.Close()
		k.file = nil
	}
}

// countEvery is how often the store hears which keys were used.
const countEvery = 10 * time.Second

// countKeyUses tells the store now and then which keys were used, and once more at
// the end. What cannot be told while the store is down is lost: it is for people who
// look for keys that nobody needs.
func (a *App) countKeyUses() {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			a.saveKeyUses(context.WithoutCancel(a.ctx))
			return
		case <-tick.C:
			a.saveKeyUses(a.ctx)
		}
	}
}

func (a *App) saveKeyUses(ctx context.Context) {
	id := a.current()
	if id == nil {
		return
	}
	var states []store.KeyState
	for _, u := range a.node.apiKeys.TakeUses() {
		states = append(states, store.KeyState{ID: u.ID, LastUsed: u.Last, Uses: u.Uses})
	}
	ctx, cancel := context.WithTimeout(withTenant(ctx), 5*time.Second)
	defer cancel()
	if err := id.db.SaveKeyStates(ctx, states); err != nil {
		a.log.Warn("when API keys were last used could not be written", "keys", len(states), "error", err)
	}
}
