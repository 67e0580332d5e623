package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/order"
)

// contexts are the servers that this person has signed in to, in one file that nobody
// else may read.
type contexts struct {
	Current string            `json:"current,omitempty"`
	All     map[string]*place `json:"contexts"`
	path    string
}

// place is one server and the tokens for it.
type place struct {
	URL     string    `json:"url"` // of the identity listener
	Access  string    `json:"access_token"`
	Expires time.Time `json:"expires"` // of the access token
	Refresh string    `json:"refresh_token,omitempty"`
}

// envConfig names the folder of the file, in place of the user's own.
const envConfig = "GATEHOUSE_CONFIG_DIR"

// configFolder returns where the file is; empty when this person has no folder.
func (s *session) configFolder() string {
	for _, at := range []struct{ name, below string }{{envConfig, ""}, {"XDG_CONFIG_HOME", "gatehouse"}, {"HOME", ".config/gatehouse"}} {
		if dir, ok := s.Getenv(at.name); ok && dir != "" {
			return filepath.Join(dir, filepath.FromSlash(at.below))
		}
	}
	return ""
}

// contexts reads the file; none is an empty one. One that others can read is refused: it
// has tokens.
func (s *session) contexts() (*contexts, error) {
	dir := s.configFolder()
	if dir == "" {
		return &contexts{All: map[string]*place{}}, nil
	}
	c := &contexts{All: map[string]*place{}, path: filepath.Join(dir, "contexts.json")}
	info, err := os.Stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others and holds tokens: chmod 600 it, and sign in again if others may have read it", c.path)
	}
	b, err := os.ReadFile(c.path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	if c.All == nil {
		c.All = map[string]*place{}
	}
	return c, nil
}

// save writes the file whole or not at all.
func (c *contexts) save() error {
	if c.path == "" {
		return fmt.Errorf("there is no folder for settings: name one in $%s", envConfig)
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.path), "contexts-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// named returns the context that the flag names, or the current one; nil when there is
// none.
func (s *session) named(c *contexts) (string, *place, error) {
	name := s.use
	if name == "" {
		name = c.Current
	}
	if name == "" {
		return "", nil, nil
	}
	found := c.All[name]
	if found == nil {
		return "", nil, exit{exitUsage, fmt.Errorf("there is no context %q; \"gatehouse context list\" shows them", name)}
	}
	return name, found, nil
}

func newContext(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "context",
		Short: "Choose among the servers that you have signed in to",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the contexts", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := s.contexts()
			if err != nil {
				return err
			}
			type shown struct {
				Name    string `json:"name"`
				URL     string `json:"url"`
				Current bool   `json:"current"`
			}
			out := []shown{}
			for name, c := range all.All {
				out = append(out, shown{name, c.URL, name == all.Current})
			}
			order.By(out, func(a, b shown) int {
				if a.Name < b.Name {
					return -1
				}
				return 1
			})
			return s.print(out, func(w io.Writer) {
				row(w, "CURRENT", "NAME", "SERVER")
				for _, c := range out {
					mark := ""
					if c.Current {
						mark = "*"
					}
					row(w, mark, c.Name, c.URL)
				}
			})
		},
	}, &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one; - for none, that is the server on this machine", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := s.contexts()
			if err != nil {
				return err
			}
			if args[0] == "-" {
				all.Current = ""
				return all.save()
			}
			if all.All[args[0]] == nil {
				return exit{exitUsage, fmt.Errorf("there is no context %q; \"gatehouse context list\" shows them", args[0])}
			}
			all.Current = args[0]
			return all.save()
		},
	})
	return c
}
