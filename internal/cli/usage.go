package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
)

// finish gives a command and all below it what every command has: wrong arguments
// are an error of usage that says what is right, and a command that only holds
// others says which they are.
func finish(c *cobra.Command) {
	if !c.Runnable() && c.HasSubCommands() {
		c.Args = cobra.NoArgs
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if c.Args != nil {
		c.Args = usage(c.Args)
	}
	for _, below := range c.Commands() {
		finish(below)
	}
}

// usage makes wrong arguments an error of usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err == nil {
			return nil
		}
		switch said := err.Error(); {
		case strings.HasPrefix(said, "unknown command") && c.HasSubCommands():
			err = unknownCommand(c, args[0])
		case strings.HasPrefix(said, "unknown command"):
			err = fmt.Errorf("%s takes no arguments", c.CommandPath())
		case strings.HasPrefix(said, "accepts"), strings.HasPrefix(said, "requires"):
			_, form, _ := strings.Cut(c.Use, " ")
			err = fmt.Errorf("write %s %s", c.CommandPath(), strings.ReplaceAll(form, " | ", ", or "+c.Root().Name()+" "))
		}
		return exit{exitUsage, fmt.Errorf("%w; see %q", err, c.CommandPath()+" --help")}
	}
}

// unknownCommand says which command was probably meant.
func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			names = append(names, below.Name())
		}
	}
	if near := config.Nearest(word, names); near != "" {
		return fmt.Errorf("unknown command %q for %q: did you mean %s?", word, c.CommandPath(), near)
	}
	return fmt.Errorf("unknown command %q for %q", word, c.CommandPath())
}

// newHelp is the command help: of a word that is no command it says so.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			of, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, below := range of.Commands() {
				if below.IsAvailableCommand() && strings.HasPrefix(below.Name(), typed) {
					names = append(names, cobra.CompletionWithDesc(below.Name(), below.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil {
				return exit{exitUsage, err}
			}
			if len(rest) > 0 {
				return exit{exitUsage, unknownCommand(of, rest[0])}
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}
