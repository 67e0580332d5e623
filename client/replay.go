package client

import (
	"context"
	"net/http"
	"time"
)

// ReplayRequest asks what a configuration would have decided.
type ReplayRequest struct {
	Configuration Configuration `json:"configuration"`
	Since         string        `json:"since"` // how far back, such as "24h"
}

// Replay is what a configuration says of the decisions that were recorded.
type Replay struct {
	From     time.Time `json:"from,omitzero"` // of the first and the last decision
	To       time.Time `json:"to,omitzero"`
	Replayed int64     `json:"replayed"`
	// Skipped were refused for their token, key or form, which no configuration changes.
	Skipped int64 `json:"skipped"`
	// Dropped were not recorded since the server started, because they came too fast.
	Dropped int64          `json:"dropped"`
	Changes []AccessChange `json:"changes"`
	// More is how many changes are not listed.
	More int64 `json:"more,omitempty"`
	// Unknown names what the configuration reads that was not recorded; Unsure counts
	// the decisions that may be wrong for it.
	Unknown []string `json:"unknown,omitempty"`
	Unsure  int64    `json:"unsure,omitempty"`
}

// AccessChange is access that somebody gains or loses.
type AccessChange struct {
	Access    string `json:"access"` // gains, loses
	Who       string `json:"who"`
	Operation string `json:"operation"`
	Count     int64  `json:"count"`         // requests
	Was       string `json:"was,omitempty"` // reason; empty = allowed
	Now       string `json:"now,omitempty"`
}

// Replay decides recorded requests by a configuration that is not served.
func (c *Client) Replay(ctx context.Context, r ReplayRequest) (Replay, error) {
	var out Replay
	err := c.call(ctx, http.MethodPost, "/replay", r, &out)
	return out, err
}
