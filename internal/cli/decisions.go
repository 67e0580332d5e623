package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/config"
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
			if err := target(&h, args); err != nil {
				return exit{exitUsage, err}
			}
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
				h.Scopes, h.Groups, h.Roles = split(scopes), split(groups), split(roles)
				if h.Headers, err = headerMap(headers); err != nil {
					return exit{exitUsage, err}
				}
				if d, err = cl.Explain(cmd.Context(), h); d.Path == "" {
					d.Path = h.Path // what has no one meaning has no canonical form
				}
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

// target reads what is to be explained: one argument is the id of a request, two are
// a method and a path or URL.
func target(h *client.Hypothetical, args []string) error {
	first := args[0]
	if len(args) == 1 {
		switch {
		case strings.HasPrefix(first, "/"), strings.Contains(first, "://"):
			return fmt.Errorf("write the method as well: gatehouse explain GET %s", first)
		case slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, strings.ToUpper(first)):
			return fmt.Errorf("write the path as well: gatehouse explain %s /path", first)
		}
		return nil
	}
	h.Method, h.Path = strings.ToUpper(first), args[1]
	if strings.Contains(h.Path, "://") {
		u, err := url.Parse(h.Path)
		if err != nil || u.Host == "" || u.User != nil {
			return fmt.Errorf("%q is no URL", h.Path)
		}
		_, rest, _ := strings.Cut(h.Path, "://")
		h.Path = "/" + strings.TrimPrefix(rest[len(u.Host):], "/")
		if h.Host == "" {
			h.Host = u.Hostname()
		}
	}
	if !strings.HasPrefix(h.Path, "/") {
		return fmt.Errorf("the path begins with /: gatehouse explain %s /%s", h.Method, h.Path)
	}
	if _, err := netip.ParseAddr(h.From); h.From != "" && err != nil {
		return fmt.Errorf("--from %s: it takes an IP address", h.From)
	}
	if age, err := time.ParseDuration(h.MFA); h.MFA != "" && (err != nil || age < 0) {
		return fmt.Errorf("--mfa %s: it takes how long ago, such as 2m", h.MFA)
	}
	return nil
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
			if api != "" {
				if list, err := servedAPIs(cmd, cl); err == nil { // who may follow may not have to see them
					s.waitsFor(api, list)
				}
			}
			err = cl.Tail(cmd.Context(), api, denied, func(d client.Decision) error {
				switch s.output {
				case "json": // a line for each, so that it can be filtered by lines too
					return json.NewEncoder(s.Out).Encode(d)
				case "yaml":
					_, _ = fmt.Fprintln(s.Out, "---")
					return s.print(d, nil)
				}
				_, err := fmt.Fprintln(s.Out, decisionLine(d))
				return err
			})
			switch {
			case errors.Is(err, context.Canceled):
				return nil
			case err == nil:
				return exit{exitUnreachable, errors.New("the server has ended")}
			}
			return err
		},
	}
	c.Flags().StringVar(&api, "api", "", "only of this API")
	c.Flags().BoolVar(&denied, "denied", false, "only what was refused")
	return c
}

// waitsFor says that an API whose decisions are followed is not served, and which was
// probably meant: it may come.
func (s *session) waitsFor(api string, list []servedAPI) {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name
	}
	if slices.Contains(names, api) {
		return
	}
	hint := ""
	if near := config.Nearest(api, names); near != "" {
		hint = ": did you mean " + near + "?"
	}
	s.say("no API %q is served now%s", api, hint)
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
		status := ""
		if d.Status != 0 { // of a request that was only described and passes, the upstream would say
			status = fmt.Sprintf("status %d, ", d.Status)
		}
		_, _ = fmt.Fprintf(w, "request\t%s at %s, %srevision %d\n", d.RequestID, d.Time.Local().Format("2006-01-02 15:04:05.000"), status, d.Revision)
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
