package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/settings"
)

// serveFlags are the flags of dev and run.
type serveFlags struct {
	settings.Flags
	profile string
}

func (f *serveFlags) bind(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.Gateway, "gateway", "", "address of the gateway listener, such as 127.0.0.1:8080 (port 0: any free one)")
	fl.StringVar(&f.Identity, "identity", "", "address of the identity listener")
	fl.StringVar(&f.Console, "console", "", "address of the console listener; loopback only")
	fl.StringVar(&f.IdentityURL, "identity-url", "", "how others reach the identity listener")
	fl.StringVar(&f.Store, "store", "", "sqlite:PATH or postgres://user@host/db")
	fl.StringVar(&f.ReadyFile, "ready-file", "", "write the addresses to this file, as JSON, when all listeners serve")
	fl.StringVar(&f.LogLevel, "log-level", "", "debug, info, warn or error")
	fl.StringVar(&f.LogFormat, "log-format", "", "json or text")
	fl.DurationVar(&f.ShutdownTimeout, "shutdown-timeout", 0, "how long running requests may take after SIGTERM")
	fl.StringVar(&f.profile, "cpu-profile", "", "record where processor time goes to this file, for go tool pprof, until the server ends")
}

func newDev(s *session) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "dev [FILE]",
		Short: "Run everything on loopback, with a demo API or with FILE",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := ""
			if len(args) == 1 {
				file = args[0]
			}
			return s.serve(cmd, f, file, true)
		},
	}
	f.bind(c)
	return c
}

func newRun(s *session) *cobra.Command {
	var f serveFlags
	var file string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.serve(cmd, f, file, false)
		},
	}
	c.Flags().StringVar(&file, "config", defaultFile, "configuration file or folder")
	f.bind(c)
	return c
}

// serve starts the program and returns when ctx has ended and all is drained.
func (s *session) serve(cmd *cobra.Command, flags serveFlags, file string, dev bool) (err error) {
	flags.Data = s.data
	finish, err := profileCPU(flags.profile)
	if err != nil {
		return err
	}
	defer func() {
		if e := finish(); err == nil {
			err = e
		}
	}()
	a, err := app.Start(cmd.Context(), app.Config{
		Flags: flags.Flags, File: file, Dev: dev, Getenv: s.Getenv, Version: version, Out: s.Out, Err: s.Err,
	})
	if err != nil {
		if p, ok := asProblems(err); ok {
			return s.problems(p)
		}
		return err
	}
	if dev {
		_, _ = fmt.Fprint(s.Out, a.Welcome())
	}
	err = a.Wait(cmd.Context())
	// The context of the command has ended; draining has a time limit of its own.
	drain, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), a.ShutdownTimeout()+5*time.Second)
	defer cancel()
	if e := a.Shutdown(drain); err == nil {
		err = e
	}
	return err
}

func asProblems(err error) (config.Problems, bool) {
	p, ok := err.(config.Problems) //nolint:errorlint // problems are returned as they are, for printing
	return p, ok
}
