// Package federation is sign-in by external identity providers: which there are, whom
// each speaks for, whose accounts are linked to whom there, and what of their answers is
// believed. It leads no browser anywhere itself: login does, and asks here. It must not
// know SQL, HTTP servers, pages or sessions.
package federation

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/expression"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// The types of identity providers that are served; the names are Okta's.
const (
	OIDC      = "OIDC"             // any OpenID Connect provider, such as Keycloak or Entra
	Google    = "GOOGLE"           // Google accounts
	Microsoft = "MICROSOFT"        // an Entra tenant
	Okta      = "OKTA_INTEGRATION" // another Okta org
	SAML2     = "SAML2"            // any SAML 2.0 provider
)

// GoogleIssuer is the issuer of every Google account.
const GoogleIssuer = "https://accounts.google.com"

// The words of a provider's policy; they are Okta's.
const (
	Active   = "ACTIVE"
	Inactive = "INACTIVE"

	Auto     = "AUTO"
	Disabled = "DISABLED"

	MatchUsername = "USERNAME"
	MatchEmail    = "EMAIL"
	MatchEither   = "USERNAME_OR_EMAIL"

	GroupsNone   = "NONE"
	GroupsAssign = "ASSIGN" // everybody into the same groups
	GroupsAppend = "APPEND" // into those of the filter that the claim names
	GroupsSync   = "SYNC"   // into those, and out of the other ones of the filter
)

// Provider is an external identity provider.
type Provider struct {
	Name     string   `json:"name"` // unique; people see it on the button
	Type     string   `json:"type"`
	Status   string   `json:"status"`
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientId"`
	Secret   string   `json:"clientSecret,omitempty"` // sealed; empty: a public client
	Scopes   []string `json:"scopes,omitempty"`       // besides openid

	// Domains are those for whose addresses the provider is the authority: who has one is
	// sent there, and what the provider says of one is taken for proved. Each belongs to
	// one provider.
	Domains []string `json:"domains,omitempty"`

	Link       string   `json:"accountLink"`          // Auto or Disabled: whether accounts that are here already may be linked
	LinkGroups []string `json:"linkGroups,omitempty"` // ids of groups; whose account is to be linked is in one of them
	Create     string   `json:"provisioning"`         // Auto or Disabled: whether accounts are made
	Master     bool     `json:"profileMaster,omitempty"`

	Username string `json:"userNameTemplate"` // expression over idpuser.*
	Match    string `json:"matchType"`
	Filter   string `json:"filter,omitempty"` // regular expression that the whole user name must match

	GroupAction string   `json:"groups"`
	GroupClaim  string   `json:"groupClaim,omitempty"`
	GroupIDs    []string `json:"groupIds,omitempty"` // of Assign: where people go; of others: those that the claim may name

	// Mapping are further attributes of the profile, each an expression over idpuser.*.
	Mapping map[string]string `json:"mapping,omitempty"`
	// Trust takes amr and acr of the provider for what they say.
	Trust bool `json:"trustClaims,omitempty"`

	// SignOut signs people out at the provider, too, when they sign out here; of OpenID
	// Connect, where the provider offers it.
	SignOut bool `json:"participateSlo,omitempty"`
	// OwnCallback gives the provider an address of its own to send browsers back to (RFC 9700
	// section 4.4.2.2): no other provider's answer can be passed off as its. Of OpenID Connect.
	OwnCallback bool `json:"ownCallback,omitempty"`

	// SAML is set for providers of the type SAML2 alone: they have no client and no scopes,
	// and Issuer is their entity id.
	SAML *SAML `json:"saml,omitempty"`
}

// DefaultUsername is the template of the user name when none is given.
const DefaultUsername = "idpuser.email"

// Providers are unique by name; each domain has one.
var Providers = ledger.NewKind(ledger.Spec[Provider]{
	Name: "identity_provider", IDPrefix: "0oa", SharesPrefix: true,
	Keys: func(p Provider) []ledger.Key {
		out := []ledger.Key{ledger.By("name", strings.ToLower(p.Name))}
		for _, d := range p.Domains {
			out = append(out, ledger.By("domain", d))
		}
		return out
	},
	Refs: func(p Provider) []ledger.Ref {
		var out []ledger.Ref
		for _, g := range slices.Concat(p.GroupIDs, p.LinkGroups) {
			out = append(out, ledger.Ref{Field: "groups", Kind: "group", ID: g})
		}
		if p.SAML != nil {
			for _, k := range p.SAML.Keys {
				out = append(out, ledger.Ref{Field: "keys", Kind: "identity_provider_key", ID: k})
			}
		}
		return out
	},
	Check:   checkProvider,
	Secrets: []string{"clientSecret"},
})

// Link says that a user is somebody at a provider. It goes with either.
type Link struct {
	Provider string `json:"provider"`       // id
	Subject  string `json:"subject"`        // sub of the provider's ID tokens: never reassigned there
	User     string `json:"user"`           // id
	Name     string `json:"name"`           // what the provider called them when it was made
	Gone     bool   `json:"gone,omitempty"` // the directory server does not know them any more, and they were suspended
}

// Links are unique by who it is there; a user has one at each provider.
var Links = ledger.NewKind(ledger.Spec[Link]{
	Name: "identity_link", IDPrefix: "idl",
	Keys: func(l Link) []ledger.Key {
		return []ledger.Key{ledger.By("subject", l.Provider, l.Subject), ledger.By("user", l.User, l.Provider)}
	},
	Index: func(l Link) []ledger.Key { return []ledger.Key{ledger.By("provider", l.Provider)} },
	Refs: func(l Link) []ledger.Ref {
		return []ledger.Ref{
			{Field: "provider", Kind: "identity_provider", ID: l.Provider, OnDelete: ledger.Cascade},
			{Field: "user", Kind: "user", ID: l.User, OnDelete: ledger.Cascade},
		}
	},
	Check: func(l Link) error {
		if l.Provider == "" || l.User == "" || l.Subject == "" || len(l.Subject) > 255 || len(l.Name) > 255 {
			return fault.New(fault.Invalid, "a link needs a provider, a user, and a subject of at most 255 bytes")
		}
		return nil
	},
})

