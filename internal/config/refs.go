package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// Bounds of what references may bring in, in bytes.
const (
	mostReference = 64 << 10 // one
	mostBrought   = 8 << 20  // all of them together
)

// resolver puts the values of ${env:NAME}, ${env:NAME:-default} and ${file:/path}
// in their places, after parsing: what they bring in is one scalar's text and
// never structure. "$${" stands for "${" itself.
type resolver struct {
	env      func(string) (string, bool)
	readFile func(string) ([]byte, error)
	brought  []brought
	size     int
	problems Problems
}

// brought is a text from outside of the file, and what was written in its place.
type brought struct{ value, raw string }

func newResolver(o Options) *resolver {
	r := &resolver{env: o.Env, readFile: o.ReadFile}
	if r.env == nil {
		r.env = os.LookupEnv
	}
	if r.readFile == nil {
		r.readFile = ReadReference
	}
	return r
}

// errNotAFile says that a reference names a folder, a device or a pipe: reading it might never end.
var errNotAFile = errors.New("no regular file")

// ReadReference returns the content of a file that ${file:/path} names, and somewhat more
// than the bound of a reference at most. What is no regular file is an error.
func ReadReference(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNotAFile}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, mostReference+1024))
	return data, errors.Join(err, f.Close())
}

// walk resolves every scalar value below n. Keys hold no references.
func (r *resolver) walk(n *node) {
	switch n.kind {
	case mapping:
		for _, e := range n.entries {
			if strings.Contains(e.key.text, "${") {
				r.problem(e.key, "a reference can stand in a value only, not in a key")
			}
			r.walk(e.value)
		}
	case list:
		for _, item := range n.items {
			r.walk(item)
		}
	case text:
		if strings.Contains(n.text, "${") {
			r.scalar(n)
		}
	default:
	}
}

func (r *resolver) problem(n *node, format string, args ...any) {
	n.bad, n.missing = true, true
	r.problems = append(r.problems, Problem{Position: n.at, Width: n.width, Message: fmt.Sprintf(format, args...)})
}

func (r *resolver) scalar(n *node) {
	var out strings.Builder
	rest := n.text
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "$${"):
			out.WriteString("${")
			rest = rest[3:]
		case strings.HasPrefix(rest, "${"):
			inner, after, ok := strings.Cut(rest[2:], "}")
			if !ok {
				r.problem(n, "the reference is not closed by }: write $${ for the characters ${")
				return
			}
			value, err := r.value(inner)
			if err != nil {
				r.problem(n, "%s", err.Error())
				return
			}
			if r.size += len(value); r.size > mostBrought {
				r.problem(n, "the references of this configuration bring in more than %d MiB", mostBrought>>20)
				return
			}
			r.brought = append(r.brought, brought{value, "${" + inner + "}"})
			out.WriteString(value)
			rest = after
		default:
			out.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	n.text = out.String()
	if n.text == "" && n.raw != "" {
		// An optional setting that its variable leaves empty is not set.
		n.kind = nothing
	}
}

// value returns what is inside of a reference's braces stands for.
func (r *resolver) value(inner string) (string, error) {
	kind, arg, _ := strings.Cut(inner, ":")
	switch kind {
	case "env":
		return r.variable(arg)
	case "file":
		return r.file(arg)
	}
	return "", errors.New("a reference is ${env:NAME}, ${env:NAME:-default} or ${file:/path}: write $${ for the characters ${")
}

func (r *resolver) variable(arg string) (string, error) {
	name, fallback, optional := strings.Cut(arg, ":-")
	if !validVariable(name) {
		return "", errors.New("the name of a variable is made of letters, digits and _, and does not begin with a digit")
	}
	value, ok := r.env(name)
	switch {
	case optional && value == "":
		value = fallback
	case !ok:
		return "", fmt.Errorf("the environment has no variable %s: set it, or give a default as ${env:%s:-default}", name, name)
	case value == "":
		return "", fmt.Errorf("the variable %s is empty: set it, or allow that with ${env:%s:-}", name, name)
	}
	return checkBrought(value, "the variable "+name)
}

func (r *resolver) file(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", errors.New("a file in a reference is named by its whole path: ${file:/run/secrets/name}")
	}
	data, err := r.readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no file %s", path)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("this process may not read the file %s", path)
	case errors.Is(err, errNotAFile):
		return "", fmt.Errorf("%s is no regular file", path)
	case err != nil:
		return "", fmt.Errorf("the file %s cannot be read", path)
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", fmt.Errorf("the file %s is empty", path)
	}
	return checkBrought(value, "the file "+path)
}

func checkBrought(value, what string) (string, error) {
	switch {
	case len(value) > mostReference:
		return "", fmt.Errorf("%s holds more than %d KiB", what, mostReference>>10)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "", fmt.Errorf("%s holds bytes that are not text", what)
	}
	return value, nil
}

func validVariable(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// escapeReferences returns s as a value that stands for s.
func escapeReferences(s string) string { return strings.ReplaceAll(s, "${", "$${") }
