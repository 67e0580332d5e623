package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// newPreview is the tester of access policies and claims.
func newPreview(s *session) *cobra.Command {
	var r client.PreviewRequest
	var server string
	var scopes []string
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show what would come of a token request: every access rule that is considered, and where each claim comes from",
		Long: "Asks what the token endpoint asks, and stops before the signature: nothing is minted, nothing is stored. " +
			"Only administrators may ask. Exits with 4 when there would be no token.",
		Example: `  gatehouse token preview --client 0oa1 --scope orders:read
  gatehouse token preview --client 0oa1 --as ana@example.com --scope openid --scope profile --ip 203.0.113.7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			r.Scopes = split(scopes)
			p, err := cl.Preview(cmd.Context(), server, r)
			if err != nil {
				return err
			}
			if err := s.print(p, previewText(&p)); err != nil {
				return err
			}
			if !p.Granted {
				return exit{code: exitDenied}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&server, "authorization-server", "default", "name or id of the authorization server")
	f.StringVar(&r.ClientID, "client", "", "the app that asks")
	f.StringVar(&r.User, "as", "", "for this user, by login or id")
	f.StringVar(&r.GrantType, "grant", "", "grant type (default: authorization_code with --as, else client_credentials)")
	f.StringSliceVar(&scopes, "scope", nil, "with these scopes")
	f.StringVar(&r.IP, "ip", "", "from this address")
	f.StringVar(&r.Risk, "risk", "", "as after a sign-in of this risk: LOW, MEDIUM or HIGH (needs --as)")
	f.StringVar(&r.Device, "device", "", "from a device that is registered or managed")
	f.BoolVar(&r.MFA, "mfa", false, "as after a sign-in with a second factor just now (needs --as)")
	_ = c.MarkFlagRequired("client")
	return c
}

func previewText(p *client.Preview) func(io.Writer) {
	return func(w io.Writer) {
		verdict := "GRANTED"
		if !p.Granted {
			verdict = fmt.Sprintf("REFUSED  %s (%s): %s", p.Error, p.Reason, p.Description)
		}
		_, _ = fmt.Fprintf(w, "%s  %s  %s\n\n", verdict, p.GrantType, strings.Join(p.Scopes, " "))
		for _, c := range p.Considered {
			row(w, mark(c.Matched), c.PolicyName, or(c.RuleName, "(the policy)"), joinDetail(c.Reason, c.Detail))
		}
		if p.AccessTokenSeconds > 0 {
			_, _ = fmt.Fprintf(w, "\naccess token for %s\n", seconds(p.AccessTokenSeconds))
		}
		if t := p.RefreshToken; t != nil {
			_, _ = fmt.Fprintf(w, "refresh token for %s, unused for %s\n", or(seconds(t.Seconds), "ever"), seconds(t.IdleSeconds))
		}
		if p.Hook != "" {
			_, _ = fmt.Fprintf(w, "the inline hook %s would be asked, and may change what follows or say no\n", p.Hook)
		}
		left := 0
		for _, c := range p.Claims {
			if c.ValueType == "SYSTEM" && !c.Included && c.Error == "" {
				left++
				continue
			}
			row(w, mark(c.Included), c.Token, c.Name, or(c.Source, c.ValueType), claimOutcome(c))
		}
		if left > 0 {
			_, _ = fmt.Fprintf(w, "%d claims of OpenID Connect are not in it; -o json says why of each\n", left)
		}
		indent(w, "access token", p.AccessToken)
		indent(w, "ID token", p.IDToken)
	}
}

func claimOutcome(c client.PreviewedClaim) string {
	switch {
	case c.Error != "":
		return c.Error
	case c.Included:
		return string(c.Value)
	}
	return c.Reason
}

func mark(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func joinDetail(reason, detail string) string {
	if detail == "" {
		return reason
	}
	return reason + ": " + detail
}

func seconds(n int64) string {
	if n == 0 {
		return ""
	}
	return (time.Duration(n) * time.Second).String()
}

func indent(w io.Writer, what string, claims json.RawMessage) {
	if len(claims) == 0 {
		return
	}
	var b bytes.Buffer
	if json.Indent(&b, claims, "", "  ") == nil {
		_, _ = fmt.Fprintf(w, "\n%s\n%s\n", what, b.String())
	}
}
