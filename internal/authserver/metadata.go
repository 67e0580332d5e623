package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
	"gatehouse/internal/login"
	"gatehouse/verify"
)

// metadata is what a server says of itself (RFC 8414, OpenID Connect Discovery
// 1.0). It holds nothing that does not exist.
type metadata struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	Pushed                string   `json:"pushed_authorization_request_endpoint"` // RFC 9126
	EndSession            string   `json:"end_session_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserInfo              string   `json:"userinfo_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	Levels                []string `json:"acr_values_supported"`
	PushedOnly            bool     `json:"require_pushed_authorization_requests,omitempty"` // RFC 9126 section 5
	NamesIssuer           bool     `json:"authorization_response_iss_parameter_supported"`  // RFC 9207
	RequestObjects        bool     `json:"request_parameter_supported"`                     // RFC 9101
	RequestURIs           bool     `json:"request_uri_parameter_supported"`                 // of clients' own: none
	RequestAlgorithms     []string `json:"request_object_signing_alg_values_supported"`
	Claims                bool     `json:"claims_parameter_supported"`
	ClaimNames            []string `json:"claims_supported"`
	FrontChannel          bool     `json:"frontchannel_logout_supported"` // no
	FrontChannelSession   bool     `json:"frontchannel_logout_session_supported"`
	Chained               []string `json:"identity_chaining_requested_token_types_supported"` // OAuth Identity Chaining: none
	Locales               []string `json:"ui_locales_supported,omitempty"`                    // of the pages
	DetailTypes           []string `json:"authorization_details_types_supported,omitempty"`   // RFC 9396 section 10
	GrantTypes            []string `json:"grant_types_supported"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported"`
	Backchannel           bool     `json:"backchannel_logout_supported"`                         // OpenID Connect Back-Channel Logout 1.0
	BackchannelSession    bool     `json:"backchannel_logout_session_supported"`                 // logout tokens have sid
	CertificateBound      bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 section 3.3
	ClientDocuments       bool     `json:"client_id_metadata_document_supported,omitempty"`      // OAuth Client ID Metadata Document, section 6
	Device                string   `json:"device_authorization_endpoint,omitempty"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported,omitempty"` // required by OpenID Connect Discovery
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms   []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Introspection         string   `json:"introspection_endpoint"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAlgs     []string `json:"introspection_signing_alg_values_supported"` // of signed answers, RFC 9701 section 7
	Registration          string   `json:"registration_endpoint,omitempty"`            // RFC 7591; of all servers one
	GlobalRevocation      string   `json:"global_token_revocation_endpoint,omitempty"` // draft-parecki-oauth-global-token-revocation; of all servers one
	Revocation            string   `json:"revocation_endpoint"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
}

func (s *Server) metadata(t *grant.Target) metadata {
	auth := []string{access.AuthSecretBasic, access.AuthSecretPost, access.AuthSecretJWT, access.AuthPrivateKey, access.AuthNone}
	auth = append(auth, s.cfg.Certificates.Methods()...)
	algs := assertionAlgorithms()
	authAlgs := append(assertionAlgorithms(), "HS256") // of client_secret_jwt
	device, registration, global := "", "", ""
	if s.cfg.GlobalRevocation != "" {
		global = t.URL + s.cfg.GlobalRevocation
	}
	if s.cfg.Registration != "" {
		registration = t.URL + s.cfg.Registration
	}
	if s.cfg.DevicePage != "" {
		device = t.Endpoint("device/authorize")
	}
	m := metadata{
		ClaimNames: tokenClaims(t.Server), Chained: []string{},
		ClientDocuments: s.cfg.Documents != nil && len(t.Server.Extension.ClientDocuments) > 0,
		Device:          device, CertificateBound: s.cfg.Certificates.Bind(), DetailTypes: detailTypes(t.Server), DPoPAlgorithms: algs, Backchannel: s.cfg.Backchannel, BackchannelSession: s.cfg.Backchannel,
		Issuer:        t.Issuer(),
		Authorization: t.Endpoint("authorize"), Pushed: t.Endpoint("par"), EndSession: t.Endpoint("logout"), ResponseModes: login.ResponseModes(),
		ChallengeMethods: []string{"S256"}, Prompts: promptsSupported(), Levels: login.Levels(t.URL), Locales: s.cfg.Languages, NamesIssuer: true, RequestObjects: true, RequestAlgorithms: algs,
		TokenEndpoint: t.Endpoint("token"), UserInfo: t.Endpoint("userinfo"), JWKS: t.Endpoint("keys"),
		Introspection: t.Endpoint("introspect"), Revocation: t.Endpoint("revoke"),
		Scopes: t.Server.PublishedScopes(), ResponseTypes: []string{"code", "token", "id_token", "id_token token"}, GrantTypes: append(s.cfg.Tokens.GrantTypes(), access.GrantImplicit),
		SubjectTypes: []string{"public"}, IntrospectionAlgs: []string{t.Server.Algorithm}, Registration: registration, GlobalRevocation: global,
		TokenAuth: auth, IntrospectionAuth: auth, RevocationAuth: auth,
		TokenAuthAlgorithms: authAlgs, IntrospectionAuthAlgs: authAlgs, RevocationAuthAlgs: authAlgs,
	}
	if t.Server.Extension.Profile == access.ProfileFAPI2 {
		m.restrict()
	}
	return m
}

