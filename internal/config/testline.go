package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/spec"
)

// A test is METHOD PATH [as USER] [from IP] [with SCOPE ...] [in GROUP ...] [role ROLE ...]
// [mfa AGE] [acr CLASS] [at HH:MM] -> allow or -> deny REASON. After from, country:DE and
// asn:64500 may stand in place of an address, or beside it. PATH may be a whole URL when
// several hosts have the path. "mfa 2m" is a sign-in with a second factor two minutes
// ago; without it the token does not say how its user has signed in. "at" is a time
// of today in UTC; without it the request comes now.

// clauseWords begin the parts of a test's caller, in any order.
var clauseWords = []string{"as", "from", "with", "in", "role", "mfa", "acr", "at"}

// testReader reads the lines under "tests".
type testReader struct {
	w      *walker
	apis   []spec.API
	scopes map[string]bool // that any route asks for; nil when not all routes could be read
}

func newTestReader(w *walker, apis []spec.API) *testReader {
	t := &testReader{w: w, apis: apis, scopes: map[string]bool{}}
	for _, a := range apis {
		for _, r := range a.Routes {
			for _, set := range r.Scopes {
				for _, s := range set {
					t.scopes[s] = true
				}
			}
		}
	}
	if slices.ContainsFunc(w.problems, func(p Problem) bool { return strings.HasPrefix(p.Path, "apis") }) {
		t.scopes = nil // what follows from another problem is not one of its own
	}
	return t
}

func (t *testReader) all(n *node) []Test {
	var out []Test
	if n == nil || n.kind != list {
		return nil
	}
	for i, item := range n.items {
		if item.usable() && item.kind == text {
			out = append(out, t.line(item, fmt.Sprintf("tests[%d]", i)))
		}
	}
	return out
}

// line is one test being read.
type line struct {
	*testReader
	n    *node
	path string
	test Test
}

func (t *testReader) line(n *node, path string) Test {
	l := line{testReader: t, n: n, path: path, test: Test{Text: strings.Join(strings.Fields(n.raw), " "), At: n.at}}
	request, outcome, ok := strings.Cut(n.text, "->")
	if !ok {
		l.wrong("", errors.New("a test ends with what must come of it: -> allow, or -> deny REASON"))
		return l.test
	}
	l.request(strings.Fields(request))
	l.outcome(strings.Fields(outcome))
	return l.test
}

// spot returns a node for a word of the line, so that the caret points to it.
func (l *line) spot(word string) *node {
	if word == "" || l.n.referring() || strings.Contains(l.n.text, "\n") {
		return l.n
	}
	padded := " " + l.n.text + " "
	i := strings.LastIndex(padded, " "+word+" ")
	if i < 0 {
		return l.n
	}
	at := l.n.at
	at.Column += utf8.RuneCountInString(l.n.text[:i])
	if l.n.width > widthOf(l.n.text) {
		at.Column++ // behind the quote
	}
	return &node{kind: text, at: at, width: utf8.RuneCountInString(word)}
}

func (l *line) wrong(word string, err error) { l.w.problem(l.spot(word), l.path, err) }

func (l *line) request(words []string) {
	if len(words) < 2 {
		l.wrong("", errors.New("a test begins with METHOD PATH, such as GET /orders/1"))
		return
	}
	l.test.Method = words[0]
	if err := spec.CheckMethod(words[0]); err != nil || words[0] == "*" {
		l.wrong(words[0], errors.New("a test begins with one method in upper-case letters, such as GET"))
	}
	l.target(words[1])
	said := map[string]bool{}
	for words = words[2:]; len(words) > 0; {
		clause := words[0]
		if !slices.Contains(clauseWords, clause) {
			l.w.unknown(l.spot(clause), l.path, "a test goes on with as USER, from IP, with SCOPE ..., in GROUP ..., role ROLE ..., mfa AGE, acr CLASS, at HH:MM, or ->", clause, clauseWords)
			return
		}
		if said[clause] {
			l.wrong(clause, fmt.Errorf("%s is here twice", clause))
		}
		said[clause] = true
		end := 1
		for end < len(words) && !slices.Contains(clauseWords, words[end]) {
			end++
		}
		l.clause(clause, words[1:end])
		words = words[end:]
	}
}

