package config

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/spec"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var sameObjects = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(spec.Snapshot{}, "Sources", "Tenant", "Revision")}

// What Render writes, Parse reads as the same objects: for every example, ...
func TestRenderExamples(t *testing.T) {
	for _, path := range []string{"testdata/good/minimal.yaml", "testdata/good/every_key.yaml", "testdata/good/folder", "testdata/whole.yaml"} {
		o := testOptions()
		o.Path, o.builtAll, o.Elsewhere = path, true, true
		file, problems := Load(o)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		text := Render(file.Declared, file.Secrets)
		again, problems := Parse("rendered.yaml", text, o)
		if len(problems) > 0 {
			t.Fatalf("%s: %v\n%s", path, problems, text)
		}
		if d := cmp.Diff(file.Declared, again.Declared, sameObjects); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", path, d, text)
		}
		if strings.Contains(string(text), canary) || strings.Contains(string(text), "from-outside") || strings.Contains(string(text), "10.0.0.3") {
			t.Errorf("%s: a value from outside of the file was written into one:\n%s", path, text)
		}
		if path == "testdata/good/every_key.yaml" {
			golden(t, "testdata/rendered.yaml", text)
		}
	}
}

// ... and for whatever is valid.
func TestRenderRoundTrip(t *testing.T) {
	valid, skipped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		want := genSnapshot(t)
		if f := want.Check(spec.Rules{}); len(f) > 0 {
			skipped++
			t.Skip("not valid:", f[0].Path, f[0].Err)
		}
		valid++
		text := Render(want, nil)
		file, problems := Parse("rendered.yaml", text, Options{Env: func(string) (string, bool) { return "", false }})
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		if d := cmp.Diff(want, file.Declared, sameObjects); d != "" {
			t.Fatalf("(-want +got):\n%s\n%s", d, text)
		}
	})
	if valid < 20 {
		t.Errorf("only %d of %d snapshots were valid: the generator has to be better", valid, valid+skipped)
	}
}

func genSnapshot(t *rapid.T) spec.Snapshot {
	awkward := rapid.SampledFrom([]string{"a", "true", "null", "5", "1e3", "0x10", "${env:X}", "$${", "a: b", "a #b", "- x", "#", "\"q\"", "'", "{x}", "[y]", "é", "public:x", "x:", "::", "~", "yes", "2024-01-01", "*", "&a", "!t", "|", ">", "%", "@", "`", "a,b", "\\", "\u2028", "\u00a0x", "日本"})
	word := rapid.OneOf(awkward, rapid.StringMatching(`[a-z]{1,6}(:[a-z]{1,6})?`))
	var s spec.Snapshot
	for i := range rapid.IntRange(1, 3).Draw(t, "issuers") {
		is := spec.Issuer{Name: fmt.Sprintf("i%d", i), Algorithms: rapid.SliceOfNDistinct(rapid.SampledFrom(spec.Algorithms()), 0, 3, rapid.ID).Draw(t, "algorithms")}
		if rapid.Bool().Draw(t, "builtin") {
			is.Builtin = rapid.SampledFrom([]string{"default", "true", "5", "null"}).Draw(t, "name")
		} else {
			is.URL = rapid.SampledFrom([]string{"https://a.test", "https://a.test/x/", "http://127.0.0.1:5", "https://[2001:db8::1]/"}).Draw(t, "url")
			is.Audience = rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(t, "audience")
		}
		s.Issuers = append(s.Issuers, is)
	}
	durations := rapid.SampledFrom([]spec.Duration{0, 1e7, 15e8, 60e9, 90e9, 3600e9, 3660e9, 3661e9})
	limit := rapid.Custom(func(t *rapid.T) spec.Limit {
		return spec.Limit{
			Count:  rapid.Int64Range(1, 1e9).Draw(t, "count"),
			Period: spec.Duration(rapid.Int64Range(1, 31622400).Draw(t, "seconds") * 1e9),
			Per:    rapid.SampledFrom(spec.Pers()).Draw(t, "per"),
		}
	})
	size := rapid.SampledFrom([]int64{0, -1, 1, 999, 1000, 1024, 10e6, 10 << 20, 1536})
	for i := range rapid.IntRange(0, 3).Draw(t, "apis") {
		a := spec.API{
			Name: fmt.Sprintf("a%d", i), Host: rapid.SampledFrom([]string{"", "h.test", "5.test", "5"}).Draw(t, "host"),
			BasePath: rapid.SampledFrom([]string{"", fmt.Sprintf("/a%d", i), "/x:y/~z"}).Draw(t, "base"),
			Auth:     []string{"i0"}, Limits: rapid.SliceOfN(limit, 0, 2).Draw(t, "limits"), MaxBody: size.Draw(t, "size"),
			ForwardAuthorization: rapid.Bool().Draw(t, "forward"), EncodedSlashes: rapid.Bool().Draw(t, "slashes"),
		}
		a.Upstream = spec.Upstream{
			Targets: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"http://u", "http://u:1/p", "https://[::1]:5"}), 1, 3, rapid.ID).Draw(t, "targets"),
			Balance: rapid.SampledFrom([]string{"", "random", "least_requests"}).Draw(t, "balance"), Timeout: durations.Draw(t, "timeout"),
			Retries: rapid.IntRange(0, 2).Draw(t, "retries"), MaxConnections: rapid.IntRange(0, 2).Draw(t, "connections"),
		}
		if rapid.Bool().Draw(t, "health") {
			a.Upstream.Health = &spec.Health{Path: "/h?x=1&y", Interval: durations.Draw(t, "interval")}
		}
		a.Headers.Forward = rapid.SampledFrom([][]string{nil, {"X-User-ID"}, {"X-Client-ID", "X-Granted-Scopes"}}).Draw(t, "headers")
		if rapid.Bool().Draw(t, "claims") {
			a.Headers.Claims = map[string]string{"X-A": word.Draw(t, "claim"), "Null": word.Draw(t, "claim")}
		}
		a.Routes = genRoutes(t, word, limit, size)
		s.APIs = append(s.APIs, a)
	}
	return s
}

