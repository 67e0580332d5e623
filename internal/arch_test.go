// Package internal_test holds the tests of the house itself: which room may
// know which, and that every room says what it is for.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what a room may not import of ours, and why. A trailing /... covers
// the rooms below. An "only" rule lists all that it may import.
type rule struct {
	room   string
	only   []string // if not nil: nothing of ours but these
	never  []string
	reason string
}

var rules = []rule{
	{room: "internal/fault", only: []string{}, reason: "every room uses it, so it may use none"},
	{room: "internal/tenant", only: []string{}, reason: "every room uses it, so it may use none"},
	{room: "internal/spec", only: []string{"internal/fault", "internal/order"}, reason: "plain data shared by the file, the catalog and the data plane"},
	{room: "internal/wire", only: []string{}, reason: "bytes and time limits; it can be lifted out and fuzzed alone"},
	{room: "internal/order", only: []string{}, reason: "arithmetic"},
	{room: "internal/clock", only: []string{}, reason: "it reads the system's clocks"},
	{room: "internal/h2", only: []string{"internal/wire"}, reason: "frames, windows and time limits; it can be lifted out and fuzzed alone"},
	{room: "verify", only: []string{}, reason: "public: other people's services import it"},
	{room: "internal/keys", only: []string{"internal/fault", "internal/order", "internal/tenant", "verify"}, reason: "cryptography knows no product"},
	{room: "internal/telemetry", only: []string{"internal/fault", "internal/tenant"}, reason: "everything reports to it"},
	{room: "internal/safehttp", only: []string{"internal/fault", "internal/tenant"}, reason: "the one outbound client must stay reviewable"},
	{room: "internal/introspect", only: []string{"internal/fault", "internal/safehttp", "verify"}, reason: "it asks an issuer; what the answer allows is the gateway's business"},
	{room: "internal/authzen", only: []string{"internal/fault", "internal/safehttp", "verify"}, reason: "it asks a decision point; what it is asked about is the gateway's business"},
	{room: "internal/hostile", only: []string{}, reason: "an enemy of the tests knows nobody"},
	{room: "internal/revocation", only: []string{"internal/cluster", "internal/fault", "internal/tenant", "verify"}, reason: "it is asked on every request, and knows neither stores nor requests"},
	{room: "internal/relying", only: []string{"internal/fault", "internal/safehttp", "internal/web", "verify"}, reason: "it leads browsers to an issuer and back; what a session may do is the gateway's business"},
	{room: "internal/ratelimit", only: []string{"internal/fault", "internal/tenant"}, reason: "arithmetic"},
	{room: "internal/policy", only: []string{"internal/fault", "internal/spec"}, reason: "rules know plain data, not files or requests"},
	{room: "internal/expression", only: []string{"internal/fault"}, reason: "strangers' expressions reach nothing but what their environment shows"},
	{room: "internal/ledger", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL"},
	{room: "internal/catalog", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL"},
	{room: "internal/directory", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL"},
	{room: "internal/access", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL"},
	{room: "internal/issued", only: []string{"internal/cluster", "internal/fault", "internal/tenant"}, reason: "domain: it keeps and ends grants, and knows neither how tokens are made nor whom they are for"},
	{room: "internal/audit", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL"},
	{room: "internal/federation", never: edgesAndEngines, reason: "domain: no HTTP servers, no SQL; browsers are led by login"},
	{room: "internal/ldap", only: []string{"internal/fault"}, reason: "it asks a directory server; what its answers mean here is the federation's business"},
	{room: "internal/saml", only: []string{"internal/fault"}, reason: "it says which answers of a provider are believed; who is meant is the federation's business"},
	{room: "internal/session", only: []string{"internal/cluster", "internal/fault", "internal/keys", "internal/ratelimit"}, reason: "domain: ids, rotation and time; no HTTP, no SQL; every node hears of an end"},
	{room: "internal/risk", only: []string{}, reason: "arithmetic over facts that it is given"},
	{room: "internal/mail", only: []string{"internal/audit", "internal/fault", "internal/tenant"}, reason: "it carries letters; why one is written and what its link opens is the writer's business"},
	{room: "internal/scimfilter", only: []string{}, reason: "it reads what strangers ask for; which attributes there are is the edges' business"},
	{room: "internal/strictjson", only: []string{}, reason: "bytes in, values out"},
	{room: "internal/credential", only: []string{"internal/fault"}, reason: "it reads one header; whose token it is, others know"},
	{room: "internal/colour", only: []string{}, reason: "arithmetic"},
	{room: "internal/web", only: []string{"internal/colour", "internal/tenant"}, reason: "a page kit knows no product, only whose pages they are"},
	{room: "internal/login", never: []string{"internal/store", "internal/gateway", "internal/authserver", "internal/okta", "internal/admin", "internal/app", "internal/cli"}, reason: "an edge calls domain services; authserver brings it requests"},
	{room: "internal/gateway", never: dataPlaneNever, reason: "the data plane runs from a snapshot alone"},
	{room: "internal/decide", only: []string{"client", "internal/fault", "internal/gateway", "internal/policy"}, reason: "it translates between who asks and the gateway; the decision is the gateway's"},
	{room: "internal/extauthz", only: []string{"internal/decide", "internal/gateway"}, reason: "it translates between Envoy and the gateway; the decision is the gateway's"},
	{room: "internal/replay", only: []string{"internal/fault", "internal/gateway", "internal/order"}, reason: "it keeps facts and compares; the decision is the gateway's"},
	{room: "internal/upstream", never: dataPlaneNever, reason: "the data plane runs from a snapshot alone"},
	{room: "internal/config", never: dataPlaneNever, reason: "a file is checked without a store, a network or a running process"},
	{room: "internal/authserver", never: []string{"internal/store", "internal/gateway", "internal/app", "internal/cli"}, reason: "an edge calls domain services"},
	{room: "internal/grant", never: []string{"internal/store", "internal/gateway", "internal/app", "internal/cli"}, reason: "an edge calls domain services"},
	{room: "internal/admin", never: []string{"internal/store", "internal/gateway", "internal/app", "internal/cli"}, reason: "an edge calls domain services"},
	{room: "internal/okta", never: []string{"internal/store", "internal/gateway", "internal/grant", "internal/authserver", "internal/admin", "internal/app", "internal/cli"}, reason: "an edge calls domain services"},
	{room: "internal/scim", never: []string{"internal/store", "internal/gateway", "internal/grant", "internal/authserver", "internal/okta", "internal/admin", "internal/app", "internal/cli"}, reason: "an edge calls domain services"},
	{room: "client", only: []string{}, reason: "public: it speaks to the product over HTTP alone"},
}

var edgesAndEngines = []string{
	"internal/store", "internal/gateway", "internal/upstream", "internal/wire", "internal/authserver",
	"internal/grant", "internal/admin", "internal/okta", "internal/app", "internal/cli", "internal/config", "internal/login", "internal/web",
}

var dataPlaneNever = []string{
	"internal/store", "internal/ledger", "internal/catalog", "internal/directory", "internal/access", "internal/authserver",
	"internal/grant", "internal/admin", "internal/okta", "internal/app", "internal/cli", "internal/audit",
}

// storeImporters may import the store: app composes it, its own suite tests it.
var storeImporters = []string{"internal/app", "internal/store/storetest"}

// doors says which rooms may use a third-party library: replacing it is their diff alone.
var doors = map[string][]string{
	"database/sql":                {"internal/store"},
	"modernc.org/sqlite":          {"internal/store"},
	"github.com/jackc/pgx":        {"internal/store"},
	"github.com/cedar-policy":     {"internal/policy"},
	"github.com/go-jose":          {"internal/keys", "verify"},
	"github.com/prometheus":       {"internal/telemetry"},
	"go.opentelemetry.io":         {"internal/telemetry"},
	"github.com/spf13/cobra":      {"internal/cli"},
	"github.com/fsnotify":         {"internal/config"},
	"github.com/goccy/go-yaml":    {"internal/config", "internal/cli"},
	"golang.org/x/net":            {"internal/h2"},
	"filippo.io/bigmod":           {"verify"},
	"golang.org/x/crypto/argon2":  {"internal/keys"},
	"golang.org/x/crypto/bcrypt":  {"internal/keys"},
	"github.com/envoyproxy":       {"internal/extauthz"},
	"google.golang.org/grpc":      {"internal/extauthz", "verify/grpcverify", "examples/ordersgrpc"}, // the last is no part of the binary
	"google.golang.org/genproto":  {"internal/extauthz"},
	"google.golang.org/protobuf":  {"examples/ordersgrpc"},
	"github.com/oschwald":         {"internal/geo"},
	"github.com/pquerna/otp":      {"internal/keys"},
	"golang.org/x/text":           {"internal/web"},
	"github.com/boombuler":        {"internal/login"},
	"github.com/go-webauthn":      {"internal/directory"},
	"github.com/crewjam/saml":     {"internal/saml"},
	"github.com/go-ldap":          {"internal/ldap"},
	"github.com/russellhaering":   {"internal/saml"},
	"github.com/beevik":           {"internal/saml"},
	"github.com/coder/websocket":  {},
	"github.com/santhosh-tekuri":  {},
	"github.com/stretchr/testify": {},
}

type room struct {
	imports map[string]string // path to the file that imports it
	docs    int
	name    string
}

// rooms reads every package of the module, tests left out.
func rooms(t *testing.T) map[string]*room {
	t.Helper()
	out := map[string]*room{}
	root := ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules" || n == "bin" || n == "tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir, _ := filepath.Rel(root, filepath.Dir(path))
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		r := out[dir]
		if r == nil {
			r = &room{imports: map[string]string{}, name: f.Name.Name}
			out[dir] = r
		}
		if documented(f) {
			r.docs++
		}
		for _, im := range f.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			r.imports[p] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func documented(f *ast.File) bool {
	return f.Doc != nil && len(strings.Fields(f.Doc.Text())) >= 12
}

func TestDirection(t *testing.T) {
	all := rooms(t)
	for _, ru := range rules {
		for dir, r := range all {
			if dir != ru.room && !strings.HasPrefix(dir, ru.room+"/") {
				continue
			}
			for im, file := range r.imports {
				ours, ok := strings.CutPrefix(im, "gatehouse/")
				if !ok || ours == ru.room || strings.HasPrefix(ours, ru.room+"/") {
					continue
				}
				if ru.only != nil && !slices.Contains(ru.only, ours) || slices.ContainsFunc(ru.never, func(n string) bool { return ours == n || strings.HasPrefix(ours, n+"/") }) {
					t.Errorf("%s imports %s, but %s may not: %s", file, ours, ru.room, ru.reason)
				}
			}
		}
	}
}

func TestOnlyAppKnowsTheStore(t *testing.T) {
	for dir, r := range rooms(t) {
		if strings.HasPrefix(dir, "internal/store") || slices.Contains(storeImporters, dir) {
			continue
		}
		if file, ok := r.imports["gatehouse/internal/store"]; ok {
			t.Errorf("%s imports the store; declare the interface you need and let internal/app pass it", file)
		}
	}
}

func TestOneDoorPerLibrary(t *testing.T) {
	for dir, r := range rooms(t) {
		for im, file := range r.imports {
			for lib, allowed := range doors {
				if im != lib && !strings.HasPrefix(im, lib+"/") {
					continue
				}
				if !slices.ContainsFunc(allowed, func(a string) bool { return dir == a || strings.HasPrefix(dir, a+"/") }) {
					t.Errorf("%s imports %s; its door is %v", file, im, allowed)
				}
			}
		}
	}
}

func TestEveryRoomSaysWhatItIsFor(t *testing.T) {
	for dir, r := range rooms(t) {
		switch r.docs {
		case 0:
			t.Errorf("%s has no package comment that says what it is for and what it must not know", dir)
		case 1:
		default:
			t.Errorf("%s has %d package comments; keep one", dir, r.docs)
		}
	}
}

func TestNoVagueNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared"}
	for dir, r := range rooms(t) {
		if slices.Contains(vague, r.name) {
			t.Errorf("package %s (%s) has a name that says nothing", r.name, dir)
		}
	}
}
