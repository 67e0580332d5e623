package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// noneOrTwo and oneOrThree check the arguments of commands that can be about one object.
func noneOrTwo(_ *cobra.Command, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return exit{exitUsage, errors.New("give the kind and the id of an object, or neither")}
	}
	return nil
}

func oneOrThree(_ *cobra.Command, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return exit{exitUsage, errors.New("give a revision, or the kind and the id of an object and a revision")}
	}
	return nil
}

// objectHistory prints the changes of one object with their fields.
func (s *session) objectHistory(cmd *cobra.Command, cl *client.Client, kind, id string) error {
	list, err := cl.ObjectHistory(cmd.Context(), kind, id)
	if err != nil {
		return err
	}
	return s.print(list, func(w io.Writer) {
		row(w, "REVISION", "TIME", "ACTOR", "OPERATION", "FIELD", "BEFORE", "AFTER")
		for _, ch := range list {
			first := []any{ch.Revision, ch.Time.Local().Format("2006-01-02 15:04:05"), ch.Actor, ch.Operation}
			fields := ch.Fields
			if len(fields) == 0 {
				fields = []client.FieldDiff{{}}
			}
			for _, f := range fields {
				row(w, append(first, dash(f.Path), dash(f.Before), dash(f.After))...)
				first = []any{"", "", "", ""}
			}
		}
	})
}

// restoreObject brings one object back, and prints what that changed.
func (s *session) restoreObject(cmd *cobra.Command, cl *client.Client, kind, id string, r client.ObjectRestore) error {
	did, err := cl.RestoreObject(cmd.Context(), kind, id, r)
	if err != nil {
		return err
	}
	if err := s.print(did, func(w io.Writer) {
		row(w, "FIELD", "BEFORE", "AFTER")
		for _, f := range did.Fields {
			row(w, f.Path, dash(f.Before), dash(f.After))
		}
	}); err != nil {
		return err
	}
	switch {
	case r.DryRun:
		s.say("nothing was changed")
	case len(did.Fields) == 0:
		s.say("%s %s is what it was at revision %d already", kind, id, r.Revision)
	default:
		s.say("%s %s is what it was at revision %d, by revision %d", kind, id, r.Revision, did.Revision)
	}
	return nil
}
