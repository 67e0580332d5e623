package client

import (
	"context"
	"net/http"
	"net/url"
)

// ObjectChange is a change of one object, with the fields that it changed. Secrets are
// named, and not shown.
type ObjectChange struct {
	Change
	Fields []FieldDiff `json:"fields,omitempty"`
}

// ObjectRestore asks to bring an object back to what it was.
type ObjectRestore struct {
	Revision int64  `json:"revision"`
	Reason   string `json:"reason,omitempty"`
	DryRun   bool   `json:"dryRun,omitempty"`
}

// RestoredObject is what restoring an object did, or would do; nothing when Fields is empty.
type RestoredObject struct {
	Revision  int64       `json:"revision"` // that is live now
	Operation string      `json:"operation,omitempty"`
	Fields    []FieldDiff `json:"fields,omitempty"`
}

// ObjectHistory returns the changes of an object of people or policies, such as user
// 00u…, the newest first.
func (c *Client) ObjectHistory(ctx context.Context, kind, id string) ([]ObjectChange, error) {
	var out struct {
		Changes []ObjectChange `json:"changes"`
	}
	err := c.call(ctx, http.MethodGet, "/objects/"+url.PathEscape(kind)+"/"+url.PathEscape(id)+"/history", nil, &out)
	return out.Changes, err
}

// RestoreObject brings an object of people or policies back to what it was at a revision.
// Passwords and other secrets stay what they are.
func (c *Client) RestoreObject(ctx context.Context, kind, id string, r ObjectRestore) (RestoredObject, error) {
	var out RestoredObject
	err := c.call(ctx, http.MethodPost, "/objects/"+url.PathEscape(kind)+"/"+url.PathEscape(id)+"/restore", r, &out)
	return out, err
}
