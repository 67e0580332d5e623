package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newExplain(s *session) *cobra.Command {
	var h client.Hypothetical
	var as string
	var scopes, groups, roles, headers []string
	c := &cobra.Command{
		Use:   "explain REQUEST_ID | explain METHOD PATH",
		Short: "Say why a request was, or would be, let through or refused",
		Example: `  gatehouse explain 01J8ZK3V9M
  gatehouse explain GET /hr/vacations/ana --scope vacations:read
  gatehouse explain PUT /hr/direct-deposit/ana --user ana --scope payroll:write --group employees --mfa 1m`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			if app, ok := strings.CutPrefix(as, "client:"); ok {
				h.ClientID = app
			} else if as != "" {
				h.User = as
			}
			var d client.Decision
			if len(args) == 1 {
				d, err = cl.Decision(cmd.Context(), args[0])
			} else {
				h.Method, h.Path = strings.ToUpper(args[0]), args[1]
				h.Scopes, h.Groups, h.Roles = split(scopes), split(groups), split(roles)
				if h.Headers, err = headerMap(headers); err != nil {
					return exit{exitUsage, err}
				}
				d, err = cl.Explain(cmd.Context(), h)
			}
			if err != nil {
				return err
			}
			if err := s.print(d, func(w io.Writer) { printTrace(w, d) }); err != nil {
				return err
			}
			if d.Decision != "allow" {
				return exit{code: exitDenied}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&h.User, "user", "", "as this user (the token's sub)")
	f.StringVar(&as, "as", "", "as this user; client:APP is an app that acts for itself")
	f.StringVar(&h.ClientID, "client", "", "from this app")
	f.StringVar(&h.Issuer, "issuer", "", "with a token of this issuer (default: the API's first)")
	f.StringVar(&h.Token, "jwt", "", "with this real token in place of --user, --scope and --group")
	f.StringVar(&h.Host, "host", "", "for this host name")
	f.StringVar(&h.From, "from", "", "from this IP address")
	f.StringSliceVar(&scopes, "scope", nil, "with these scopes")
	f.StringSliceVar(&groups, "group", nil, "in these groups")
	f.StringSliceVar(&roles, "role", nil, "with these roles")
	f.StringVar(&h.Country, "country", "", "from this country, such as DE (default: what the file of places says)")
	f.Uint32Var(&h.ASN, "asn", 0, "from this network operator")
	f.StringVar(&h.MFA, "mfa", "", "after a sign-in with a second factor this long ago, such as 2m")
	f.StringVar(&h.ACR, "acr", "", "with this authentication context class")
	f.TimeVar(&h.At, "at", time.Time{}, []string{time.RFC3339}, "at this time, such as 2026-01-31T22:30:00Z (default: now)")
	f.StringArrayVarP(&headers, "header", "H", nil, "with this header, as \"Name: value\"")
	return c
}

func newTail(s *session) *cobra.Command {
	var api string
	var denied bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Follow the gateway's decisions as they are made",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			err = cl.Tail(cmd.Context(), api, denied, func(d client.Decision) error {
				if s.output != "table" {
					return s.print(d, nil)
				}
				_, err := fmt.Fprintln(s.Out, decisionLine(d))
				return err
			})
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	c.Flags().StringVar(&api, "api", "", "only of this API")
	c.Flags().BoolVar(&denied, "denied", false, "only what was refused")
	return c
}

func decisionLine(d client.Decision) string {
	reason := d.Reason
	if reason == "" {
		reason = "-"
	}
	who := d.User
	if who == "" {
		who = d.Client
	}
	if who == "" {
		who = "-"
	}
	return fmt.Sprintf("%s  %-7s %3d  %-24s %-6s %s  %s  %.1f ms  %s",
		d.Time.Local().Format("15:04:05.000"), d.Decision, d.Status, reason, d.Method, d.Path, who, d.Millis, d.RequestID)
}

func printTrace(w io.Writer, d client.Decision) {
	verdict := strings.ToUpper(d.Decision)
	if d.Reason != "" {
		verdict += " " + d.Reason
	}
	_, _ = fmt.Fprintf(w, "%s\t%s %s\n", verdict, d.Method, d.Path)
	if d.RequestID != "" {
		_, _ = fmt.Fprintf(w, "request\t%s at %s, status %d, revision %d\n", d.RequestID, d.Time.Local().Format("2006-01-02 15:04:05.000"), d.Status, d.Revision)
	}
	if d.Detail != "" {
		_, _ = fmt.Fprintf(w, "because\t%s\n", d.Detail)
	}
	_, _ = fmt.Fprintln(w)
	row(w, "STEP", "OUTCOME", "NEEDED", "HAD", "SET AT")
	for _, st := range d.Steps {
		outcome := st.Outcome
		if st.Reason != "" {
			outcome += " (" + st.Reason + ")"
		}
		row(w, st.Name, outcome, dash(st.Needed), dash(st.Had), dash(st.Source))
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// split lets lists be given with commas, spaces or by repeating the flag.
func split(list []string) []string {
	var out []string
	for _, l := range list {
		out = append(out, strings.Fields(l)...)
	}
	return out
}

func headerMap(lines []string) (map[string]string, error) {
	out := make(map[string]string, len(lines))
	for _, l := range lines {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			return nil, fmt.Errorf("header %q: write it as \"Name: value\"", l)
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, nil
}
