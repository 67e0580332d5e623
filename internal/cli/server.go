package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/client"
)

// local is what a running server leaves in its data folder for the person who
// may read it: where it is, and a token that lives as long as the process.
type local struct {
	Console string `json:"console"`
	Token   string `json:"token"`
}

// client returns a client of the server that the flags, the environment or the data folder name.
func (s *session) client() (*client.Client, error) {
	c := client.Config{URL: s.server, Token: s.token}
	if c.URL == "" {
		c.URL, _ = s.Getenv("GATEHOUSE_URL")
	}
	if c.Token == "" {
		c.Token, _ = s.Getenv("GATEHOUSE_TOKEN")
	}
	if c.URL == "" || c.Token == "" {
		path := filepath.Join(s.data, "local.json")
		b, err := os.ReadFile(path) //nolint:gosec // the data folder is the caller's own choice
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if c.URL == "" {
				return nil, exit{exitUnreachable, fmt.Errorf("no server runs on %s; start one with \"gatehouse dev\", or name one with --server and --token", s.data)}
			}
		case err != nil:
			return nil, err
		default:
			var l local
			if err := json.Unmarshal(b, &l); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			// A token is only ever sent to the server that it belongs to.
			if c.URL == "" || c.URL == l.Console {
				c.URL = l.Console
				if c.Token == "" {
					c.Token = l.Token
				}
			}
		}
	}
	return client.New(c), nil
}
