// Package reasons holds the documentation pages of the reason codes: one
// Markdown file per reason, for readers of the repository and, embedded, for
// everyone who meets a reason in an answer of the gateway.
//
// A page is the one source of its reason's title and status code: its first
// line is the title, its table names the status. The package must know no
// request, no configuration and no server; it imports nothing of ours.
package reasons

import (
	"embed"
	"io/fs"
	"strconv"
	"strings"
)

// Index is the name under which Page, HTML and Document give the list of all reasons.
const Index = "index"

//go:embed *.md
var files embed.FS

// Names returns all reasons, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // the root of an embedded tree can always be read
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".md"); name != Index {
			names = append(names, name)
		}
	}
	return names
}

// Page returns the Markdown page of a reason, or of Index, and whether there is one.
func Page(reason string) ([]byte, bool) {
	if strings.ContainsAny(reason, "/.") {
		return nil, false
	}
	b, err := files.ReadFile(reason + ".md")
	return b, err == nil
}

// Titles returns the human title of every reason, as a problem document shows
// it (RFC 9457, section 3.1.3). It reads all pages: keep the result.
func Titles() map[string]string {
	m := make(map[string]string)
	for _, name := range Names() {
		page, _ := Page(name)
		m[name] = title(page)
	}
	return m
}

// Statuses returns the HTTP status code that every reason is answered with.
// It reads all pages: keep the result.
func Statuses() map[string]int {
	m := make(map[string]int)
	for _, name := range Names() {
		page, _ := Page(name)
		m[name] = status(name, page)
	}
	return m
}

// title returns the text of the page's first line, which is a heading.
func title(page []byte) string {
	line, _, _ := strings.Cut(string(page), "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, "# "))
}

// status returns the second cell of the table row that names the reason, or 0.
func status(reason string, page []byte) int {
	_, rest, ok := strings.Cut(string(page), "\n| `"+reason+"` |")
	if !ok {
		return 0
	}
	cell, _, _ := strings.Cut(rest, "|")
	n, err := strconv.Atoi(strings.TrimSpace(cell))
	if err != nil {
		return 0
	}
	return n
}
