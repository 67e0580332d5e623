// Package scim is the SCIM 2.0 server, /scim/v2 (RFC 7643, RFC 7644): what Okta, Entra
// and other systems that provision people call. It authenticates the caller, reads what
// is asked for, calls the directory, and shows what has become of it; who may do what is
// up to the caller's roles and scopes, as in the management API. It must not know SQL,
// how tokens are made, or how people sign in.
package scim

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// Root is where the server's addresses begin.
const Root = "/scim/v2"

// People is what the server needs of the directory.
type People interface {
	User(ctx context.Context, id string) (ledger.Object[directory.User], error)
	UserGroups(ctx context.Context, userID string) ([]ledger.Object[directory.Group], error)
	SearchUsers(ctx context.Context, q directory.Search[directory.User]) (directory.Found[directory.User], error)
	CreateUser(ctx context.Context, actor ledger.Actor, n directory.NewUser) (ledger.Object[directory.User], error)
	ProvisionUser(ctx context.Context, actor ledger.Actor, userID string, p directory.Provision) (ledger.Object[directory.User], error)
	RemoveUser(ctx context.Context, actor ledger.Actor, userID string, revision ledger.Revision) error
}

// Groups is what it needs of the directory for groups.
type Groups interface {
	Group(ctx context.Context, id string) (ledger.Object[directory.Group], error)
	AllMembers(ctx context.Context, groupID string, most int) (out []ledger.Object[directory.User], more bool, err error)
	SearchGroups(ctx context.Context, q directory.Search[directory.Group]) (directory.Found[directory.Group], error)
	CreateWhole(ctx context.Context, actor ledger.Actor, n directory.Group, members []string) (ledger.Object[directory.Group], error)
	ChangeWhole(ctx context.Context, actor ledger.Actor, groupID string, revision ledger.Revision, change func(*directory.Group) error, steps []directory.MembersChange) (ledger.Object[directory.Group], error)
	DeleteGroup(ctx context.Context, actor ledger.Actor, id string) error
}

// Config is what New needs.
type Config struct {
	URL           string // of the identity listener, without trailing slash
	Tenant        tenant.ID
	Authenticator Authenticator
	Rights        Rights
	People        People
	Groups        Groups
	// Deactivate makes DELETE of a user who is in use deactivate them, and only the
	// second one delete; otherwise the first one does both.
	Deactivate bool
	Logger     *slog.Logger
	Now        func() time.Time
	// Limit is how many operations a caller may make in a minute; 0 means DefaultLimit.
	Limit int
}

// DefaultLimit is how many operations a caller may make in a minute. Each operation of a
// bulk request counts.
const DefaultLimit = 6000

type server struct {
	Config
	limits *limiter
}

// New returns the handler of Root.
func New(c Config) http.Handler {
	if c.Limit <= 0 {
		c.Limit = DefaultLimit
	}
	return &server{Config: c, limits: newLimiter(c.Limit, c.Now)}
}

// call is one operation with what is known of it. A bulk request is many.
type call struct {
	ctx    context.Context //nolint:containedctx // of the request that the operation is part of
	method string
	path   []string // below Root, without empty segments
	query  map[string][]string
	body   []byte
	caller Caller
	match  string // If-Match, or the version of an operation in bulk
	none   string // If-None-Match
}

// answer is what an operation answers.
type answer struct {
	status   int
	body     any // nil for none
	location string
	version  string
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := tenant.With(r.Context(), s.Tenant)
	w.Header().Set("Cache-Control", "no-store")
	c := &call{
		ctx: ctx, method: r.Method, query: r.URL.Query(),
		match: r.Header.Get("If-Match"), none: r.Header.Get("If-None-Match"),
	}
	var got answer
	var err error
	if c.caller, err = s.authenticate(ctx, w, r); err == nil {
		if c.path, err = segments(strings.TrimPrefix(r.URL.Path, Root)); err == nil {
			if c.body, err = readBody(r); err == nil {
				got, err = s.operate(c)
			}
		}
	}
	if err != nil {
		s.fail(ctx, w, r, err)
		return
	}
	s.write(w, got)
}

// segments splits a path. Ids are single segments; nothing is decoded twice.
func segments(path string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			out = append(out, part)
		}
	}
	if len(out) > 2 {
		return nil, errNoPath()
	}
	return out, nil
}

