package cli

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newAPITokens(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "apitokens",
		Short: "List, make and delete the tokens with which people's programs call the management APIs",
		Long: "An API token is sent as \"Authorization: SSWS <token>\" to /api/v1 and /gatehouse/v1, by Okta's SDKs and Terraform too. It may do what the administrator " +
			"roles of its user allow, and ends when it has not been used for 30 days. It is shown once and kept as a hash.",
		Example: `  gatehouse apitokens create terraform --as ana@example.com --expires 2160h
  export GATEHOUSE_TOKEN=…  OKTA_API_TOKEN=…`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(newAPITokenList(s), newAPITokenCreate(s), newAPITokenDelete(s))
	return c
}

func newAPITokenList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List API tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			list, err := cl.APITokens(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(list, func(w io.Writer) {
				row(w, "ID", "NAME", "USER", "CREATED", "EXPIRES")
				for _, t := range list {
					row(w, t.ID, t.Name, t.User, dateOr(t.Created, "-"), dateOr(t.Expires, "when unused"))
				}
			})
		},
	}
}

func newAPITokenCreate(s *session) *cobra.Command {
	var t client.APIToken
	var life time.Duration
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API token of a person; it is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			if t.User == "" {
				return exit{exitUsage, errors.New("say whose token it is with --as LOGIN: it may do what that person's administrator roles allow")}
			}
			if life < 0 {
				return exit{exitUsage, errors.New("--expires is negative")}
			}
			t.Name = args[0]
			if life > 0 {
				t.Expires = time.Now().Add(life)
			}
			made, err := cl.CreateAPIToken(cmd.Context(), t)
			if err != nil {
				return err
			}
			return s.print(made, func(w io.Writer) {
				row(w, "id", made.ID)
				row(w, "user", made.User)
				row(w, "expires", dateOr(made.Expires, "when it has not been used for 30 days"))
				row(w, "token", made.Token)
			})
		},
	}
	c.Flags().StringVar(&t.User, "as", "", "of this person, by login")
	c.Flags().DurationVar(&life, "expires", 0, "good for this long at most, such as 2160h")
	return c
}

func newAPITokenDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "End an API token at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			return cl.DeleteAPIToken(cmd.Context(), args[0])
		},
	}
}
