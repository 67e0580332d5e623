package reasons

import (
	"bytes"
	"html"
	"regexp"
	"strings"
)

// base is where the pages are served, without the slash at the end.
const base = "/docs/reasons"

var (
	// inline finds, in this order of precedence, `code` and [text](address).
	inline = regexp.MustCompile("`([^`]+)`" + `|\[([^\]]+)\]\(([^)\s]+)\)`)
	// page is a link to a neighbouring page, as readers of the repository follow it.
	page = regexp.MustCompile(`^([a-z_]+)\.md$`)
	// rule is the line under the head of a table.
	rule = regexp.MustCompile(`^\|[-| :]+\|$`)
)

// HTML returns the page of a reason, or of Index, as a fragment: headings,
// paragraphs, lists, tables and code, without styles, scripts or classes.
func HTML(reason string) ([]byte, bool) {
	md, ok := Page(reason)
	if !ok {
		return nil, false
	}
	r := renderer{lines: strings.Split(strings.TrimRight(string(md), "\n"), "\n")}
	r.document()
	return r.out.Bytes(), true
}

// Document returns the page of a reason, or of Index, as a whole HTML document
// that works under a policy which forbids everything inline. The stylesheet is
// the address of the one style sheet it links to; empty means none.
func Document(reason, stylesheet string) ([]byte, bool) {
	body, ok := HTML(reason)
	if !ok {
		return nil, false
	}
	md, _ := Page(reason)
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
	b.WriteString(html.EscapeString(title(md)))
	b.WriteString("</title>\n")
	if stylesheet != "" {
		b.WriteString("<link rel=\"stylesheet\" href=\"" + html.EscapeString(stylesheet) + "\">\n")
	}
	b.WriteString("</head>\n<body>\n")
	if reason != Index {
		b.WriteString("<nav><a href=\"" + base + "/\">All reasons</a></nav>\n")
	}
	b.WriteString("<main>\n")
	b.Write(body)
	b.WriteString("</main>\n</body>\n</html>\n")
	return b.Bytes(), true
}

// renderer turns the part of Markdown that the pages use into HTML, line by line.
type renderer struct {
	lines []string
	at    int
	out   bytes.Buffer
}

func (r *renderer) document() {
	for r.at < len(r.lines) {
		line := r.lines[r.at]
		switch {
		case line == "":
			r.at++
		case strings.HasPrefix(line, "```"):
			r.code()
		case strings.HasPrefix(line, "#"):
			r.heading(line)
		case strings.HasPrefix(line, "|"):
			r.table()
		case strings.HasPrefix(line, "- "):
			r.list()
		default:
			r.paragraph()
		}
	}
}

func (r *renderer) heading(line string) {
	text := strings.TrimLeft(line, "#")
	level := string(rune('0' + min(len(line)-len(text), 6)))
	r.out.WriteString("<h" + level + ">" + spans(strings.TrimSpace(text)) + "</h" + level + ">\n")
	r.at++
}

// code copies the lines up to the closing fence, or to the end of the page.
func (r *renderer) code() {
	r.out.WriteString("<pre><code>")
	for r.at++; r.at < len(r.lines) && r.lines[r.at] != "```"; r.at++ {
		r.out.WriteString(html.EscapeString(r.lines[r.at]) + "\n")
	}
	r.out.WriteString("</code></pre>\n")
	r.at++
}

// table renders rows until a line is none; the row above a rule is the head.
func (r *renderer) table() {
	r.out.WriteString("<table>\n")
	for ; r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], "|"); r.at++ {
		if rule.MatchString(r.lines[r.at]) {
			continue
		}
		cell := "td"
		if r.at+1 < len(r.lines) && rule.MatchString(r.lines[r.at+1]) {
			cell = "th"
		}
		r.out.WriteString("<tr>")
		for _, text := range strings.Split(strings.Trim(r.lines[r.at], "|"), "|") {
			r.out.WriteString("<" + cell + ">" + spans(strings.TrimSpace(text)) + "</" + cell + ">")
		}
		r.out.WriteString("</tr>\n")
	}
	r.out.WriteString("</table>\n")
}

func (r *renderer) list() {
	r.out.WriteString("<ul>\n")
	for ; r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], "- "); r.at++ {
		r.out.WriteString("<li>" + spans(r.lines[r.at][2:]) + "</li>\n")
	}
	r.out.WriteString("</ul>\n")
}

// paragraph joins lines up to an empty one or the beginning of something else.
func (r *renderer) paragraph() {
	start := r.at
	for r.at++; r.at < len(r.lines); r.at++ {
		line := r.lines[r.at]
		if line == "" || strings.HasPrefix(line, "```") || strings.HasPrefix(line, "#") ||
			strings.HasPrefix(line, "|") || strings.HasPrefix(line, "- ") {
			break
		}
	}
	r.out.WriteString("<p>" + spans(strings.Join(r.lines[start:r.at], " ")) + "</p>\n")
}

// spans renders code and links within a line and escapes all else. A link that
// leads neither to a page of this package nor to an https address stays text.
func spans(text string) string {
	var b strings.Builder
	for {
		m := inline.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(html.EscapeString(text))
			return b.String()
		}
		b.WriteString(html.EscapeString(text[:m[0]]))
		if m[2] >= 0 {
			b.WriteString("<code>" + html.EscapeString(text[m[2]:m[3]]) + "</code>")
		} else {
			label := html.EscapeString(text[m[4]:m[5]])
			if to := address(text[m[6]:m[7]]); to != "" {
				label = "<a href=\"" + html.EscapeString(to) + "\">" + label + "</a>"
			}
			b.WriteString(label)
		}
		text = text[m[1]:]
	}
}

// address returns where a link leads when served, or "" when it may lead nowhere.
func address(link string) string {
	if m := page.FindStringSubmatch(link); m != nil {
		if m[1] == Index {
			return base + "/"
		}
		return base + "/" + m[1]
	}
	if strings.HasPrefix(link, "https://") {
		return link
	}
	return ""
}
