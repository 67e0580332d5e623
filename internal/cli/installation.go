package cli

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
	"gatehouse/internal/settings"
)

// version is set by the linker: see the Makefile.
var version = "dev"

func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return s.print(v, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "gatehouse %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
			})
		},
	}
}

func newDoctor(s *session) *cobra.Command {
	var file string
	var f settings.Flags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the installation: configuration, files, store, history, snapshot, issuers, upstreams, other servers, ports",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Data = s.data
			findings, err := app.Doctor(cmd.Context(), app.Config{Flags: f, File: file, Getenv: s.Getenv, Version: version, Out: s.Out, Err: s.Err})
			if err != nil {
				if p, ok := asProblems(err); ok {
					return s.problems(p)
				}
				return err
			}
			bad := 0
			for _, x := range findings {
				if x.Outcome == app.Failed {
					bad++
				}
			}
			if err := s.print(findings, func(w io.Writer) {
				for _, x := range findings {
					row(w, x.Outcome, x.Check, x.Detail)
				}
			}); err != nil {
				return err
			}
			if bad > 0 {
				return exit{exitFailed, fmt.Errorf("%d of %d checks fail", bad, len(findings))}
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", defaultFile, "configuration file or folder")
	c.Flags().StringVar(&f.Store, "store", "", "sqlite:PATH or postgres://user@host/db")
	return c
}

func newDB(s *session) *cobra.Command {
	var f settings.Flags
	var file string
	c := &cobra.Command{
		Use:   "db",
		Short: "Look after the store",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.PersistentFlags().StringVar(&f.Store, "store", "", "sqlite:PATH or postgres://user@host/db (default: of the configuration, else of the data folder)")
	c.PersistentFlags().StringVar(&file, "config", "", "configuration file or folder that names the store")
	conf := func() app.Config {
		f.Data = s.data
		return app.Config{Flags: f, File: file, Getenv: s.Getenv, Version: version, Out: s.Out, Err: s.Err}
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "migrate",
			Short: "Bring the store's schema to the version of this binary",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				v, err := app.MigrateStore(cmd.Context(), conf())
				if p, ok := asProblems(err); ok {
					return s.problems(p)
				}
				if err == nil {
					s.say("the schema is at version %d", v)
				}
				return err
			},
		},
		&cobra.Command{
			Use:   "check",
			Short: "Check the store: schema, integrity, and the hash chain of the history",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				report, err := app.CheckStore(cmd.Context(), conf())
				if p, ok := asProblems(err); ok {
					return s.problems(p)
				}
				if err != nil {
					return err
				}
				if err := s.print(report, func(w io.Writer) {
					for _, x := range report {
						row(w, x.Outcome, x.Check, x.Detail)
					}
				}); err != nil {
					return err
				}
				for _, x := range report {
					if x.Outcome == app.Failed {
						return exit{code: exitFailed}
					}
				}
				return nil
			},
		},
	)
	return c
}
