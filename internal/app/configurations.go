package app

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/catalog"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
)

// configurations changes what is served: it checks a file as a gateway would,
// writes it to the ledger in one transaction, and sees it live on this node before
// it returns. It implements admin.Configurations.
type configurations struct {
	identity *identity
	node     *node
	dev      bool
}

// parse reads what apply and diff were sent.
func (c *configurations) parse(conf client.Configuration) (*config.File, error) {
	texts := make([]config.Text, len(conf.Files))
	for i, f := range conf.Files {
		texts[i] = config.Text{Name: f.Name, Data: []byte(f.Content)}
	}
	name := "configuration"
	if len(texts) == 1 {
		name = texts[0].Name
	}
	// References were resolved where the files are; this server's own environment
	// and files are not the caller's to read.
	file, problems := config.ParseAll(name, texts, config.Options{
		Dev:       c.dev,
		Elsewhere: true,
		Env:       func(name string) (string, bool) { v, ok := conf.Values["env:"+name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			v, ok := conf.Values["file:"+path]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(v), nil
		},
	})
	if len(problems) > 0 {
		return nil, problems.Fault()
	}
	return file, nil
}

// Diff implements admin.Configurations.
func (c *configurations) Diff(ctx context.Context, conf client.Configuration) (client.Diff, error) {
	file, err := c.parse(conf)
	if err != nil {
		return client.Diff{}, err
	}
	return c.apply(ctx, ledger.System("diff"), file, applyOptions{DryRun: true})
}

// Apply implements admin.Configurations.
func (c *configurations) Apply(ctx context.Context, actor admin.Actor, conf client.Configuration, ifRevision int64, dryRun bool) (client.Diff, error) {
	file, err := c.parse(conf)
	if err != nil {
		return client.Diff{}, err
	}
	return c.apply(ctx, ledgerActor(actor), file, applyOptions{DryRun: dryRun, Reason: conf.Reason, IfRevision: ifRevision})
}

type applyOptions struct {
	DryRun     bool
	Reason     string
	IfRevision int64 // 0 = whatever the revision is
}

// apply checks the file, writes what differs and makes it live here.
func (c *configurations) apply(ctx context.Context, actor ledger.Actor, file *config.File, o applyOptions) (_ client.Diff, err error) {
	if err := c.check(ctx, file); err != nil {
		return client.Diff{}, err
	}
	scopes, err := c.missingScopes(ctx, file)
	if err != nil {
		return client.Diff{}, err
	}
	if !o.DryRun {
		for server, names := range scopes {
			if _, err := c.identity.access.EnsureScopes(ctx, actor, server, names, "declared by "+file.Name); err != nil {
				return client.Diff{}, err
			}
		}
	}
	result, err := catalog.Apply(ctx, c.identity.ledger, catalog.Declared{
		File: filepath.Base(file.Name), Digest: file.Digest, Snapshot: file.Declared, Secrets: file.Secrets,
		Values: file.Values, Sealer: c.node.asked.sealer,
		Reason: o.Reason, IfRevision: ledger.Revision(o.IfRevision), DryRun: o.DryRun,
	}, actor)
	if err != nil {
		return client.Diff{}, err
	}
	out := client.Diff{Revision: int64(result.Revision)}
	for _, server := range slices.Sorted(maps.Keys(scopes)) {
		for _, name := range scopes[server] {
			out.Changes = append(out.Changes, client.ObjectDiff{Operation: "create", Kind: "scope", Name: server + " " + name})
		}
	}
	out.Changes = append(out.Changes, changes(result.Diff)...)
	if o.DryRun {
		return out, nil
	}
	return out, c.serve(ctx)
}

// check compiles the file and runs its tests. The caller is told of each test that fails.
func (c *configurations) check(ctx context.Context, file *config.File) error {
	results, err := runTests(ctx, c.node.gateway, file)
	if err != nil {
		return err
	}
	var failed []fault.Field
	for _, r := range results {
		if !r.Passed {
			failed = append(failed, fault.Field{Path: r.Source, Message: fmt.Sprintf("the test %q fails: the gateway answers %s", r.Text, r.Got)})
		}
	}
	if len(failed) > 0 {
		return fault.New(fault.Invalid, "%d of the %d tests of %s fail, so nothing was changed", len(failed), len(results), file.Name).WithFields(failed...)
	}
	return nil
}

// missingScopes returns the scopes that routes name and built-in servers do not
// have, by server (see docs/adr/0002).
func (c *configurations) missingScopes(ctx context.Context, file *config.File) (map[string][]string, error) {
	view, err := c.identity.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	builtin := map[string]string{}
	for _, is := range file.Declared.Issuers {
		if is.Builtin != "" {
			builtin[is.Name] = is.Builtin
		}
	}
	missing := map[string][]string{}
	for _, api := range file.Declared.APIs {
		issuers := api.Auth
		if at, err := file.Declared.SignsIn(&api); api.Sessions() && err == nil {
			issuers = append(slices.Clone(issuers), at.Name)
		}
		for _, issuer := range issuers {
			name, ok := builtin[issuer]
			if !ok {
				continue
			}
			server, ok := view.Server(name)
			if !ok {
				return nil, noServer(view, file.Declared.Sources[spec.PathIssuer(issuer)+".builtin"], name)
			}
			for _, scope := range scopesOf(api) {
				if _, there := server.Scope(scope); !there && !slices.Contains(missing[name], scope) {
					missing[name] = append(missing[name], scope)
				}
			}
		}
	}
	for _, names := range missing {
		slices.Sort(names)
	}
	return missing, nil
}

// noServer says that an issuer names a built-in server that is not there, and where.
func noServer(view *access.View, at, name string) error {
	e := fault.New(fault.Invalid, "there is no built-in authorization server %q: \"gatehouse servers\" lists them", name)
	var known []string
	for _, s := range view.Servers() {
		known = append(known, s.Name)
	}
	if near := config.Nearest(name, known); near != "" {
		e.Message += ": did you mean " + near + "?"
	}
	if at != "" {
		e.Message = at + ": " + e.Message
	}
	return e
}

func scopesOf(api spec.API) (all []string) {
	for _, r := range api.Routes {
		for _, set := range r.Scopes {
			all = append(all, set...)
		}
	}
	return all
}

// serve makes what the ledger holds live on this node.
func (c *configurations) serve(ctx context.Context) error {
	snapshot, err := c.snapshot(ctx, 0)
	if err != nil {
		return err
	}
	return c.node.load(ctx, snapshot)
}

// snapshot returns what the ledger holds at a revision (0 = now), built-in servers resolved.
func (c *configurations) snapshot(ctx context.Context, at ledger.Revision) (s spec.Snapshot, err error) {
	ctx = tenant.With(ctx, tenant.Default)
	err = c.identity.ledger.View(ctx, func(tx *ledger.Tx) error {
		s, err = catalog.SnapshotAt(tx, at)
		return err
	})
	if err != nil {
		return s, err
	}
	view, err := c.identity.views.Get(ctx, tenant.Default)
	if err != nil {
		return s, err
	}
	return withBuiltins(s, func(name string) (string, []string, bool) {
		server, ok := view.Server(name)
		if !ok {
			return "", nil, false
		}
		return server.Issuer(c.identity.url), server.Audiences, true
	}), c.serveKeys(ctx, s, view)
}

// serveKeys gives the gateway the keys of the built-in servers that the snapshot names.
func (c *configurations) serveKeys(ctx context.Context, s spec.Snapshot, view *access.View) error {
	for _, is := range s.Issuers {
		if is.Builtin == "" {
			continue
		}
		server, ok := view.Server(is.Builtin)
		if !ok {
			continue
		}
		ring, err := c.identity.rings.Ring(ctx, tenant.Default, server)
		if err != nil {
			return err
		}
		c.node.issuers.builtinKeys(server.Issuer(c.identity.url)).serve(ring)
	}
	return nil
}

// Rollback implements admin.Configurations.
func (c *configurations) Rollback(ctx context.Context, actor admin.Actor, revision int64, reason string) (client.Diff, error) {
	result, err := catalog.Rollback(ctx, c.identity.ledger, ledgerActor(actor), reason, ledger.Revision(revision))
	if err != nil {
		return client.Diff{}, err
	}
	return client.Diff{Revision: int64(result.Revision), Changes: changes(result.Diff)}, c.serve(ctx)
}

// Export implements admin.Configurations.
func (c *configurations) Export(ctx context.Context, revision int64) ([]byte, error) {
	var s spec.Snapshot
	var secrets map[string]string
	err := c.identity.ledger.View(ctx, func(tx *ledger.Tx) (err error) {
		if s, err = catalog.SnapshotAt(tx, ledger.Revision(revision)); err == nil {
			secrets, err = catalog.Secrets(tx, ledger.Revision(revision))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return config.Render(s, secrets), nil
}

// Changes implements admin.Configurations.
func (c *configurations) Changes(ctx context.Context, since int64, limit int, kind string) ([]client.Change, error) {
	var out []client.Change
	for len(out) < limit {
		list, err := c.identity.ledger.ChangesSince(ctx, ledger.Revision(since), limit)
		if err != nil {
			return nil, err
		}
		for _, ch := range list {
			since = int64(ch.Revision)
			if kind != "" && ch.Kind != kind || len(out) == limit {
				continue
			}
			out = append(out, change(&ch))
		}
		if len(list) < limit {
			break
		}
	}
	return out, nil
}

// changes are the catalog's in the client's words.
func changes(d catalog.Diff) []client.ObjectDiff {
	out := make([]client.ObjectDiff, len(d.Changes))
	for i, ch := range d.Changes {
		out[i] = client.ObjectDiff{Operation: ch.Operation, Kind: ch.Kind, Name: ch.Name}
		for _, f := range ch.Fields {
			out[i].Fields = append(out[i].Fields, client.FieldDiff(f))
		}
	}
	return out
}

func ledgerActor(a admin.Actor) ledger.Actor {
	return ledger.Actor{Type: "user", ID: a.ID, Name: a.Name}
}
