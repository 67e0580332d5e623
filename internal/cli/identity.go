package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newToken(s *session) *cobra.Command {
	var r client.TokenRequest
	var scopes []string
	c := &cobra.Command{
		Use:   "token",
		Short: "Print an access token for trying things out",
		Long:  "Prints a short-lived access token of a built-in authorization server. Only administrators may ask, and the system log says who did.",
		Example: `  curl -H "Authorization: Bearer $(gatehouse token --scope vacations:read)" http://127.0.0.1:8080/hr/vacations/ana
  gatehouse token --as ana@example.com --scope payroll:write --mfa`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.MFA && r.User == "" {
				return exit{exitUsage, errors.New("--mfa needs --as: an app signs in without a second factor")}
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			r.Scopes = split(scopes)
			t, err := cl.Mint(cmd.Context(), r)
			if err != nil {
				return err
			}
			return s.print(t, func(w io.Writer) { _, _ = fmt.Fprintln(w, t.AccessToken) })
		},
	}
	f := c.Flags()
	f.StringVar(&r.Server, "authorization-server", "default", "name or id of the authorization server")
	f.StringVar(&r.User, "as", "", "for this user, by login")
	f.StringVar(&r.ClientID, "client", "", "for this app (default: the demo app)")
	f.StringSliceVar(&scopes, "scope", nil, "with these scopes")
	f.BoolVar(&r.MFA, "mfa", false, "as after a sign-in with a second factor just now (needs --as)")
	c.AddCommand(newRevoke(s, "revoke"), newPreview(s))
	return c
}

func newKeys(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List signing keys; rotate them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			keys, err := cl.Keys(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(keys, keyTable(keys))
		},
	}
	c.AddCommand(listing(c), &cobra.Command{
		Use:   "rotate SERVER",
		Short: "Sign with the next key from now on; tokens of the old one stay valid until they expire",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			keys, err := cl.RotateKeys(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(keys, keyTable(keys))
		},
	})
	return c
}

func keyTable(keys []client.Key) func(io.Writer) {
	return func(w io.Writer) {
		row(w, "SERVER", "KID", "ALG", "STATE", "CREATED")
		for _, k := range keys {
			row(w, k.Server, k.ID, k.Algorithm, k.State, k.Created.Format("2006-01-02"))
		}
	}
}

func newServers(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "servers",
		Short: "List the built-in authorization servers; change their settings",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			list, err := cl.Servers(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(list, serverTable(list...))
		},
	}
	var set client.Server
	change := &cobra.Command{
		Use:     "set NAME",
		Short:   "Change how a server signs and what its tokens are like",
		Example: "  gatehouse servers set default --algorithm ES256 --lifetime-minutes 15",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			now, err := cl.UpdateServer(cmd.Context(), args[0], set)
			if err != nil {
				return err
			}
			return s.print(now, serverTable(now))
		},
	}
	f := change.Flags()
	f.StringVar(&set.Algorithm, "algorithm", "", "RS256, PS256, ES256 or EdDSA")
	f.StringVar(&set.TokenShape, "token-shape", "", "okta or rfc9068")
	f.IntVar(&set.AccessTokenMinutes, "lifetime-minutes", 0, "lifetime of access tokens where no access rule says another, 5 to 1440")
	f.StringSliceVar(&set.Audiences, "audience", nil, "audiences; tokens carry the first")
	c.AddCommand(listing(c), change)
	return c
}

func serverTable(list ...client.Server) func(io.Writer) {
	return func(w io.Writer) {
		row(w, "NAME", "ISSUER", "STATUS", "ALG", "TOKENS", "MINUTES", "AUDIENCES")
		for _, v := range list {
			row(w, v.Name, v.Issuer, v.Status, v.Algorithm, v.TokenShape, v.AccessTokenMinutes, strings.Join(v.Audiences, ","))
		}
	}
}

func newApps(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "apps",
		Short: "List and create the apps that may ask for tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			apps, err := cl.Apps(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(apps, func(w io.Writer) {
				row(w, "CLIENT_ID", "LABEL", "STATUS", "GRANTS")
				for _, a := range apps {
					row(w, a.ID, a.Label, a.Status, strings.Join(a.GrantTypes, ","))
				}
			})
		},
	}
	c.AddCommand(listing(c), &cobra.Command{
		Use:   "create LABEL",
		Short: "Register a service that gets tokens by client credentials; its secret is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return exit{exitUsage, errors.New("the label is empty")}
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			app, err := cl.CreateApp(cmd.Context(), client.App{Label: args[0]})
			if err != nil {
				return err
			}
			return s.print(app, func(w io.Writer) {
				row(w, "client_id", app.ID)
				row(w, "client_secret", app.Secret)
			})
		},
	})
	return c
}
