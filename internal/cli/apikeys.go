package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newAPIKeys(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "apikeys",
		Short: "List, make, rotate and disable the API keys of apps",
		Long:  "API keys let programs call APIs that have \"auth: api_key\" as an app, without a token. A key is shown once and kept as a hash.",
		Example: `  gatehouse apikeys create nightly-export --app 0oa1… --scope orders:read --expires 2160h
  curl -H "X-API-Key: gk_live_…" http://127.0.0.1:8080/orders`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(newAPIKeyList(s), newAPIKeyCreate(s), newAPIKeyRotate(s), newAPIKeyDisable(s), newAPIKeyDelete(s))
	return c
}

func newAPIKeyList(s *session) *cobra.Command {
	var app string
	c := &cobra.Command{
		Use:   "list",
		Short: "List API keys and when they were last used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			keys, err := cl.APIKeys(cmd.Context(), app)
			if err != nil {
				return err
			}
			return s.print(keys, func(w io.Writer) {
				row(w, "ID", "NAME", "BEGINS", "APP", "STATUS", "SCOPES", "EXPIRES", "LAST USED")
				for _, k := range keys {
					row(w, k.ID, k.Name, k.Hint, k.App, k.Status, strings.Join(k.Scopes, ","), dateOr(k.Expires, "never"), dateOr(k.LastUsed, "-"))
				}
			})
		},
	}
	c.Flags().StringVar(&app, "app", "", "only those of this app, by client_id")
	return c
}

func dateOr(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func newAPIKeyCreate(s *session) *cobra.Command {
	var k client.APIKey
	var scopes, apis, zones []string
	var life time.Duration
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key; it is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			if k.App == "" {
				return exit{exitUsage, errors.New("say whose key it is with --app: \"gatehouse apps\" lists them")}
			}
			k.Name, k.Scopes, k.APIs, k.Zones = args[0], split(scopes), split(apis), split(zones)
			if life > 0 {
				k.Expires = time.Now().Add(life)
			}
			made, err := cl.CreateAPIKey(cmd.Context(), k)
			if err != nil {
				return err
			}
			return s.print(made, func(w io.Writer) { showNewKey(w, made) })
		},
	}
	f := c.Flags()
	f.StringVar(&k.App, "app", "", "of this app, by client_id")
	f.StringSliceVar(&scopes, "scope", nil, "that may do this")
	f.StringSliceVar(&apis, "api", nil, "for these APIs only, by name (default: all that take keys)")
	f.StringSliceVar(&zones, "zone", nil, "from these zones only, by name (default: from anywhere)")
	f.StringSliceVar(&k.Limits, "limit", nil, "so often at most, such as 100/min; up to two")
	f.DurationVar(&life, "expires", 0, "good for this long, such as 2160h (default: for ever)")
	return c
}

// showNewKey prints the key on a line of its own, to be copied.
func showNewKey(w io.Writer, k client.APIKey) {
	row(w, "id", k.ID)
	row(w, "expires", dateOr(k.Expires, "never"))
	row(w, "key", k.Key)
}

func newAPIKeyRotate(s *session) *cobra.Command {
	var overlap time.Duration
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a key that may do the same; the old one lives on for a while",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			made, err := cl.RotateAPIKey(cmd.Context(), args[0], overlap)
			if err != nil {
				return err
			}
			return s.print(made, func(w io.Writer) { showNewKey(w, made) })
		},
	}
	c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old key lives on; 0 disables it at once")
	return c
}

func newAPIKeyDisable(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "disable ID",
		Short: "Refuse a key from now on, on every node, for ever",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			k, err := cl.DisableAPIKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(k, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s is disabled\n", k.ID) })
		},
	}
}

func newAPIKeyDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Remove a key that is disabled or has expired",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			return cl.DeleteAPIKey(cmd.Context(), args[0])
		},
	}
}
