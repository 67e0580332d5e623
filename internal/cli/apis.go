package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"gatehouse/client"
)

// servedAPI is one API as the server runs it, in the words of the configuration.
type servedAPI struct {
	Name     string         `json:"name"`
	Host     string         `json:"host,omitempty"`
	BasePath string         `json:"base_path,omitempty"`
	Upstream []string       `json:"upstream"`
	Auth     []string       `json:"auth"`
	Routes   map[string]any `json:"routes"`
}

func newAPIs(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "apis",
		Short: "List the APIs that the server runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			list, err := servedAPIs(cmd, cl)
			if err != nil {
				return err
			}
			return s.print(list, func(w io.Writer) {
				row(w, "NAME", "HOST", "BASE PATH", "UPSTREAM", "AUTH", "ROUTES")
				for _, a := range list {
					row(w, a.Name, dash(a.Host), dash(a.BasePath), strings.Join(a.Upstream, ","), dash(strings.Join(a.Auth, ",")), len(a.Routes))
				}
			})
		},
	}
	c.AddCommand(listing(c))
	return c
}

// servedAPIs reads the APIs of what the server exports, by name.
func servedAPIs(cmd *cobra.Command, cl *client.Client) ([]servedAPI, error) {
	text, err := cl.Export(cmd.Context(), 0)
	if err != nil {
		return nil, err
	}
	var file struct {
		APIs map[string]struct {
			Host     string         `yaml:"host"`
			BasePath string         `yaml:"base_path"`
			Upstream any            `yaml:"upstream"`
			Auth     any            `yaml:"auth"`
			Routes   map[string]any `yaml:"routes"`
		} `yaml:"apis"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read what the server exports: %w", err)
	}
	list := []servedAPI{}
	for _, name := range slices.Sorted(maps.Keys(file.APIs)) {
		a := file.APIs[name]
		upstream := a.Upstream
		if group, ok := upstream.(map[string]any); ok {
			upstream = group["targets"]
		}
		list = append(list, servedAPI{Name: name, Host: a.Host, BasePath: a.BasePath, Upstream: listOf(upstream), Auth: listOf(a.Auth), Routes: a.Routes})
	}
	return list, nil
}

// listOf returns a value that is one text or a list of them as a list.
func listOf(v any) []string {
	out := []string{}
	switch v := v.(type) {
	case nil:
	case []any:
		for _, one := range v {
			out = append(out, fmt.Sprint(one))
		}
	default:
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// listing is the word list below a command that lists without it, too.
func listing(of *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "The same as without this word", Args: cobra.NoArgs, RunE: of.RunE}
}
