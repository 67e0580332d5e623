//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// table is figures that are not rounds of a contest.
type table struct {
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
}

// bar is one promise and whether it was kept.
type bar struct {
	What  string  `json:"what"`
	Got   float64 `json:"got"`
	Limit float64 `json:"limit"`
	Least bool    `json:"least"` // the limit is the least that is good enough, not the most
	Unit  string  `json:"unit"`
}

func (r bar) kept() bool {
	if r.Least {
		return r.Got >= r.Limit
	}
	return r.Got <= r.Limit
}

// machine is where the figures were taken, without anything that names it.
type machine struct {
	Date     string   `json:"date"`
	CPU      string   `json:"cpu"`
	Cores    string   `json:"cores"`
	Kernel   string   `json:"kernel"`
	Go       string   `json:"go"`
	Versions []string `json:"versions"`
	Method   string   `json:"method"`
	Warning  string   `json:"warning,omitempty"`
}

// report is all that one run found.
type report struct {
	Machine machine `json:"machine"`
	Bars    []bar   `json:"bars"`
	Rows    []row   `json:"rows"`
	Tables  []table `json:"tables"`
}

func (b *bench) atMost(what string, got, limit float64, unit string) {
	b.bars = append(b.bars, bar{What: what, Got: got, Limit: limit, Unit: unit})
}

func (b *bench) atLeast(what string, got, limit float64, unit string) {
	b.bars = append(b.bars, bar{What: what, Got: got, Limit: limit, Unit: unit, Least: true})
}

// noFailures adds a bar when requests failed: figures of errors are no figures.
func (b *bench) noFailures(rows []row) {
	for _, r := range rows {
		if r.Median.Failed > 0 {
			b.atMost("failed requests: "+r.Work+", "+r.Server, float64(r.Median.Failed), 0, "")
		}
	}
}

// ratio returns the median over the rounds of one server's CPU by another's; 0 when one of them is missing.
func ratio(rows []row, of, by string) float64 {
	return compare(rows, of, by, func(x, y float64) float64 { return x / y })
}

// difference returns the median over the rounds of one server's CPU minus another's, in microseconds.
func difference(rows []row, of, minus string) float64 {
	return compare(rows, of, minus, func(x, y float64) float64 { return x - y })
}

func compare(rows []row, first, second string, with func(x, y float64) float64) float64 {
	var a, z []round
	for _, r := range rows {
		if r.Server == first {
			a = r.Rounds
		}
		if r.Server == second {
			z = r.Rounds
		}
	}
	var values []float64
	for i := range min(len(a), len(z)) {
		if z[i].CPU > 0 {
			values = append(values, with(a[i].CPU, z[i].CPU))
		}
	}
	return median(values)
}

// markdown writes the report as one page.
func (r *report) markdown(w io.Writer) error {
	var s strings.Builder
	m := r.Machine
	fmt.Fprintf(&s, "# Gatehouse against its peers, %s\n\n", m.Date)
	fmt.Fprintf(&s, "%s, %s; Linux %s; %s; %s.\n\n%s\n", m.CPU, m.Cores, m.Kernel, m.Go, strings.Join(m.Versions, ", "), m.Method)
	if m.Warning != "" {
		fmt.Fprintf(&s, "\n**%s**\n", m.Warning)
	}
	if len(r.Bars) > 0 {
		s.WriteString("\n## Bars\n\n")
		rows := make([][]string, len(r.Bars))
		for i, b := range r.Bars {
			sign, verdict := "<=", "**fail**"
			if b.Least {
				sign = ">="
			}
			if b.kept() {
				verdict = "pass"
			}
			rows[i] = []string{b.What, figure(b.Got, b.Unit), sign + " " + figure(b.Limit, b.Unit), verdict}
		}
		writeTable(&s, []string{"what", "measured", "bar", ""}, rows)
	}
	s.WriteString("\n## CPU per request, full speed\n")
	last := ""
	var rows [][]string
	flush := func() {
		if len(rows) > 0 {
			fmt.Fprintf(&s, "\n### %s\n\n", last)
			writeTable(&s, []string{"server", "CPU us/request", "ratio", "requests/s", "p50", "p99", "failed"}, rows)
		}
		rows = nil
	}
	for _, x := range r.Rows {
		if x.Work != last {
			flush()
			last = x.Work
		}
		rows = append(rows, []string{
			x.Server, fmt.Sprintf("%.1f", x.Median.CPU), fmt.Sprintf("%.2f", x.Median.Ratio), fmt.Sprintf("%.0f", x.Median.Rate),
			latency(x.Median.P50), latency(x.Median.P99), fmt.Sprint(x.Median.Failed),
		})
	}
	flush()
	for _, t := range r.Tables {
		fmt.Fprintf(&s, "\n## %s\n\n", t.Title)
		writeTable(&s, t.Head, t.Rows)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func latency(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return milliseconds(float64(d))
}

// figure writes a number with as many digits as it deserves.
func figure(v float64, unit string) string {
	digits := 2
	switch {
	case v >= 1000 || unit == "":
		digits = 0
	case v >= 10:
		digits = 1
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, v, unit))
}

// writeTable writes a Markdown table whose columns line up in plain text too.
func writeTable(s *strings.Builder, head []string, rows [][]string) {
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			width[i] = max(width[i], len(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(s, "| %-*s ", width[i], cell)
			} else {
				fmt.Fprintf(s, "| %*s ", width[i], cell)
			}
		}
		s.WriteString("|\n")
	}
	line(head)
	for i := range head {
		dashes := strings.Repeat("-", width[i])
		if i > 0 {
			dashes = dashes[1:] + ":"
		}
		s.WriteString("| " + dashes + " ")
	}
	s.WriteString("|\n")
	for _, row := range rows {
		line(row)
	}
}

// save writes the report as <date>-<cpu>.md and .json into the folder and returns the path of the page.
func (r *report) save(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Machine.Date+"-"+slug(r.Machine.CPU))
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	f, err := os.Create(base + ".md")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Name(), r.markdown(f)
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes a file name of a processor's name.
func slug(name string) string {
	name = strings.NewReplacer("(r)", "", "(tm)", "").Replace(strings.ToLower(name))
	return strings.Trim(notWord.ReplaceAllString(name, "-"), "-")
}