func genRoutes(t *rapid.T, word *rapid.Generator[string], limit *rapid.Generator[spec.Limit], size *rapid.Generator[int64]) []spec.Route {
	var out []spec.Route
	for j := range rapid.IntRange(1, 4).Draw(t, "routes") {
		r := spec.Route{
			Method: rapid.SampledFrom([]string{"GET", "POST", "*", "PURGE", "NULL"}).Draw(t, "method"),
			Path:   fmt.Sprintf(rapid.SampledFrom([]string{"/r%d", "/r%d/{id}", "/r%d/*", "/r%d/", "/r%d/@:x,y(z)!'$&+=~", "/{a}/r%d"}).Draw(t, "path"), j),
			Limits: rapid.SliceOfN(limit, 0, 2).Draw(t, "limits"), MaxBody: size.Draw(t, "size"),
		}
		if r.Public = rapid.IntRange(0, 3).Draw(t, "public") == 0; !r.Public {
			r.Scopes = rapid.SliceOfN(rapid.SliceOfNDistinct(word, 1, 3, rapid.ID), 0, 2).Draw(t, "scopes")
			r.Groups = rapid.SliceOfNDistinct(word, 0, 2, rapid.ID).Draw(t, "groups")
		}
		out = append(out, r)
	}
	return out
}

// The same text always means the same, and what is read is within bounds.
func FuzzParse(f *testing.F) {
	for _, path := range []string{"testdata/whole.yaml", "testdata/good/minimal.yaml", "testdata/good/every_key.yaml", "starter.yaml"} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"a: [b:c]", "{a: b:c}", "- - -", "? a", "a: |\n x", "a: &b *b", "\"\\", "'", "%", "a:\n- b\n-", "version: ${env:X}", "{[", "a: !!x", "é: ö"} {
		f.Add([]byte(s))
	}
	o := testOptions()
	o.builtAll, o.Elsewhere = true, true
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse("f.yaml", data, o)
		if (file == nil) == (len(problems) == 0) {
			t.Fatal("neither a file nor problems, or both")
		}
		if len(problems) > MaxProblems {
			t.Fatalf("%d problems", len(problems))
		}
		var b bytes.Buffer
		if err := problems.Print(&b, true); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), canary) && !bytes.Contains(data, []byte(canary)) {
			t.Fatalf("a secret is shown:\n%s", b.String())
		}
		if file == nil {
			return
		}
		text := Render(file.Declared, file.Secrets)
		again, problems := Parse("f.yaml", text, o)
		if len(problems) > 0 {
			t.Fatalf("what was written is not valid: %v\n%s", problems, text)
		}
		if d := cmp.Diff(file.Declared, again.Declared, sameObjects); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}