func (l *line) clause(clause string, values []string) {
	if len(values) == 0 {
		l.wrong(clause, fmt.Errorf("%s is followed by a name", clause))
		return
	}
	if clause != "with" && clause != "in" && clause != "role" && clause != "from" && len(values) > 1 {
		l.wrong(values[1], fmt.Errorf("%s is followed by one word", clause))
	}
	switch clause {
	case "as":
		l.test.User = values[0]
	case "from":
		l.from(values)
	case "role":
		l.test.Roles = values
	case "in":
		l.test.Groups = values
	case "acr":
		l.test.ACR = values[0]
	case "mfa":
		age, err := time.ParseDuration(values[0])
		if err != nil || age < 0 {
			l.wrong(values[0], errors.New("mfa is followed by how long ago the second factor was used, such as 2m"))
		}
		l.test.MFA = &age
	case "at":
		at, err := time.Parse("15:04", values[0])
		if err != nil {
			l.wrong(values[0], errors.New("at is followed by a time of the day in UTC, such as 22:30"))
		}
		of := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
		l.test.Clock = &of
	case "with":
		l.test.Scopes = values
		for _, s := range values {
			if l.scopes != nil && !l.scopes[s] {
				l.w.unknown(l.spot(s), l.path, "no route asks for this scope", s, slices.Sorted(maps.Keys(l.scopes)))
			}
		}
	}
}

// from reads where the client is: an address, a country, a network operator.
func (l *line) from(values []string) {
	for _, v := range values {
		code, country := strings.CutPrefix(v, "country:")
		number, asn := strings.CutPrefix(v, "asn:")
		var err error
		switch {
		case country && l.test.Country == "":
			err, l.test.Country = spec.CheckZoneNetwork(v), code
		case asn && l.test.ASN == 0:
			if err = spec.CheckZoneNetwork(v); err == nil {
				n, _ := strconv.ParseUint(number, 10, 32) // checked
				l.test.ASN = uint32(n)
			}
		case !country && !asn && !l.test.From.IsValid():
			l.test.From, err = parseFrom(v)
		default:
			err = errors.New("from is followed by at most one address, one country and one network operator")
		}
		if err != nil {
			l.wrong(v, err)
		}
	}
}

// target reads the path, or the URL, and finds the host of the API it belongs to.
func (l *line) target(s string) {
	if rest, ok := cutScheme(s); ok {
		host, path, _ := strings.Cut(rest, "/")
		l.test.Host, l.test.Path = strings.ToLower(host), "/"+path
		if err := spec.CheckHost(l.test.Host); err != nil {
			l.wrong(s, errors.New("the URL of a test has a host name without a port"))
		}
	} else {
		l.test.Path = s
		l.test.Host = l.hostOf(s)
	}
	if !strings.HasPrefix(l.test.Path, "/") || strings.Contains(l.test.Path, "#") {
		l.wrong(s, errors.New("the path of a test begins with / and is written as in a request, without {names}"))
	}
}

func cutScheme(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		return rest, true
	}
	return strings.CutPrefix(s, "http://")
}

// hostOf returns the host of the API with the longest base path that the path
// lies below; "" when one that takes any host is among them, or none is.
func (l *line) hostOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	longest, hosts := -1, []string(nil)
	for _, a := range l.apis {
		below, ok := strings.CutPrefix(path, a.BasePath)
		if !ok || below != "" && below[0] != '/' || len(a.BasePath) < longest {
			continue
		}
		if len(a.BasePath) > longest {
			longest, hosts = len(a.BasePath), nil
		}
		hosts = append(hosts, a.Host)
	}
	switch {
	case len(hosts) == 0 || slices.Contains(hosts, ""):
		return ""
	case len(hosts) > 1:
		slices.Sort(hosts)
		l.wrong(path, fmt.Errorf("several hosts have this path: write https://%s%s", hosts[0], path))
	}
	return hosts[0]
}

func (l *line) outcome(words []string) {
	switch {
	case len(words) == 1 && words[0] == "allow":
		l.test.Allow = true
	case len(words) == 1 && words[0] == "deny":
		l.wrong("deny", errors.New("deny is followed by the reason, such as missing_scope"))
	case len(words) == 2 && words[0] == "deny":
		l.test.Reason = words[1]
		feature, known := reasonFeature[words[1]]
		switch {
		case !known:
			l.w.unknown(l.spot(words[1]), l.path, "unknown reason", words[1], Reasons())
		case feature != "" && spec.Unbuilt(feature):
			l.wrong(words[1], spec.ErrUnbuilt{Feature: words[1] + " (" + feature + ")"})
		}
	case len(words) > 0:
		l.w.unknown(l.spot(words[0]), l.path, "a test ends with -> allow, or -> deny REASON", words[0], []string{"allow", "deny"})
	default:
		l.wrong("", errors.New("a test ends with what must come of it: -> allow, or -> deny REASON"))
	}
}
