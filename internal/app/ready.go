package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/fault"
)

// Ready is what the ready file holds: where everything serves.
type Ready struct {
	Gateway  string `json:"gateway"`
	Identity string `json:"identity"`
	Console  string `json:"console"`
	Decide   string `json:"decide,omitempty"`  // where server.decide.listen is
	Envoy    string `json:"envoy,omitempty"`   // host:port of server.decide.envoy
	Mailbox  string `json:"mailbox,omitempty"` // where letters are shown, when none is sent
	PID      int    `json:"pid"`
	Demo     *Demo  `json:"demo,omitempty"`      // dev only
	APIToken string `json:"api_token,omitempty"` // dev only: of the demo tenant's administrator
}

// Demo is what a newcomer needs to call the demo API.
type Demo struct {
	API          string `json:"api"`
	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// BrowserClientID is the app that people sign in to, at http://127.0.0.1:PORT/callback.
	BrowserClientID string     `json:"browser_client_id"`
	Users           []DemoUser `json:"users"`
}

// DemoUser is a person of the demo tenant.
type DemoUser struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// localAccess is left in the data folder for whoever may read it: where this
// process is, and an administrator's token that ends with the process.
type localAccess struct {
	Console string `json:"console"`
	Token   string `json:"token"`
}

// writeJSON keeps v in a file as writeFile does.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'))
}

// writeFile puts b in place by rename, so that a reader sees all of it or nothing,
// also after a crash. Only the owner may read it: these files hold secrets.
func writeFile(path string, b []byte) (err error) {
	defer fault.Wrap(&err, "write %s", path)
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// welcome is what `dev` prints: addresses, and two commands to copy.
func (r Ready) welcome(allowed, denied welcomeCall) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Gatehouse is running.\n\n")
	fmt.Fprintf(&b, "  gateway   %s\n  identity  %s\n  console   %s\n", r.Gateway, r.Identity, r.Console)
	if r.Mailbox != "" {
		fmt.Fprintf(&b, "  mailbox   %s\n", r.Mailbox)
	}
	for _, c := range []welcomeCall{allowed, denied} {
		if c.Command != "" {
			fmt.Fprintf(&b, "\n%s\n\n  %s\n", c.Title, c.Command)
		}
	}
	if r.Demo != nil && len(r.Demo.Users) > 0 {
		logins := make([]string, len(r.Demo.Users))
		for i, u := range r.Demo.Users {
			logins[i] = u.Login
		}
		fmt.Fprintf(&b, "\nWho can sign in at %s/account: %s. Their passwords of\nthis run, and the demo client's secret, are in the file of --ready-file FILE.\n", r.Identity, strings.Join(logins, ", "))
	}
	fmt.Fprintf(&b, "\nWhy? Ask for any request:\n\n  gatehouse explain <the answer's X-Request-ID>\n  gatehouse tail\n\nStop with Ctrl-C.\n")
	return b.String()
}

// welcomeCall is a command to copy, and what it shows.
type welcomeCall struct{ Title, Command string }
