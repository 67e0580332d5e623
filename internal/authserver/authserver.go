// Package authserver serves the protocol endpoints of the built-in authorization
// servers: metadata, keys, introspection, revocation, and, through grant, tokens.
// All routes are one table. It must not know SQL, the gateway, or how a token
// comes to be granted.
package authserver

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/grant"
	"gatehouse/internal/login"
	"gatehouse/internal/revocation"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// Site is the tenant that a request is for, and the address of its identity
// listener: scheme and host, no trailing slash.
type Site struct {
	Tenant tenant.ID
	URL    string
}

// Config is what the handler needs.
type Config struct {
	// Site finds the tenant of a request, by its host; false when there is none.
	Site      func(*http.Request) (Site, bool)
	Views     *access.Views
	Rings     *grant.Rings
	Clients   *grant.Clients
	Tokens    *grant.Endpoint
	Inspector *grant.Inspector
	// Certificates are those that clients show; nil: none can.
	Certificates *grant.Certificates
	Login        Interaction
	Origins      login.Origins // whose pages may call (CORS)
	Waiting      *session.Room // for pushed requests
	Revocations  RevocationStore
	Bus          cluster.Publisher
	Revoked      *revocation.Set // of the whole process: the gateway asks it too
	Audit        audit.Recorder
	Refresh      RefreshTokens
	// Devices keeps device authorizations, and DevicePage is the path of the page where
	// people type their codes; empty: there is none, and the endpoint does not exist.
	Devices    *grant.Devices
	DevicePage string
	Grants     grant.Revoker
	Now        func() time.Time // the clock
	Log        *slog.Logger     // nil = discard

	// Documents finds apps by their metadata documents; nil: none is known by one.
	Documents grant.Documents

	Languages   []string // of the pages, for the metadata
	Backchannel bool     // apps are told of the end of sessions: see Logouts
	// GlobalRevocation is the path at which other systems sign people out of everything,
	// which others serve; empty: none.
	GlobalRevocation string
	// Registration is the path at which clients register, which others serve; empty: none.
	Registration string
}

// Server answers the protocol endpoints of every authorization server.
type Server struct {
	cfg Config
}

// New returns the handler for paths below /oauth2/ and /.well-known/. What is
// not in the table of routes is answered 404.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg}, nil
}

// route is one address of an authorization server. The pattern's {server} is an
// id or the name default; a pattern without it is the org server's.
type route struct {
	method  string // GET stands for HEAD as well
	pattern string
	serve   func(*Server, http.ResponseWriter, *http.Request, *grant.Target)
}

// routes are all addresses that exist.
var routes = []route{
	{http.MethodGet, "/oauth2/{server}/v1/authorize", (*Server).authorize},
	{http.MethodPost, "/oauth2/{server}/v1/authorize", (*Server).authorize},
	{http.MethodPost, "/oauth2/{server}/v1/par", (*Server).push},
	{http.MethodGet, "/oauth2/{server}/v1/logout", (*Server).logout},
	{http.MethodPost, "/oauth2/{server}/v1/logout", (*Server).logout},
	{http.MethodPost, "/oauth2/{server}/v1/token", (*Server).token},
	{http.MethodGet, "/oauth2/{server}/v1/userinfo", (*Server).userInfo},
	{http.MethodPost, "/oauth2/{server}/v1/userinfo", (*Server).userInfo},
	{http.MethodPost, "/oauth2/{server}/v1/introspect", (*Server).introspect},
	{http.MethodPost, "/oauth2/{server}/v1/revoke", (*Server).revoke},
	{http.MethodPost, "/oauth2/{server}/v1/device/authorize", (*Server).device},
	{http.MethodGet, "/oauth2/{server}/v1/keys", (*Server).keys},
	{http.MethodGet, "/oauth2/{server}/.well-known/openid-configuration", (*Server).openidMetadata},
	{http.MethodGet, "/oauth2/{server}/.well-known/oauth-authorization-server", (*Server).oauthMetadata},
	{http.MethodGet, "/.well-known/oauth-authorization-server/oauth2/{server}", (*Server).oauthMetadata}, // RFC 8414 section 3
	{http.MethodGet, "/.well-known/openid-configuration/oauth2/{server}", (*Server).openidMetadata},      // RFC 8414 section 5
	{http.MethodGet, "/oauth2/v1/authorize", (*Server).authorize},
	{http.MethodPost, "/oauth2/v1/authorize", (*Server).authorize},
	{http.MethodPost, "/oauth2/v1/par", (*Server).push},
	{http.MethodGet, "/oauth2/v1/logout", (*Server).logout},
	{http.MethodPost, "/oauth2/v1/logout", (*Server).logout},
	{http.MethodPost, "/oauth2/v1/token", (*Server).token},
	{http.MethodGet, "/oauth2/v1/userinfo", (*Server).userInfo},
	{http.MethodPost, "/oauth2/v1/userinfo", (*Server).userInfo},
	{http.MethodPost, "/oauth2/v1/introspect", (*Server).introspect},
	{http.MethodPost, "/oauth2/v1/revoke", (*Server).revoke},
	{http.MethodPost, "/oauth2/v1/device/authorize", (*Server).device},
	{http.MethodGet, "/oauth2/v1/keys", (*Server).keys},
	{http.MethodGet, "/.well-known/openid-configuration", (*Server).openidMetadata},
	{http.MethodGet, "/.well-known/oauth-authorization-server", (*Server).oauthMetadata},
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site, ok := s.cfg.Site(r)
	if !ok {
		notFound(w, r.Host, "Organization")
		return
	}
	secure(w.Header(), site.URL)
	if s.crossOrigin(w, r, site) {
		return
	}
	rt, name, methods := find(r.URL.EscapedPath(), r.Method)
	if len(methods) == 0 {
		notFound(w, r.URL.Path, "Path")
		return
	}
	if rt == nil {
		methodNotAllowed(w, methods)
		return
	}
	view, err := s.cfg.Views.Get(r.Context(), site.Tenant)
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	server, ok := view.Server(name)
	if !ok {
		notFound(w, name, "AuthorizationServer")
		return
	}
	rt.serve(s, w, r, &grant.Target{Tenant: site.Tenant, URL: site.URL, View: view, Server: server})
}

func (s *Server) token(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	s.cfg.Tokens.ServeToken(w, r, t)
}

func (s *Server) device(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	if s.cfg.DevicePage == "" {
		notFound(w, r.URL.Path, "Path")
		return
	}
	s.cfg.Tokens.ServeDevice(w, r, t, s.cfg.Devices, t.URL+s.cfg.DevicePage)
}

// find returns the route of a path and a method, the server that the path names,
// and the methods that the path has. The path is compared byte for byte as it was
// sent; nothing is cleaned: what is not exactly a route is none.
func find(path, method string) (found *route, server string, methods []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range routes {
		name, ok := match(routes[i].pattern, path)
		if !ok {
			continue
		}
		methods = append(methods, routes[i].method)
		if server = name; routes[i].method == method {
			return &routes[i], server, methods
		}
	}
	return nil, server, methods
}

const serverWord = "{server}"

func match(pattern, path string) (server string, ok bool) {
	before, after, named := strings.Cut(pattern, serverWord)
	if !named {
		return access.OrgServer, pattern == path
	}
	if len(path) <= len(before)+len(after) || !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) {
		return "", false
	}
	server = path[len(before) : len(path)-len(after)]
	return server, !strings.ContainsAny(server, "/%") && server != access.OrgServer
}
