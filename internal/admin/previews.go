package admin

import (
	"context"

	"gatehouse/client"
)

// Previews says what would come of a token request.
type Previews interface {
	Preview(ctx context.Context, server string, r client.PreviewRequest) (client.Preview, error)
}

func (a *API) preview(c *call) (any, error) {
	var r client.PreviewRequest
	if err := c.read(&r); err != nil {
		return nil, err
	}
	return a.Previews.Preview(c.Context(), c.PathValue("server"), r)
}