// Kinds returns the kinds of this room, for a ledger's registry.
func Kinds() []ledger.AnyKind { return []ledger.AnyKind{Providers, Keys, Links} }

func secretPlace(t tenant.ID, id string) keys.Place {
	return keys.Place{Tenant: t, Kind: "identity_provider", ID: id, Field: "clientSecret"}
}

var (
	domainName    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
	attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	scopeName     = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,100}$`)
)

// Bounds of a provider's lists.
const maxList = 100

func checkProvider(p Provider) error {
	var fields []fault.Field
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: path, Message: message})
		}
	}
	name := strings.TrimSpace(p.Name)
	wrong(name == "" || len(p.Name) > 100 || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }), "name", "must be 1 to 100 bytes without control characters")
	wrong(!slices.Contains([]string{OIDC, Google, Microsoft, Okta, SAML2, LDAP}, p.Type), "type", "must be OIDC, GOOGLE, MICROSOFT, OKTA_INTEGRATION or SAML2: others are not served")
	wrong(p.Status != Active && p.Status != Inactive, "status", "must be ACTIVE or INACTIVE")
	switch {
	case p.SAML != nil:
		fields = append(fields, p.SAML.check(p)...)
	case p.Type != LDAP:
		fields = append(fields, checkClient(p)...)
	}
	wrong(len(p.Domains) > maxList || slices.ContainsFunc(p.Domains, func(d string) bool { return !domainName.MatchString(d) }), "domains", "must be at most 100 domains in lower case, such as acme.com")
	wrong(p.Link != Auto && p.Link != Disabled, "policy.accountLink.action", "must be AUTO or DISABLED")
	wrong(p.Create != Auto && p.Create != Disabled, "policy.provisioning.action", "must be AUTO or DISABLED")
	wrong(!slices.Contains([]string{MatchUsername, MatchEmail, MatchEither}, p.Match), "policy.subject.matchType", "must be USERNAME, EMAIL or USERNAME_OR_EMAIL")
	wrong(!slices.Contains([]string{GroupsNone, GroupsAssign, GroupsAppend, GroupsSync}, p.GroupAction), "policy.provisioning.groups.action", "must be NONE, ASSIGN, APPEND or SYNC")
	wrong(len(p.GroupIDs) > maxList || len(p.LinkGroups) > maxList, "policy", "names more than 100 groups")
	wrong((p.GroupAction == GroupsAppend || p.GroupAction == GroupsSync) && (p.GroupClaim == "" || len(p.GroupIDs) == 0), "policy.provisioning.groups",
		"needs sourceAttributeName and filter: the claim, and the groups that it may name")
	_, err := regexp.Compile(p.Filter)
	wrong(err != nil || len(p.Filter) > 1024, "policy.subject.filter", "is not a regular expression")
	fields = append(fields, checkExpressions(p)...)
	if len(fields) > 0 {
		return fault.New(fault.Invalid, "the identity provider is not valid").WithFields(fields...)
	}
	return nil
}

// checkClient checks what only providers of OpenID Connect have.
func checkClient(p Provider) (fields []fault.Field) {
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: path, Message: message})
		}
	}
	u, err := url.Parse(p.Issuer)
	wrong(p.Type == SAML2, "protocol.type", "must be SAML2 for SAML2")
	wrong(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(p.Issuer) > 1024,
		"protocol.issuer.url", "must be the address that the provider's ID tokens name as iss, such as https://acme.okta.com")
	wrong(p.Type == Google && p.Issuer != GoogleIssuer, "protocol.issuer.url", "must be "+GoogleIssuer+" for GOOGLE")
	wrong(strings.Contains(p.Issuer, "{") || err == nil && manyTenants(u), "protocol.issuer.url", "must be that of one tenant, such as https://login.microsoftonline.com/TENANT/v2.0")
	wrong(p.ClientID == "" || len(p.ClientID) > 1024, "protocol.credentials.client.client_id", "must be 1 to 1024 bytes")
	wrong(len(p.Scopes) > maxList || slices.ContainsFunc(p.Scopes, func(s string) bool { return !scopeName.MatchString(s) }), "protocol.scopes", "must be at most 100 scopes")
	return fields
}

// manyTenants reports whether an issuer is one of those by which Entra signs in the people of
// every tenant: none of their tokens names it, and whose word one would take is not to be
// known.
func manyTenants(u *url.URL) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return strings.EqualFold(u.Hostname(), "login.microsoftonline.com") && slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(first))
}

func checkExpressions(p Provider) (fields []fault.Field) {
	check := func(path, text string) {
		if _, err := expression.Compile(text); err != nil {
			fields = append(fields, fault.Field{Path: path, Message: fault.Of(err).Message})
		}
	}
	check("policy.subject.userNameTemplate.template", p.Username)
	if len(p.Mapping) > maxList {
		fields = append(fields, fault.Field{Path: "mapping", Message: "has more than 100 attributes"})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Mapping)) {
		if !attributeName.MatchString(name) || name == "login" || name == "email" {
			fields = append(fields, fault.Field{Path: "mapping." + name, Message: "is not an attribute that can be mapped"})
		}
		check("mapping."+name, p.Mapping[name])
	}
	return fields
}
