package cli

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newRevocations(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "revocations",
		Short: "Refuse tokens from now on; list what is revoked; take it back",
		Long:  "A revocation is in force on every node before the command returns, and open streams end within a second.",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(newRevoke(s, "create"), newRevocationList(s), newRevocationDelete(s))
	return c
}

// newRevoke is the command that revokes; "token revoke" is the same.
func newRevoke(s *session, name string) *cobra.Command {
	var r client.Revocation
	var life time.Duration
	var dry bool
	c := &cobra.Command{
		Use:   name + " KIND [VALUE]",
		Short: "Refuse tokens from now on, on every node",
		Long: "KIND is token (by jti), token_hash, session, user, client, key (by kid), certificate (by x5t#S256), api_key, issuer or tenant.\n" +
			"Of clients, users, sessions, issuers and the tenant, what was issued until now is refused, and what is issued later is not.\n" +
			"With token_hash, VALUE - reads the token itself from standard input: only its hash leaves this machine.",
		Example: "  gatehouse token revoke token AT.abc… --reason \"found in a log\"\n  gatehouse token revoke token_hash - < leaked.txt\n" +
			"  gatehouse token revoke user 00u1… --issuer https://acme.okta.com/oauth2/aus1\n  gatehouse token revoke issuer --issuer https://acme.okta.com/oauth2/aus1",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Kind, r.Value = args[0], ""
			if len(args) == 2 {
				r.Value = args[1]
			}
			if r.Kind == "token_hash" && r.Value == "-" {
				var err error
				if r.Value, err = hashOf(s.In); err != nil {
					return err
				}
			}
			if life > 0 {
				r.Expires = time.Now().Add(life)
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			made, err := cl.CreateRevocation(cmd.Context(), r, dry)
			if err != nil {
				return err
			}
			done := "revoked on every node"
			if dry {
				done = "would be " + done
			}
			if len(made.Also) > 0 {
				done += ", also for tokens of " + strings.Join(made.Also, ", ")
			}
			s.say("%s", done)
			return s.print(made, revocationTable(made))
		},
	}
	f := c.Flags()
	f.StringVar(&r.Issuer, "issuer", "", "of this issuer's tokens (default: users, clients and sessions of all built-in servers; of others, the server \"default\")")
	f.StringVar(&r.Reason, "reason", "", "why, for those who read the list")
	f.DurationVar(&life, "for", 0, "until then, such as 720h (default: until the last such token has expired)")
	f.BoolVar(&dry, "dry-run", false, "show what would be done")
	return c
}

// hashOf reads a token and returns base64url of its SHA-256.
func hashOf(in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \n\t") {
		return "", exit{exitUsage, errors.New("standard input holds no single token")}
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func newRevocationList(s *session) *cobra.Command {
	var q client.RevocationQuery
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is revoked, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			page, err := cl.Revocations(cmd.Context(), q)
			if err != nil {
				return err
			}
			if page.Next != "" {
				s.say("there are more: --after %s", page.Next)
			}
			return s.print(page, revocationTable(page.Revocations...))
		},
	}
	f := c.Flags()
	f.StringVar(&q.Kind, "kind", "", "only of this kind")
	f.StringVar(&q.Value, "value", "", "only of this token, user, client, …")
	f.StringVar(&q.After, "after", "", "what follows this one")
	f.IntVar(&q.Limit, "limit", 0, "at most so many (default 200)")
	return c
}

func revocationTable(list ...client.Revocation) func(io.Writer) {
	return func(w io.Writer) {
		row(w, "ID", "KIND", "VALUE", "ISSUER", "ISSUED BEFORE", "FORGOTTEN", "BY", "REASON")
		for _, r := range list {
			row(w, r.ID, r.Kind, r.Value, r.Issuer, dateOr(r.IssuedBefore, "-"), dateOr(r.Expires, "never"), r.Actor, r.Reason)
		}
	}
}

func newRevocationDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Take a revocation back: what it named is accepted again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			return cl.LiftRevocation(cmd.Context(), args[0])
		},
	}
}
