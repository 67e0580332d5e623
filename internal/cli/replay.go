package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// replay has the server decide recorded requests by a draft, and shows who gains and
// who loses access.
func (s *session) replay(cmd *cobra.Command, path, since string) error {
	conf, err := s.bundle(path)
	if err != nil {
		return err
	}
	cl, err := s.client()
	if err != nil {
		return err
	}
	r, err := cl.Replay(cmd.Context(), client.ReplayRequest{Configuration: conf, Since: since})
	if err != nil {
		return err
	}
	if err := s.print(r, func(w io.Writer) {
		if len(r.Changes) == 0 {
			return
		}
		row(w, "ACCESS", "WHO", "OPERATION", "REQUESTS", "WAS", "WOULD BE")
		for _, c := range r.Changes {
			row(w, c.Access, c.Who, c.Operation, fmt.Sprint(c.Count), outcome(c.Was), outcome(c.Now))
		}
	}); err != nil {
		return err
	}
	s.say("%s", replayed(r))
	for _, what := range r.Unknown {
		s.say("warning: the draft reads %s, which was not recorded: decisions that depend on it may be wrong", what)
	}
	if r.More > 0 {
		s.say("warning: %d more requests change for others, who are not listed", r.More)
	}
	if len(r.Changes) > 0 {
		return exit{code: exitDifferences}
	}
	return nil
}

// replayed says in a sentence what was compared.
func replayed(r client.Replay) string {
	if r.Replayed+r.Skipped == 0 {
		return "no requests were recorded in that time"
	}
	const form = "2006-01-02 15:04:05"
	out := fmt.Sprintf("%s decided again, from %s to %s; %s", counted(int(r.Replayed), "request"), r.From.Local().Format(form), r.To.Local().Format(form), counted(len(r.Changes), "change"))
	if r.Skipped > 0 {
		out += fmt.Sprintf("; %d left out, refused for their token, key or form", r.Skipped)
	}
	if r.Dropped > 0 {
		out += fmt.Sprintf("; %d were never recorded, they came too fast", r.Dropped)
	}
	return out
}

func outcome(reason string) string {
	if reason == "" {
		return "allowed"
	}
	return reason
}