func errNoPath() error { return fault.New(fault.NotFound, "there is nothing at this address") }

// route is one operation: a method and a path below Root, "*" for an id, with the
// permission that it needs. Operations need more where they change more: they look.
type route struct {
	method, path string
	needs        string
	do           func(*server, *call) (answer, error)
}

// anyone is what operations need that every caller may do.
const anyone = ""

func routes() []route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "ServiceProviderConfig", anyone, (*server).serviceProviderConfig},
		{get, "ResourceTypes", anyone, (*server).listResourceTypes},
		{get, "ResourceTypes/*", anyone, (*server).getResourceType},
		{get, "Schemas", anyone, (*server).listSchemas},
		{get, "Schemas/*", anyone, (*server).getSchema},

		{get, "Users", "okta.users.read", (*server).listUsers},
		{post, "Users/.search", "okta.users.read", (*server).listUsers},
		{post, "Users", "okta.users.create", (*server).createUser},
		{get, "Users/*", "okta.users.read", (*server).getUser},
		{put, "Users/*", "okta.users.userprofile.manage", (*server).replaceUser},
		{patch, "Users/*", "okta.users.userprofile.manage", (*server).patchUser},
		{del, "Users/*", "okta.users.lifecycle.delete", (*server).deleteUser},

		{get, "Groups", "okta.groups.read", (*server).listGroups},
		{post, "Groups/.search", "okta.groups.read", (*server).listGroups},
		{post, "Groups", "okta.groups.create", (*server).createGroup},
		{get, "Groups/*", "okta.groups.read", (*server).getGroup},
		{put, "Groups/*", "okta.groups.manage", (*server).replaceGroup},
		{patch, "Groups/*", "okta.groups.members.manage", (*server).patchGroup},
		{del, "Groups/*", "okta.groups.manage", (*server).deleteGroup},

		{post, "Bulk", anyone, (*server).serveBulk}, // each of its operations needs what it needs
	}
}

// operate finds and does the operation of a call.
func (s *server) operate(c *call) (answer, error) {
	known := false
	for _, r := range routes() {
		want := strings.Split(r.path, "/")
		if len(want) != len(c.path) || want[0] != c.path[0] || len(want) == 2 && want[1] != "*" && want[1] != c.path[1] {
			continue
		}
		if known = true; r.method != c.method {
			continue
		}
		if r.needs != anyone && !c.caller.may(r.needs) {
			return answer{}, errNotAllowed(r.needs)
		}
		return r.do(s, c)
	}
	switch {
	case known:
		return answer{}, fault.New(fault.Unsupported, "the address does not take %s", c.method).WithReason(reasonMethod)
	case len(c.path) == 1 && c.path[0] == "Me":
		return answer{}, fault.New(fault.Unsupported, "/Me is not served: use /Users")
	}
	return answer{}, errNoPath()
}

// id returns the id in the path.
func (c *call) id() string { return c.path[1] }

// value returns a parameter of the address; empty when there is none.
func (c *call) value(name string) string {
	if v := c.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// by returns who history names for a change.
func (c *call) by() ledger.Actor {
	switch {
	case c.caller.User != "":
		return ledger.Actor{Type: "user", ID: c.caller.User, Name: c.caller.Name}
	case c.caller.App != "":
		return ledger.Actor{Type: "app", ID: c.caller.App, Name: c.caller.Name}
	}
	return ledger.Actor{Type: "system", ID: c.caller.Name, Name: c.caller.Name}
}

// guardUser refuses to change a user who may do more than the caller.
func (s *server) guardUser(c *call, id string) error {
	those, err := s.Rights.UserPermissions(c.ctx, id)
	return c.covers(those, err)
}

// guardGroup refuses to change who is in a group whose members may do more than the
// caller.
func (s *server) guardGroup(c *call, id string) error {
	those, err := s.Rights.GroupPermissions(c.ctx, id)
	return c.covers(those, err)
}

func (c *call) covers(those access.Permissions, err error) error {
	if err == nil && !c.caller.Permissions.Cover(those) {
		return fault.New(fault.Denied, "whoever is changed here has administrator roles that you do not have")
	}
	return err
}
