package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/spec"
)

// Checks of single texts. None of their errors repeats the text: it may come from
// the environment or a file and be a secret.

// LogLevels are the values of server.log.level.
func LogLevels() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormats are the values of server.log.format.
func LogFormats() []string { return []string{"json", "text"} }

func checkDuration(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		return errors.New("a duration is a number with its unit, such as 500ms, 5s or 2m")
	}
	if d <= 0 {
		return errors.New("a duration is longer than 0")
	}
	return nil
}

func checkSize(s string) error {
	_, err := spec.ParseSize(s)
	return err
}

func checkLimit(s string) error {
	_, err := spec.ParseLimit(s)
	return err
}

func checkWhole(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || s != strconv.Itoa(n) {
		return errors.New("a whole number is expected here")
	}
	return nil
}

func checkPath(s string) error {
	if err := spec.CheckText(s, 4096); err != nil {
		return fmt.Errorf("a path %w", err)
	}
	return nil
}

// CheckAddress reports what is wrong with an address to listen on: "host:port",
// where the host may be left out and port 0 is any free one.
func CheckAddress(s string) error {
	host, port, err := splitAddress(s)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil {
		if err := spec.CheckHost(host); err != nil {
			return err
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return errors.New("a port is a number between 0 and 65535")
	}
	return nil
}

func splitAddress(s string) (host, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", errors.New(`an address to listen on has a port: ":8080" or "127.0.0.1:8080"`)
	}
	host, port = s[:i], s[i+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1], port, nil
	}
	if strings.ContainsAny(host, ":[]") {
		return "", "", errors.New(`an IPv6 address is written in brackets: "[::1]:8080"`)
	}
	return host, port, nil
}

// CheckConsoleAddress reports what is wrong with the console's address. The
// console is on loopback: nobody else's network reaches it, whatever its pages
// ask for. A host that is left out means 127.0.0.1.
func CheckConsoleAddress(s string) error {
	if err := CheckAddress(s); err != nil {
		return err
	}
	host, _, _ := splitAddress(s)
	if a, err := netip.ParseAddr(host); err == nil && a.Unmap().IsLoopback() || host == "" || host == "localhost" {
		return nil
	}
	return errors.New("the console listens on loopback only: write 127.0.0.1:PORT and reach it through an SSH tunnel or a proxy that authenticates")
}

// CheckIdentityURL reports what is wrong with the identity listener's public URL.
func CheckIdentityURL(s string) error {
	u, err := spec.ParseURL(s)
	switch {
	case err != nil:
		return err
	case strings.HasSuffix(s, "/"):
		return errors.New("the URL does not end with /: issuers' names begin with it")
	case u.Scheme != "https" && !spec.Loopback(u):
		return errors.New("the URL is https, or on loopback: passwords and tokens go there")
	}
	return nil
}

// CheckTrustedProxy reports what is wrong with a network of trusted proxies. Networks
// so wide that anybody could be the proxy are refused (attack gateway 55).
func CheckTrustedProxy(s string) error {
	p, err := spec.ParseNetwork(s)
	if err != nil {
		return err
	}
	if p.Bits() < 8 && p.Addr().Is4() || p.Bits() < 7 {
		return errors.New("this would trust almost everybody to say who is calling: list the proxies' own networks")
	}
	return nil
}

// CheckDecideToken reports what is wrong with the secret of those who ask for decisions.
func CheckDecideToken(s string) error {
	if len(s) < 32 || len(s) > 1024 {
		return errors.New("a token has at least 32 characters: make one with openssl rand -hex 32")
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return errors.New("a token is printable ASCII without spaces")
		}
	}
	return nil
}

// CheckMailServer reports what is wrong with the address of a mail server.
func CheckMailServer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return errors.New("a mail server is smtps://HOST:465, or smtp://HOST:587 for one with STARTTLS")
	}
	if u.User != nil {
		return errors.New("the name and the password of a mail server have keys of their own: user and password")
	}
	return nil
}

// CheckDirectoryServer reports what is wrong with the address of a directory server.
func CheckDirectoryServer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return errors.New("a directory server is ldaps://HOST:636, or ldap://HOST:389 for one with StartTLS")
	}
	return nil
}

// checkOwnDomain is checkDomain for whom not any will do.
func checkOwnDomain(s string) error {
	if s == "any" {
		return errors.New("a directory server is not the authority for any address: name its domains")
	}
	return checkDomain(s)
}

