package client

import (
	"context"
	"net/http"
)

// NewUser is a person to import. They have no password until one is set.
type NewUser struct {
	Login     string `json:"login"`
	Email     string `json:"email,omitempty"` // the login when empty
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	// Attributes are the others of the profile: text, numbers, booleans and lists of these.
	Attributes map[string]any `json:"attributes,omitempty"`
	Staged     bool           `json:"staged,omitempty"` // not in use yet
}

// UserImport is a list of users to import.
type UserImport struct {
	Users []NewUser `json:"users"`
}

// MaxImport is how many users ImportUsers takes at a time.
const MaxImport = 1000

// ImportUsers adds at most MaxImport users: all of them, or none and an error that
// says who could not be added and why.
func (c *Client) ImportUsers(ctx context.Context, users []NewUser) error {
	return c.call(ctx, http.MethodPost, "/users/import", UserImport{Users: users}, nil)
}
