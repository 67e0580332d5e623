// Package pg gives tests a real PostgreSQL: a private cluster that is started
// from the installed binaries when the first test asks for it, or the server that
// GATEHOUSE_TEST_POSTGRES names. It knows processes and databases; it must not
// know the schema, nor be part of a program that is not a test.
package pg

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server names the environment variable with the URL of a running server, whose
// user may create databases.
const Server = "GATEHOUSE_TEST_POSTGRES"

// Required names the environment variable that makes a missing PostgreSQL fail
// tests that would otherwise be skipped, so that a green run hides nothing.
const Required = "GATEHOUSE_REQUIRE_SERVICES"

// patience is how long a server may take for anything, on a machine that does much else: it
// ends only what hangs.
const patience = 3 * time.Minute

// errMissing says that there is no PostgreSQL on this machine.
var errMissing = errors.New("PostgreSQL is not installed: install postgresql-15, or set " + Server)

// Cluster is a PostgreSQL server for the tests of one binary. The zero value is
// ready; the server starts with the first Database. Stop it in TestMain.
type Cluster struct {
	once sync.Once
	err  error

	admin *url.URL // of the database postgres
	dir   string
	cmd   *exec.Cmd
	done  chan error
}

// Database returns the URL of a new, empty database, which is dropped when the
// test ends. Without PostgreSQL, and in a short run, the test is skipped; without
// it, it fails when GATEHOUSE_REQUIRE_SERVICES is 1.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	if testing.Short() && os.Getenv(Required) != "1" {
		t.Skip("a short run starts no servers")
	}
	c.once.Do(func() { c.err = c.start() })
	switch {
	case errors.Is(c.err, errMissing) && os.Getenv(Required) != "1":
		t.Skip(c.err)
	case c.err != nil:
		t.Fatal(c.err)
	}
	name := "gatehouse_test_" + strings.ToLower(rand.Text())
	if err := c.run("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.run("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u := *c.admin
	u.Path = "/" + name
	return u.String()
}

// run executes a statement in the administrator's database.
func (c *Cluster) run(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open("pgx", c.admin.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is left in it
	_, err = db.ExecContext(ctx, text)
	return err
}

// Stop ends the server, if it was started, and removes its files.
func (c *Cluster) Stop() error {
	if c.cmd == nil {
		return nil
	}
	err := c.cmd.Process.Signal(syscall.SIGINT) // "fast": open connections are ended
	select {
	case <-c.done: // its exit status says how it was told to stop
	case <-time.After(patience):
		err = errors.Join(err, fmt.Errorf("PostgreSQL did not stop in %s", patience), c.cmd.Process.Kill())
		<-c.done
	}
	c.cmd = nil
	return errors.Join(err, os.RemoveAll(c.dir))
}

func (c *Cluster) start() (err error) {
	if given := os.Getenv(Server); given != "" {
		c.admin, err = url.Parse(given)
		return err
	}
	bin, err := binaries()
	if err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp("", "gatehouse-pg-"); err != nil {
		return err
	}
	attr, err := c.ownUser()
	if err == nil {
		err = c.initialize(bin, attr)
	}
	if err == nil {
		err = c.launch(bin, attr)
	}
	if err != nil {
		return errors.Join(err, c.Stop(), os.RemoveAll(c.dir))
	}
	return nil
}

// binaries returns the folder of the newest installed server, 15 or later.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	number := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return number(b) - number(a) })
	if len(found) > 0 && number(found[0]) >= 15 {
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errMissing
}

// ownUser gives the folder to the user postgres when we are root, because the
// server refuses to run as root, and returns how to start it.
func (c *Cluster) ownUser() (*syscall.SysProcAttr, error) {
	attr := processAttributes()
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(c.dir, int(uid), int(gid))
}

// initialize makes the files of the cluster. Its texts sort like English, so
// that a query which needs the order of bytes must ask for it.
func (c *Cluster) initialize(bin string, attr *syscall.SysProcAttr) error {
	args := []string{"-D", c.dir + "/data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out []byte
	var err error
	// A server without ICU refuses the first form.
	for _, more := range [][]string{{"--locale-provider=icu", "--icu-locale=en"}, nil} {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), append(slices.Clone(args), more...)...) //nolint:gosec // the installed binary
		cmd.Dir, cmd.SysProcAttr = c.dir, attr
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("initdb: %w: %s", err, out)
}

// launch starts the server on a socket in its own folder, and waits until it
// answers.
func (c *Cluster) launch(bin string, attr *syscall.SysProcAttr) error {
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", c.dir+"/data", "-k", c.dir, //nolint:gosec,noctx // the installed binary; Stop ends it
		"-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal")
	cmd.Dir, cmd.SysProcAttr, cmd.Stderr, cmd.Stdout = c.dir, attr, &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.done = cmd, make(chan error, 1)
	go func() { c.done <- cmd.Wait() }() // Stop waits for it
	c.admin = &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {c.dir}}.Encode()}

	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		err := c.run("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case exit := <-c.done:
			c.cmd = nil
			return fmt.Errorf("PostgreSQL ended: %w: %s", exit, log.String())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}
