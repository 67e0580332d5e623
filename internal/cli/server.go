package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/settings"
)

// local is what a running server leaves in its data folder for the person who
// may read it: where it is, and a token that lives as long as the process.
type local struct {
	Console string `json:"console"`
	Token   string `json:"token"`
}

// folders are where a server on this machine keeps its data when it is not told
// otherwise: that of `dev`, and that of `run`.
func (s *session) folders() []string {
	if s.data != "" {
		return []string{s.data}
	}
	if dir, ok := s.Getenv(settings.EnvData); ok && dir != "" {
		return []string{dir}
	}
	return []string{settings.DevData, settings.RunData}
}

// local returns what a server that runs here has left, or nil when none does.
func (s *session) local() (*local, error) {
	for _, dir := range s.folders() {
		path := filepath.Join(dir, "local.json")
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var l local
		if err := json.Unmarshal(b, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &l, nil
	}
	return nil, nil //nolint:nilnil // that no server runs is an answer
}

// client returns a client of the server that the flags, the environment or the data folder name.
func (s *session) client() (*client.Client, error) {
	c := client.Config{URL: s.server, Token: s.token}
	if c.URL == "" {
		c.URL, _ = s.Getenv("GATEHOUSE_URL")
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return nil, exit{exitUsage, fmt.Errorf("%q is no address of a server: write it as http://127.0.0.1:8082", c.URL)}
	}
	if c.Token == "" {
		c.Token, _ = s.Getenv("GATEHOUSE_TOKEN")
	}
	if c.URL != "" && c.Token != "" {
		return client.New(c), nil
	}
	if dir, _ := s.Getenv(settings.EnvData); c.URL == "" && c.Token == "" && s.data == "" && dir == "" || s.use != "" {
		if signed, err := s.signedIn(); signed != nil || err != nil {
			return signed, err
		}
	}
	l, err := s.local()
	switch {
	case err != nil:
		return nil, err
	case l == nil && c.URL == "":
		return nil, exit{exitUnreachable, fmt.Errorf("no server runs on the data in %s; start one with \"gatehouse dev\", sign in to one with \"gatehouse login URL\", or name one with --server and --token", strings.Join(s.folders(), " or "))}
	// A token is only ever sent to the server that it belongs to.
	case l != nil && (c.URL == "" || c.URL == l.Console):
		c.URL = l.Console
		if c.Token == "" {
			c.Token = l.Token
		}
	}
	return client.New(c), nil
}
