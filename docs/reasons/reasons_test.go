package reasons

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contract is the public list of reasons. A reason is never renamed or dropped.
const contract = `no_route method_not_allowed ambiguous_request body_too_large schema_invalid unsupported_media_type
	no_token token_malformed token_expired token_not_yet_valid bad_signature unknown_issuer wrong_audience unknown_key
	token_type_not_accepted revoked key_disabled session_ended cross_site sign_in_failed proof_invalid missing_scope group_required role_required condition_failed
	step_up_required zone_not_allowed policy_forbids not_subscribed plan_suspended rate_limited quota_exceeded overloaded
	upstream_unreachable upstream_timeout upstream_invalid issuer_unreachable revocation_state_unknown policy_error
	internal`

func TestEveryReasonHasAPageAndEveryPageAReason(t *testing.T) {
	want := strings.Fields(contract)
	slices.Sort(want)
	if diff := cmp.Diff(want, Names()); diff != "" {
		t.Errorf("pages differ from the contract (-contract +pages):\n%s", diff)
	}
}

func TestPagesHaveOneShape(t *testing.T) {
	titles, statuses := Titles(), Statuses()
	seen := map[string]string{}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			md, ok := Page(name)
			if !ok {
				t.Fatal("the page cannot be read")
			}
			text := string(md)
			if !strings.HasPrefix(text, "# ") || titles[name] == "" || strings.HasSuffix(titles[name], ".") {
				t.Errorf("the first line must be the title without a full stop, got %q", titles[name])
			}
			if other, dup := seen[titles[name]]; dup {
				t.Errorf("title %q is also the title of %s", titles[name], other)
			}
			seen[titles[name]] = name
			paragraphs := strings.Split(text, "\n\n")
			if meaning := paragraphs[1]; !strings.HasSuffix(meaning, ".") || strings.Contains(meaning, "\n") {
				t.Errorf("the second paragraph must be the meaning in one line, got %q", meaning)
			}
			code := statuses[name]
			if http.StatusText(code) == "" || code < 400 {
				t.Fatalf("status %d of the table is no status of an error", code)
			}
			for _, part := range []string{
				"| Reason | Status | Who acts |", "## What the caller sees", "## How to find out more", "## How to fix it",
				"HTTP/1.1 " + strconv.Itoa(code) + " ", "; reason=" + name + "\n", "gatehouse explain ",
			} {
				if !strings.Contains(text, part) {
					t.Errorf("%q is missing", part)
				}
			}
			checkHeaders(t, code, text)
			if strings.Count(text, "```")%2 != 0 {
				t.Error("a code fence is not closed")
			}
		})
	}
}

// checkHeaders checks what CONTRACT and the RFCs ask of the answers' headers.
func checkHeaders(t *testing.T, code int, text string) {
	t.Helper()
	need := map[int]string{401: "\nWWW-Authenticate: ", 405: "\nAllow: ", 429: "\nRetry-After: ", 503: "\nRetry-After: "}[code]
	if !strings.Contains(text, need) {
		t.Errorf("an answer with %d has no%s", code, strings.TrimSpace(need))
	}
	decision := "Gatehouse-Decision: deny;"
	if code == http.StatusUnauthorized {
		decision = "Gatehouse-Decision: challenge;"
	}
	if !strings.Contains(text, decision) {
		t.Errorf("%q is missing", decision)
	}
}

func TestIndexListsEveryReason(t *testing.T) {
	md, ok := Page(Index)
	if !ok {
		t.Fatal("there is no index")
	}
	statuses := Statuses()
	for _, name := range Names() {
		row := "| [" + name + "](" + name + ".md) | " + strconv.Itoa(statuses[name]) + " |"
		page, _ := Page(name)
		meaning := strings.Split(string(page), "\n\n")[1]
		_, rest, ok := strings.Cut(string(md), row)
		if !ok {
			t.Errorf("the index has no row that begins with %q", row)
			continue
		}
		if line, _, _ := strings.Cut(rest, "\n"); !strings.HasSuffix(line, "| "+meaning+" |") {
			t.Errorf("the index gives %s another meaning than its page: %q", name, line)
		}
	}
}

func TestUnknownReasonsHaveNoPage(t *testing.T) {
	for _, name := range []string{"", "nothing", "../reasons/revoked", "revoked.md", "./revoked", "REVOKED"} {
		if _, ok := Page(name); ok {
			t.Errorf("Page(%q) found something", name)
		}
		if _, ok := HTML(name); ok {
			t.Errorf("HTML(%q) found something", name)
		}
		if _, ok := Document(name, "/x.css"); ok {
			t.Errorf("Document(%q) found something", name)
		}
	}
}

func TestHTMLIsWellFormedAndPlain(t *testing.T) {
	known := Statuses()
	allowed := strings.Fields("h1 h2 h3 p ul li table tr th td pre code a")
	for _, name := range append(Names(), Index) {
		fragment, ok := HTML(name)
		if !ok {
			t.Fatalf("HTML(%q) found nothing", name)
		}
		d := xml.NewDecoder(strings.NewReader("<page>" + string(fragment) + "</page>"))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s is not well formed: %v\n%s", name, err, fragment)
			}
			start, ok := token.(xml.StartElement)
			if !ok || start.Name.Local == "page" {
				continue
			}
			if !slices.Contains(allowed, start.Name.Local) {
				t.Errorf("%s has an element <%s>", name, start.Name.Local)
			}
			for _, a := range start.Attr {
				target, mine := strings.CutPrefix(a.Value, base+"/")
				if start.Name.Local != "a" || a.Name.Local != "href" || !mine || known[target] == 0 && target != "" {
					t.Errorf("%s has %s=%q on <%s>, which leads nowhere", name, a.Name.Local, a.Value, start.Name.Local)
				}
			}
		}
	}
}

func TestSpansEscape(t *testing.T) {
	for in, want := range map[string]string{
		"a < b & `<i>`":                  "a &lt; b &amp; <code>&lt;i&gt;</code>",
		"see [scopes](missing_scope.md)": `see <a href="/docs/reasons/missing_scope">scopes</a>`,
		"[all](index.md)":                `<a href="/docs/reasons/">all</a>`,
		"[x](javascript:alert)":          "x",
		"[x](http://plain.test/)":        "x",
		`[x](https://a.test/"onclick)`:   `<a href="https://a.test/&#34;onclick">x</a>`,
		"`[x](y.md)`":                    "<code>[x](y.md)</code>",
		"one ` alone":                    "one ` alone",
	} {
		if got := spans(in); got != want {
			t.Errorf("spans(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestDocumentHasNothingInline(t *testing.T) {
	doc, ok := Document("missing_scope", "/assets/gatehouse.css")
	if !ok {
		t.Fatal("no document")
	}
	text := string(doc)
	for _, want := range []string{
		"<!doctype html>", "<title>Missing scope</title>", `<link rel="stylesheet" href="/assets/gatehouse.css">`,
		`<a href="/docs/reasons/">`, "<h1>Missing scope</h1>", "<td><code>missing_scope</code></td><td>403</td>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
	for _, not := range []string{"<script", "<style", "style=", "onclick", "<img"} {
		if strings.Contains(text, not) {
			t.Errorf("the document has %s", not)
		}
	}
}