// checkAttribute reports what is wrong with the name of an attribute, of a profile or of an
// entry in a directory.
func checkAttribute(s string) error {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) || s[0] <= '9' {
		return errors.New("an attribute is letters, digits and _, and begins with a letter")
	}
	return nil
}

// CheckSender reports what is wrong with whom letters are from.
func CheckSender(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) ||
		strings.ContainsFunc(a.Address, func(r rune) bool { return r <= 0x20 || r > 0x7e }) {
		return errors.New("letters are from an address such as no-reply@acme.test, or Acme <no-reply@acme.test>")
	}
	return nil
}

func checkDomain(s string) error {
	if s == "any" {
		return nil
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.'
	}
	if len(s) > 253 || !strings.Contains(s, ".") || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") ||
		strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return errors.New("a domain is lower-case and plain, such as acme.test; or any")
	}
	return nil
}

func checkEntityID(s string) error {
	if err := spec.CheckText(s, 1024); err != nil {
		return fmt.Errorf("the id of an entity %w", err)
	}
	return nil
}

func checkAttributeName(s string) error {
	if err := spec.CheckText(s, 255); err != nil {
		return fmt.Errorf("the name of an attribute %w", err)
	}
	return nil
}

// CheckStore reports what is wrong with the name of a store.
func CheckStore(s string) error {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		if strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#") {
			return errors.New("a SQLite store is sqlite: and the path of a file, without // and parameters")
		}
		return checkPath(path)
	}
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return errors.New("a store is sqlite:PATH or postgres://user@host/db")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" && !u.Query().Has("host") {
		return errors.New("a PostgreSQL store is a URL such as postgres://user@host:5432/db")
	}
	return nil
}

func checkRedis(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !slices.Contains([]string{"redis", "rediss"}, u.Scheme) {
		return errors.New("a Redis server is a URL such as redis://host:6379 or rediss://host:6379")
	}
	return nil
}

// checkPassword refuses a password that stands in a URL as it is written.
func checkPassword(raw string) error {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil
	}
	const say = "a password never stands in the file itself: write it as ${env:NAME} or ${file:/path}"
	authority := rest
	if i := strings.IndexAny(stripReferences(rest), "/?"); i >= 0 {
		authority = rest[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if _, password, ok := strings.Cut(stripReferences(authority[:i]), ":"); ok && strings.Trim(password, "\x00") != "" {
			return errors.New(say)
		}
	}
	query := stripReferences(rest)
	for _, name := range []string{"password=", "sslpassword="} {
		if i := strings.Index(query, name); i >= 0 {
			value, _, _ := strings.Cut(query[i+len(name):], "&")
			if strings.Trim(value, "\x00") != "" {
				return errors.New(say)
			}
		}
	}
	return nil
}

// stripReferences puts zero bytes in the places of references.
func stripReferences(s string) string {
	b := []byte(s)
	for i := 0; i < len(b); i++ {
		if b[i] != '$' || i+1 >= len(b) || b[i+1] != '{' {
			continue
		}
		for ; i < len(b); i++ {
			end := b[i] == '}'
			b[i] = 0
			if end {
				break
			}
		}
	}
	return string(b)
}

// checkRouteName checks "METHOD PATH". The path is checked with the route.
func checkRouteName(s string) error {
	fields := strings.Fields(s)
	if len(fields) != 2 {
		return errors.New("a route is METHOD PATH, such as GET /orders/{id}")
	}
	method := fields[0]
	if slices.Contains(knownMethods, strings.ToUpper(method)) && method != strings.ToUpper(method) {
		return fmt.Errorf("the method is written in upper-case letters: %s", strings.ToUpper(method))
	}
	if !slices.Contains(knownMethods, method) {
		if guess := Nearest(method, knownMethods); guess != "" && distance(method, guess) <= 2 {
			return fmt.Errorf("unknown method %s: did you mean %s?", method, guess)
		}
	}
	if err := spec.CheckMethod(method); err != nil {
		return err
	}
	_, err := spec.ParseTemplate(fields[1])
	return err
}

// knownMethods are those that a slip of the pen is compared with.
var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY", "*", "PURGE", "LINK", "UNLINK", "QUERY", "SEARCH", "REPORT", "COPY", "MOVE", "LOCK", "UNLOCK", "MKCOL", "PROPFIND", "PROPPATCH", "CONNECT", "TRACE"}