// restrict leaves what the FAPI 2.0 Security Profile leaves of a server.
func (m *metadata) restrict() {
	algs := access.FAPI2Algorithms()
	auth := slices.DeleteFunc(slices.Clone(m.TokenAuth), func(name string) bool { return !slices.Contains(access.FAPI2Methods(), name) })
	m.PushedOnly, m.ResponseTypes = true, []string{"code"}
	m.GrantTypes = slices.DeleteFunc(m.GrantTypes, func(name string) bool { return name == access.GrantImplicit || name == access.GrantPassword })
	m.TokenAuth, m.IntrospectionAuth, m.RevocationAuth = auth, auth, auth
	m.TokenAuthAlgorithms, m.IntrospectionAuthAlgs, m.RevocationAuthAlgs = algs, algs, algs
	m.RequestAlgorithms, m.DPoPAlgorithms = algs, algs
}

// tokenClaims are the claims that access tokens have by themselves. Those that
// administrators have made are nobody's business who has no token.
func tokenClaims(s *access.ServerView) []string {
	if s.Shape == access.ShapeRFC9068 {
		return []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "uid", "sid", "auth_time", "acr", "amr", "act", "authorization_details", "cnf"}
	}
	return []string{"ver", "jti", "iss", "aud", "iat", "exp", "cid", "uid", "scp", "sub", "sid", "auth_time", "acr", "amr", "act", "authorization_details", "cnf"}
}

// idTokenClaims are those of ID tokens and userinfo: of the protocol, and of the scopes
// of OpenID Connect Core section 5.4.
func idTokenClaims() []string {
	return []string{
		"iss", "ver", "sub", "aud", "iat", "exp", "jti", "auth_time", "amr", "acr", "nonce", "at_hash", "c_hash", "sid",
		"name", "nickname", "preferred_username", "given_name", "middle_name", "family_name", "email", "email_verified", "profile", "zoneinfo", "locale", "address", "phone_number", "picture", "website", "gender", "birthdate", "updated_at",
	}
}

func detailTypes(s *access.ServerView) (out []string) {
	for i := range s.Extension.DetailTypes {
		out = append(out, s.Extension.DetailTypes[i].Type)
	}
	return out
}

// assertionAlgorithms are the algorithms of client assertions: all that verify knows.
func assertionAlgorithms() []string {
	known := verify.Algorithms()
	out := make([]string, len(known))
	for i, a := range known {
		out[i] = string(a)
	}
	return out
}

func (s *Server) oauthMetadata(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	s.writeMetadata(w, r, s.metadata(t))
}

func (s *Server) openidMetadata(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	m := s.metadata(t)
	m.IDTokenAlgorithms, m.ClaimNames = []string{t.Server.Algorithm}, idTokenClaims()
	s.writeMetadata(w, r, m)
}

func (s *Server) writeMetadata(w http.ResponseWriter, r *http.Request, m metadata) {
	body, err := json.Marshal(m)
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	sum := sha256.Sum256(body)
	writeCacheable(w, r, body, `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
}

// keys answers with the published keys of the server (RFC 7517): those that sign,
// those that will sign next, and those whose tokens have not expired yet.
func (s *Server) keys(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	ring, err := s.cfg.Rings.Ring(r.Context(), t.Tenant, t.Server)
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	if len(ring.Keys()) == 0 {
		// The first key is being made. Who asks waits for it: an empty set would be kept, and
		// a verifier that is refused does not start.
		ctx, cancel := context.WithTimeout(r.Context(), firstKeyTime)
		err := ring.Await(ctx)
		cancel()
		if err != nil {
			grant.WriteError(w, r, s.cfg.Log, grant.Refuse("temporarily_unavailable", err))
			return
		}
	}
	body, etag := ring.JWKS()
	writeCacheable(w, r, body, etag)
}

// firstKeyTime is how long a request for the keys of a new server waits for the first.
const firstKeyTime = 10 * time.Second

// cacheFor is how long metadata and keys may be kept. A key is published a day
// before it signs, so nobody misses it; a key that was taken out because it
// leaked is believed no longer than this.
const cacheFor = "max-age=600, must-revalidate"

var (
	cacheControl = []string{cacheFor}
	contentJSON  = []string{"application/json"}
)

func writeCacheable(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Etag"] = []string{etag}
	if matches(r.Header["If-None-Match"], etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"] = contentJSON
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the caller has gone, there is nobody to tell
}

// matches applies If-None-Match (RFC 9110 section 13.1.2, weak comparison).
func matches(values []string, etag string) bool {
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || tag == etag {
				return true
			}
		}
	}
	return false
}
