package client

import (
	"context"
	"net/http"
	"time"
)

// Configuration is what `apply` and `diff` send: the files as they are, and the
// values of the ${env:} and ${file:} references in them, read where the files are.
type Configuration struct {
	Files  []File            `json:"files"`
	Values map[string]string `json:"values,omitempty"` // "env:NAME" or "file:/path" to value
	Reason string            `json:"reason,omitempty"`
}

// File is one configuration file.
type File struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// Diff is how one configuration differs from another, object by object.
type Diff struct {
	Revision int64        `json:"revision"` // what it was compared with, or what it became
	Changes  []ObjectDiff `json:"changes"`
}

// ObjectDiff is what would happen, or has happened, to one object.
type ObjectDiff struct {
	Operation string      `json:"operation"` // create, update, delete
	Kind      string      `json:"kind"`
	Name      string      `json:"name"`
	Fields    []FieldDiff `json:"fields,omitempty"`
}

// FieldDiff is one field before and after; absent is the empty string.
type FieldDiff struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Change is one row of the ledger's history.
type Change struct {
	Revision  int64     `json:"revision"`
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason,omitempty"`
	Kind      string    `json:"kind"`
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Hash      string    `json:"hash"`
}

// Diff compares a configuration with what the server runs.
func (c *Client) Diff(ctx context.Context, conf Configuration) (Diff, error) {
	var d Diff
	err := c.call(ctx, http.MethodPost, "/diff", conf, &d)
	return d, err
}

// Apply makes the server run a configuration. With dryRun everything is checked and nothing is written.
func (c *Client) Apply(ctx context.Context, conf Configuration, dryRun bool) (Diff, error) {
	path := "/apply"
	if dryRun {
		path += "?dryRun=true"
	}
	var d Diff
	err := c.call(ctx, http.MethodPost, path, conf, &d)
	return d, err
}

// Rollback brings issuers, APIs, zones and policies back to what they were at the
// revision, by new changes.
func (c *Client) Rollback(ctx context.Context, revision int64, reason string) (Diff, error) {
	var d Diff
	err := c.call(ctx, http.MethodPost, "/rollback", map[string]any{"revision": revision, "reason": reason}, &d)
	return d, err
}

// Export returns what the gateway serves as a configuration file; revision 0 is the newest.
func (c *Client) Export(ctx context.Context, revision int64) ([]byte, error) {
	var b []byte
	err := c.call(ctx, http.MethodGet, query("/export", "revision", number(revision)), nil, &b)
	return b, err
}

// Changes returns history after a revision, oldest first; kind may be empty.
func (c *Client) Changes(ctx context.Context, since int64, limit int, kind string) ([]Change, error) {
	var out struct {
		Changes []Change `json:"changes"`
	}
	err := c.call(ctx, http.MethodGet, query("/changes", "since", number(since), "limit", number(int64(limit)), "kind", kind), nil, &out)
	return out.Changes, err
}
