package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newUsers(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "users",
		Short: "Import users",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "import FILE",
		Short: "Add the users of a file, each a JSON object with a login",
		Long: `FILE holds one JSON object after the other, such as

  {"login": "ana@example.com", "first_name": "Ana", "last_name": "Ng", "attributes": {"department": "hr"}}

Fields: login, email (default: the login), first_name, last_name, attributes, staged. The users have no password until one is set, and
are in the groups that the group rules say. A thousand at a time are added whole or not at all; the file is read to its end before the first.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			users, err := readUsers(bytes.NewReader(b))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			cl, err := s.client()
			if err != nil {
				return err
			}
			return s.importUsers(cmd, cl, users)
		},
	})
	return c
}

// importUsers adds the users in portions, and says where it stopped.
func (s *session) importUsers(cmd *cobra.Command, cl *client.Client, users []client.NewUser) error {
	for from := 0; from < len(users); from += client.MaxImport {
		portion := users[from:min(from+client.MaxImport, len(users))]
		if err := cl.ImportUsers(cmd.Context(), portion); err != nil {
			return fmt.Errorf("users %d to %d of the file: %w\nthe %d before them are there, those and the rest are not", from+1, from+len(portion), err, from)
		}
	}
	return s.print(map[string]int{"imported": len(users)}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%d users imported\n", len(users)) })
}

// readUsers reads users up to the end; what it does not know is an error.
func readUsers(r io.Reader) ([]client.NewUser, error) {
	var users []client.NewUser
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	for {
		var u client.NewUser
		err := d.Decode(&u)
		switch {
		case errors.Is(err, io.EOF) && len(users) == 0:
			return nil, errors.New("there are no users in it")
		case errors.Is(err, io.EOF):
			return users, nil
		case err != nil:
			return nil, fmt.Errorf("user %d: %w", len(users)+1, err)
		case u.Login == "":
			return nil, fmt.Errorf("user %d has no login", len(users)+1)
		}
		users = append(users, u)
	}
}
