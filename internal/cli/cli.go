// Package cli is the command line: one file for each command or family of
// commands. A command reads flags, calls the configuration, the client of the
// management API or app, and prints; stdout is data, stderr is talk. It must not
// decide anything itself.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"gatehouse/client"
)

// Exit codes, as documented for scripts.
const (
	exitOK            = 0
	exitFailed        = 1
	exitUsage         = 2
	exitDifferences   = 3
	exitDenied        = 4
	exitUnreachable   = 5
	exitNotAuthorized = 6
)

// IO is what a command may touch of its surroundings.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) (string, bool)
}

// exit is an error that carries an exit code; err may be nil when all has been said.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// Main runs the command line and returns the exit code of the process.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, args, IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.LookupEnv})
}

// Run runs one command and returns its exit code. It ends early when ctx does.
func Run(ctx context.Context, args []string, std IO) int {
	root := newRoot(std)
	root.SetArgs(args)
	root.SetIn(std.In)
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var said exit
	if !errors.As(err, &said) || said.err != nil {
		_, _ = fmt.Fprintf(std.Err, "%v\n", err)
	}
	return code
}

func exitCode(err error) int {
	var e exit
	var api *client.Error
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable
	case errors.As(err, &api) && (api.Status == 401 || api.Status == 403):
		return exitNotAuthorized
	case errors.Is(err, context.Canceled):
		return exitOK
	default:
		return exitFailed
	}
}

// session is what the commands share: streams and the global flags.
type session struct {
	IO
	output string // table, json, yaml
	server string
	token  string
	data   string
	use    string // name of a context
}

func newRoot(std IO) *cobra.Command {
	s := &session{IO: std}
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "API gateway and API access management in one binary",
		Long: "Gatehouse lets the right callers reach the right operations of your APIs, and can always say why.\n\n" +
			"Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 differences found, 4 denied, 5 unreachable, 6 not authorized.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exit{exitUsage, fmt.Errorf("%w; see %q", err, c.CommandPath()+" --help")}
	})
	f := root.PersistentFlags()
	f.StringVarP(&s.output, "output", "o", "table", "table, json or yaml")
	f.StringVar(&s.server, "server", "", "address of the console listener (default: $GATEHOUSE_URL, else the server that runs on the data folder)")
	f.StringVar(&s.token, "token", "", "API token (default: $GATEHOUSE_TOKEN, else the local one in the data folder)")
	f.StringVar(&s.use, "context", "", "context to use (default: the current one; \"gatehouse context list\" shows them)")
	f.StringVar(&s.data, "data", "", "data folder (default: $GATEHOUSE_DATA, else .gatehouse for dev and gatehouse-data for run)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch s.output {
		case "table", "json", "yaml":
			return nil
		}
		return exit{exitUsage, fmt.Errorf("-o %s: choose table, json or yaml", s.output)}
	}
	for _, make := range commands() {
		root.AddCommand(make(s))
	}
	root.SetHelpCommand(newHelp())
	root.SetOut(std.Out) // completion keeps what it finds now
	root.InitDefaultCompletionCmd()
	finish(root)
	return root
}

// commands is the table of contents of the command line.
func commands() []func(*session) *cobra.Command {
	return []func(*session) *cobra.Command{
		newDev, newRun, newInit, // serve
		newValidate, newDiff, newApply, newRollback, newExport, newHistory, newTest, newSchema, newWords, // configuration
		newExplain, newTail, // decisions
		newLogin, newLogout, newContext, // who calls
		newToken, newServers, newKeys, newAPIs, newApps, newAPIKeys, newAPITokens, newUsers, newRevocations, // identity
		newDoctor, newDB, newVersion, // the installation
	}
}

// print writes v as JSON or YAML, or calls table for people.
func (s *session) print(v any, table func(w io.Writer)) error {
	switch s.output {
	case "json":
		e := json.NewEncoder(s.Out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "yaml":
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if b, err = yaml.JSONToYAML(b); err != nil {
			return err
		}
		_, err = s.Out.Write(b)
		return err
	default:
		w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
}

// row writes one tab-separated line of a table.
func row(w io.Writer, cells ...any) {
	parts := make([]string, len(cells))
	for i, c := range cells {
		parts[i] = fmt.Sprint(c)
	}
	_, _ = fmt.Fprintln(w, strings.Join(parts, "\t"))
}

func (s *session) say(format string, args ...any) { _, _ = fmt.Fprintf(s.Err, format+"\n", args...) }
