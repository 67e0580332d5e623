package store

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/store/storetest/pg"
)

var postgres pg.Cluster

func TestMain(m *testing.M) {
	m.Run()
	if err := postgres.Stop(); err != nil {
		panic(err)
	}
}

// eachURL runs the test with the address of an empty store of each engine.
func eachURL(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, "sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, postgres.Database(t)) })
}

func openTest(t *testing.T, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// statements collects every constant of the package that is SQL, by name:
// concatenations are put together.
func statements(t *testing.T) map[string]string {
	t.Helper()
	exprs := map[string]ast.Expr{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, value := range spec.Values {
					exprs[spec.Names[i].Name] = value
				}
			}
			return true
		})
	}
	var text func(e ast.Expr) (string, bool)
	text = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			return s, err == nil && e.Kind == token.STRING
		case *ast.Ident:
			inner, ok := exprs[e.Name]
			if !ok {
				return "", false
			}
			return text(inner)
		case *ast.BinaryExpr:
			x, ok1 := text(e.X)
			y, ok2 := text(e.Y)
			return x + y, ok1 && ok2 && e.Op == token.ADD
		}
		return "", false
	}
	out := map[string]string{}
	verb := regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|PRAGMA|WITH|CREATE)\b`)
	for name, e := range exprs {
		// What is called select... is the beginning of others.
		if s, ok := text(e); ok && verb.MatchString(s) && !strings.HasPrefix(name, "select") {
			out[name] = s
		}
	}
	return out
}

func TestEveryStatementPrepares(t *testing.T) {
	all := statements(t)
	if len(all) < 40 {
		t.Fatalf("only %d statements were found: the search is broken", len(all))
	}
	for _, down := range []bool{false, true} {
		for _, actor := range []bool{false, true} {
			for _, types := range []int{0, 1, 50} {
				all[fmt.Sprintf("eventsText(%t,%t,%d)", down, actor, types)] = eventsText(down, actor, types)
			}
		}
	}
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		for name, text := range all {
			if strings.HasPrefix(name, "ddl") || strings.HasPrefix(name, "sqlite") && !isSQLite(db) || strings.HasPrefix(name, "pg") && isSQLite(db) {
				continue
			}
			err := db.write(t.Context(), "prepare", func(ctx context.Context, tx *tx) error {
				return prepare(ctx, tx, text)
			})
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}

func TestStatementsKeepToThePortableSubset(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		"lists no columns":               regexp.MustCompile(`(?i)SELECT \*|INSERT INTO \w+ VALUES`),
		"takes the time from the engine": regexp.MustCompile(`(?i)\bnow\(\)|CURRENT_TIMESTAMP|strftime|datetime\(`),
		"locks rows":                     regexp.MustCompile(`(?i)FOR (UPDATE|SHARE)`),
		"has ? parameters":               regexp.MustCompile(`\?`),
		"casts in one engine's way":      regexp.MustCompile(`::`),
	}
	for name, text := range statements(t) {
		if strings.HasPrefix(name, "sqlite") || strings.HasPrefix(name, "pg") {
			continue
		}
		for what, re := range forbidden {
			if re.MatchString(text) {
				t.Errorf("%s %s: %s", name, what, text)
			}
		}
	}
	// Everything about a tenant's rows names the tenant, but for what works on all.
	all := map[string]bool{"sqlPing": true, "sqlRevocations": true}
	for name, text := range statements(t) {
		if strings.HasPrefix(name, "sqlite") || strings.HasPrefix(name, "pg") || strings.HasPrefix(name, "ddl") || all[name] ||
			strings.HasPrefix(name, "sqlPrune") || regexp.MustCompile(`settings|counters|schema_migrations`).MatchString(text) {
			continue
		}
		if strings.HasPrefix(text, "INSERT") && strings.Contains(text, "(tenant, ") {
			continue
		}
		if !regexp.MustCompile(`tenant = \$1`).MatchString(text) {
			t.Errorf("%s is not about one tenant: %s", name, text)
		}
	}
}

// Every statement finds its rows by an index and needs no sorting, so that its
// cost does not grow with the store.
func TestStatementsUseIndexes(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	all := statements(t)
	for _, down := range []bool{false, true} {
		all[fmt.Sprintf("eventsText(%t)", down)] = eventsText(down, false, 0)
		all[fmt.Sprintf("eventsText(%t) of an actor", down)] = eventsText(down, true, 0)
		all[fmt.Sprintf("eventsText(%t) of a type", down)] = eventsText(down, false, 1)
	}
	seen := 0
	for name, text := range all {
		if strings.HasPrefix(name, "pg") || strings.HasPrefix(name, "ddl") || strings.HasPrefix(name, "sqlite") || name == "sqlPing" || name == "sqlMigrations" {
			continue
		}
		err := db.read(t.Context(), "explain", func(ctx context.Context, tx *tx) error {
			return tx.rows(ctx, func(row scanner) error {
				var id, parent, unused int
				var detail string
				err := row.Scan(&id, &parent, &unused, &detail)
				seen++
				if strings.HasPrefix(detail, "SCAN") || strings.Contains(detail, "TEMP B-TREE") {
					t.Errorf("%s: %s\n%s", name, detail, text)
				}
				return err
			}, "EXPLAIN QUERY PLAN "+text, placeholders(text)...)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen < 30 {
		t.Errorf("only %d steps of plans were seen", seen)
	}
}

// placeholders returns a value for each parameter of a statement.
func placeholders(text string) []any {
	numbers := map[string]bool{}
	for _, p := range regexp.MustCompile(`\$\d+`).FindAllString(text, -1) {
		numbers[p] = true
	}
	out := make([]any, len(numbers))
	for i := range out {
		out[i] = "1"
	}
	return out
}
