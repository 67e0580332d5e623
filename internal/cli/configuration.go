package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
)

const defaultFile = "gatehouse.yaml"

// fileArg returns the configuration file or folder that a command works on.
func fileArg(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return defaultFile
}

// load reads a configuration and prints what is wrong with it.
func (s *session) load(opts config.Options) (*config.File, error) {
	opts.Env = s.Getenv
	f, problems := config.Load(opts)
	if len(problems) > 0 {
		return nil, s.problems(problems)
	}
	return f, nil
}

// checked reads a configuration, compiles it and runs its tests.
func (s *session) checked(cmd *cobra.Command, args []string) (*config.File, []app.TestResult, error) {
	f, err := s.load(config.Options{Path: fileArg(args)})
	if err != nil {
		return nil, nil, err
	}
	results, err := app.CheckFile(cmd.Context(), f)
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	return f, results, err
}

// findings prints the tests that fail as problems of the file: none is an empty list.
func (s *session) findings(results []app.TestResult) error {
	list := config.Problems{}
	for _, r := range results {
		if !r.Passed {
			list = append(list, config.Problem{Position: r.At, Path: "tests", Message: fmt.Sprintf("test fails: %s: the gateway answers: %s", r.Text, r.Got)})
		}
	}
	if err := s.print(list, nil); err != nil {
		return err
	}
	if len(list) > 0 {
		return exit{code: exitFailed}
	}
	return nil
}

// problems prints them and returns the error that ends the command.
func (s *session) problems(p config.Problems) error {
	code := exitFailed
	if len(p) > 0 && strings.HasPrefix(p[0].File, "flag ") {
		code = exitUsage
	}
	if s.output != "table" {
		if err := s.print(p, nil); err != nil {
			return err
		}
		return exit{code: code}
	}
	if err := p.Print(s.Err, s.color()); err != nil {
		return err
	}
	return exit{code: code}
}

// color reports whether stderr is a terminal that wants colour (no-color.org).
func (s *session) color() bool {
	if v, ok := s.Getenv("NO_COLOR"); ok && v != "" {
		return false
	}
	f, ok := s.Err.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newValidate(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a configuration, and run its tests",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, results, err := s.checked(cmd, args)
			if err != nil {
				return err
			}
			if s.output != "table" {
				return s.findings(results)
			}
			if failed := s.failures(results); failed > 0 {
				return exit{exitFailed, fmt.Errorf("%d of %d tests of %s fail", failed, len(results), f.Name)}
			}
			s.say("%s is valid: %s, %s, %s passed", f.Name, counted(len(f.Declared.APIs), "API"), counted(routeCount(f), "route"), counted(len(results), "test"))
			return nil
		},
	}
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func routeCount(f *config.File) (n int) {
	for _, a := range f.Declared.APIs {
		n += len(a.Routes)
	}
	return n
}

func newTest(s *session) *cobra.Command {
	var since string
	c := &cobra.Command{
		Use:   "test [FILE]",
		Short: "Run the tests of a configuration and show each",
		Long: `Run the tests of a configuration and show each.

With --replay, a server decides the requests of that time again by the
configuration, and lists who would gain and who would lose access (exit code 3
when anybody does). The server has to keep decisions: server.replay.keep.`,
		Example: `  gatehouse test
  gatehouse test --replay 24h draft.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since != "" {
				return s.replay(cmd, fileArg(args), since)
			}
			_, results, err := s.checked(cmd, args)
			if err != nil {
				return err
			}
			if err := s.print(results, func(w io.Writer) {
				for _, r := range results {
					if r.Passed {
						row(w, "ok", r.Text, "got "+r.Got)
					} else {
						row(w, "FAIL", r.Text, "got "+r.Got, r.Source)
					}
				}
			}); err != nil {
				return err
			}
			failed := 0
			for _, r := range results {
				if !r.Passed {
					failed++
				}
			}
			s.say("%d passed, %d failed", len(results)-failed, failed)
			if failed > 0 {
				return exit{code: exitFailed}
			}
			return nil
		},
	}
	c.Flags().StringVar(&since, "replay", "", "decide the requests of this long again, such as 24h")
	return c
}

// failures prints the tests that fail and returns how many there are.
func (s *session) failures(results []app.TestResult) (n int) {
	for _, r := range results {
		if !r.Passed {
			n++
			s.say("%s: test fails: %s\n  the gateway answers: %s", r.Source, r.Text, r.Got)
		}
	}
	return n
}

func newInit(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a first configuration",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := fileArg(args)
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already; remove it, or name another file", path)
			}
			if err != nil {
				return err
			}
			if _, err = f.Write(config.Starter()); err == nil {
				err = f.Close()
			}
			if err != nil {
				return err
			}
			s.say("wrote %s; next: gatehouse validate %s, then gatehouse run --config %s", path, path, path)
			return nil
		},
	}
}

func newSchema(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration, for editors",
		Example: "  gatehouse schema > gatehouse.schema.json\n  # first line of gatehouse.yaml:\n  # yaml-language-server: $schema=./gatehouse.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := s.Out.Write(config.JSONSchema())
			return err
		},
	}
}

func newWords(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "words [LANGUAGE]",
		Short:   "Print the texts of pages and letters, to translate or to replace some",
		Example: "  gatehouse words en > words/pt.json\n  # then server.brand.words: ./words",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			texts, err := app.PageWords(append(args, "en")[0])
			if err != nil {
				return err
			}
			_, err = s.Out.Write(texts)
			return err
		},
	}
}

// bundle reads the files of a configuration and the values of the references in
// them, as the management API takes them. It checks the configuration first.
func (s *session) bundle(path string) (client.Configuration, error) {
	values := map[string]string{}
	f, problems := config.Load(config.Options{
		Path:      path,
		Elsewhere: true,
		Env: func(name string) (string, bool) {
			v, ok := s.Getenv(name)
			if ok {
				values["env:"+name] = v
			}
			return v, ok
		},
		ReadFile: func(name string) ([]byte, error) {
			b, err := config.ReadReference(name)
			if err == nil {
				values["file:"+name] = string(b)
			}
			return b, err
		},
	})
	if len(problems) > 0 {
		return client.Configuration{}, s.problems(problems)
	}
	conf := client.Configuration{Values: values}
	for _, name := range f.Files {
		b, err := os.ReadFile(name)
		if err != nil {
			return conf, err
		}
		conf.Files = append(conf.Files, client.File{Name: filepath.ToSlash(name), Content: string(b)})
	}
	return conf, nil
}

func newDiff(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "diff [FILE]",
		Short: "Show how a configuration differs from what the server runs (exit code 3 when it does)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := s.bundle(fileArg(args))
			if err != nil {
				return err
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			d, err := cl.Diff(cmd.Context(), conf)
			if err != nil {
				return err
			}
			if err := s.print(d, diffTable(d)); err != nil {
				return err
			}
			if len(d.Changes) > 0 {
				return exit{code: exitDifferences}
			}
			s.say("no differences from revision %d", d.Revision)
			return nil
		},
	}
}

func newApply(s *session) *cobra.Command {
	var dryRun bool
	var reason string
	c := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Make a configuration what the server runs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := s.bundle(fileArg(args))
			if err != nil {
				return err
			}
			conf.Reason = reason
			cl, err := s.client()
			if err != nil {
				return err
			}
			d, err := cl.Apply(cmd.Context(), conf, dryRun)
			if err != nil {
				return err
			}
			if err := s.print(d, diffTable(d)); err != nil {
				return err
			}
			switch {
			case dryRun:
				s.say("nothing was written")
			case len(d.Changes) == 0:
				s.say("nothing to do: revision %d is this already", d.Revision)
			default:
				s.say("revision %d is live", d.Revision)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check everything, write nothing")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return c
}

func newRollback(s *session) *cobra.Command {
	var reason string
	var dryRun bool
	c := &cobra.Command{
		Use:   "rollback [KIND ID] REVISION",
		Short: "Bring what is served, or one object, back to an earlier revision, by a new one",
		Long: "Brings issuers, APIs, zones and policies of the gateway back to what they were. Apps, people and keys stay as they are.\n\n" +
			"With KIND and ID, such as user ana@example.com or access_rule 0pr…, brings that one back. Passwords and other secrets stay what they are.",
		Args: oneOrThree,
		RunE: func(cmd *cobra.Command, args []string) error {
			last := args[len(args)-1]
			n, err := strconv.ParseInt(last, 10, 64)
			if err != nil || n < 1 {
				return exit{exitUsage, fmt.Errorf("%q is no revision; \"gatehouse history\" lists them", last)}
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 3 {
				return s.restoreObject(cmd, cl, args[0], args[1], client.ObjectRestore{Revision: n, Reason: reason, DryRun: dryRun})
			}
			if dryRun {
				return exit{exitUsage, errors.New("--dry-run is for one object: rollback KIND ID REVISION")}
			}
			d, err := cl.Rollback(cmd.Context(), n, reason)
			if err != nil {
				return err
			}
			if err := s.print(d, diffTable(d)); err != nil {
				return err
			}
			s.say("revision %d is live; it is what revision %d was", d.Revision, n)
			if len(d.Changes) > 0 {
				s.say("a configuration file that says otherwise is to be put right as well: its next change brings this back")
			}
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would become of the object, and change nothing")
	return c
}

func diffTable(d client.Diff) func(io.Writer) {
	return func(w io.Writer) {
		for _, o := range d.Changes {
			sign := map[string]string{"create": "+", "delete": "-"}[o.Operation]
			if sign == "" {
				sign = "~"
			}
			_, _ = fmt.Fprintf(w, "%s %s %s\n", sign, o.Kind, o.Name)
			for _, f := range o.Fields {
				_, _ = fmt.Fprintf(w, "    %s:\t%s\t-> %s\n", f.Path, dash(f.Before), dash(f.After))
			}
		}
	}
}

func newExport(s *session) *cobra.Command {
	var revision int64
	c := &cobra.Command{
		Use:   "export",
		Short: "Print what the server runs as a configuration file",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			b, err := cl.Export(cmd.Context(), revision)
			if err != nil {
				return err
			}
			if s.output == "json" {
				if b, err = yaml.YAMLToJSON(b); err != nil {
					return err
				}
			}
			_, err = s.Out.Write(b)
			return err
		},
	}
	c.Flags().Int64Var(&revision, "revision", 0, "as it was at this revision (default: the newest)")
	return c
}

func newHistory(s *session) *cobra.Command {
	var since int64
	var kind string
	c := &cobra.Command{
		Use:   "history [KIND ID]",
		Short: "List who changed what, and when",
		Long:  "Lists the changes, the oldest first. With KIND and ID, such as user ana@example.com or access_rule 0pr…, those of one object, the newest first, with what each changed.",
		Args:  noneOrTwo,
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := s.client()
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return s.objectHistory(cmd, cl, args[0], args[1])
			}
			list, err := cl.Changes(cmd.Context(), since, 1000, kind)
			if err != nil {
				return err
			}
			return s.print(list, func(w io.Writer) {
				row(w, "REVISION", "TIME", "ACTOR", "OPERATION", "KIND", "ID", "REASON")
				for _, ch := range list {
					row(w, ch.Revision, ch.Time.Local().Format("2006-01-02 15:04:05"), ch.Actor, ch.Operation, ch.Kind, ch.ID, dash(ch.Reason))
				}
			})
		},
	}
	c.Flags().Int64Var(&since, "since", 0, "only after this revision")
	c.Flags().StringVar(&kind, "kind", "", "only of this kind, such as api or app")
	return c
}
