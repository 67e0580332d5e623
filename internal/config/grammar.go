package config

import (
	"fmt"

	"gatehouse/internal/colour"
	"gatehouse/internal/spec"
)

// The grammar. Every key of the file is one line of these tables: its name, what
// it is for, what its value looks like, and the feature that it needs when that is
// not served yet. The parser, the messages and the JSON Schema are made from
// them, so they cannot drift apart.

// Shapes of scalars that are used more than once.
var (
	anyText    = &shape{what: "text", scalar: &scalar{kinds: []kind{text}}}
	yesOrNo    = &shape{what: "true or false", scalar: &scalar{kinds: []kind{boolean}}}
	duration   = &shape{what: "a duration with its unit, such as 500ms, 5s or 2m", scalar: &scalar{kinds: []kind{text}, check: checkDuration, pattern: `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`, example: "5s"}}
	size       = &shape{what: "a size such as 10MB, 64KiB or unlimited", scalar: &scalar{kinds: []kind{text, number}, check: checkSize, pattern: `^([0-9]+ ?([KMG]i?B|kB|B)?|unlimited)$`, example: "10MB"}}
	address    = &shape{what: `an address to listen on, such as ":8080" or "127.0.0.1:8080"`, scalar: &scalar{kinds: []kind{text}, check: CheckAddress, pattern: `^.*:[0-9]+$`, example: ":8080"}}
	webAddress = &shape{what: "a URL such as https://host:8443/path", scalar: &scalar{kinds: []kind{text}, pattern: `^https?://[^ ]+$`, example: "https://host:8443"}}
	limitText  = &shape{what: "a limit such as 100/min per client", scalar: &scalar{kinds: []kind{text}, check: checkLimit, pattern: `^[0-9]+ ?/ ?[0-9]* ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?) per (client|user|ip|api)$`, example: "100/min per client"}}
	limits     = oneOrMore(limitText, "limits such as 100/min per client")
)

// oneOrMore is a scalar or a list of such scalars.
func oneOrMore(item *shape, what string) *shape {
	return &shape{what: what, scalar: item.scalar, list: item}
}

func words(list ...string) *shape {
	return &shape{what: wordsOf(list), scalar: &scalar{kinds: []kind{text}, words: list}}
}

// wordsOf writes a list for people: a, b or c.
func wordsOf(list []string) string {
	out := ""
	for i, w := range list {
		switch {
		case i == 0:
		case i == len(list)-1:
			out += " or "
		default:
			out += ", "
		}
		out += w
	}
	return out
}

func group(what string, keys []key) *shape { return &shape{what: what, keys: keys} }

func named(what, pattern string, name func(string) error, value *shape) *shape {
	return &shape{what: what, dict: &dict{name: name, pattern: pattern, value: value}}
}

const namePattern = `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`

// root is the whole file.
var root = group("a Gatehouse configuration", []key{
	{name: "version", required: true, doc: "The version of this grammar: 1.", shape: &shape{what: "the number 1", scalar: &scalar{kinds: []kind{number}, check: checkVersion, words: nil, pattern: "1"}}},
	{name: "server", doc: "This process: where it listens and keeps its data. Changes take effect after a restart.", shape: group("a group with store, data, gateway, identity, console, mail, people, brand, decide, geo, replay, log, shutdown_timeout", serverKeys)},
	{name: "issuers", doc: "Authorization servers whose tokens APIs accept, by a name that auth uses.", shape: named("a group of issuers by name", namePattern, spec.CheckName, group("a group with url and audience, or builtin", issuerKeys))},
	{name: "zones", doc: "Named sets of networks, which routes and policies name.", shape: named("a group of zones by name", namePattern, spec.CheckName, zoneNetworks)},
	{name: "decision_points", doc: "Services outside that are asked whether requests may pass (OpenID AuthZEN 1.0), by a name that authorize uses. They can only refuse.", shape: named("a group of decision points by name", namePattern, spec.CheckName, group("a group with url, token and timeout", pointKeys))},
	{name: "apis", doc: "What the gateway serves, by name.", shape: named("a group of APIs by name", namePattern, spec.CheckName, group("a group with upstream, auth and routes", apiKeys))},
	{name: "policies", doc: "Cedar policies by name. They apply to every API, and can only tighten.", shape: named("a group of Cedar policies by name", namePattern, spec.CheckName, anyText)},
	{name: "authzen", doc: "Policy sets that AuthZEN clients may ask about, by name. They have nothing to do with the APIs.", shape: named("a group of models by name", namePattern, spec.CheckName, group("a group with resources, entities and policies", modelKeys))},
	{name: "tests", doc: "Requests and what must come of them. Run by validate, and before every apply.", shape: &shape{what: "a list of tests", list: testLine}},
})

var testLine = &shape{
	what:   "a test such as GET /orders/1 with orders:read -> allow",
	scalar: &scalar{kinds: []kind{text}, pattern: `^[A-Z]+ +[^ ]+.*-> *(allow|deny +[a-z_]+)$`, example: "GET /orders/1 with orders:read -> allow"},
}

var pointKeys = []key{
	{name: "url", required: true, doc: "Where its access evaluation API is; without a path it is " + spec.EvaluationPath + " below it. https, or http on loopback.", shape: webAddress},
	{name: "token", doc: "What the gateway proves itself with, as a bearer token: ${env:NAME} or ${file:/path}, never the token itself.", shape: &shape{what: "a reference such as ${file:/run/secrets/name}", scalar: &scalar{kinds: []kind{text}, secret: true, pattern: `^\$\{(env|file):`, example: "${env:PDP_TOKEN}"}}},
	{name: "timeout", doc: "How long an answer may take: what is later is none, and the request is refused. Default 1s, at most 10s.", shape: duration},
}

// points are names of decision points.
var points = oneOrMore(&shape{what: "the name of a decision point", scalar: &scalar{kinds: []kind{text}, example: "opa"}}, "names of decision points")

var modelKeys = []key{
	{name: "resources", required: true, doc: "Types of resources that the model decides about.", shape: oneOrMore(&shape{what: "a type such as todo", scalar: &scalar{kinds: []kind{text}, check: spec.CheckName, example: "todo"}}, "types such as [todo, user]")},
	{name: "entities", doc: "What is known of subjects and resources: by type, by id, attributes. A question can add to it, and not change it.", shape: named("a group of types", namePattern, spec.CheckName,
		named("a group of ids", `^.+$`, checkEntityID, named("a group of attributes", `^.+$`, checkAttributeName, attributeValue)))},
	{name: "policies", required: true, doc: "Cedar policies, permit and forbid. What none permits is denied.", shape: anyText},
}

// attributeValue is what is known of an entity.
var attributeValue = &shape{
	what: "a text, a whole number, true, false or a list of texts", empty: true,
	scalar: &scalar{kinds: []kind{text, number, boolean}}, list: &shape{what: "a text", scalar: &scalar{kinds: []kind{text}}},
}

var serverKeys = []key{
	{name: "store", doc: "Where state is kept: sqlite:PATH, or postgres://user@host/db. A password comes from a reference.", shape: &shape{what: "sqlite:PATH or postgres://user@host/db", scalar: &scalar{kinds: []kind{text}, check: CheckStore, written: checkPassword, pattern: `^(sqlite:|postgres(ql)?://|\$\{)`, example: "sqlite:./gatehouse.db"}}},
	{name: "data", doc: "The folder for what this node keeps: the SQLite store unless store says otherwise, keys, the last good snapshot.", shape: &shape{what: "a folder", scalar: &scalar{kinds: []kind{text}, check: checkPath, example: "./data"}}},
	{name: "redis", unbuilt: "redis", doc: "Shared counters for several gateway nodes.", shape: &shape{what: "redis://host:6379", empty: true, scalar: &scalar{kinds: []kind{text}, check: checkRedis, written: checkPassword, example: "${env:REDIS_URL:-}"}}},
	{name: "gateway", doc: "The listener of the APIs.", shape: group("a group with listen, trusted_proxies and tls", []key{
		{name: "listen", doc: "Address of the gateway listener. Default :8080.", shape: address},
		{name: "trusted_proxies", doc: "Networks of proxies in front of the gateway whose X-Forwarded-For is believed. Default: none.", shape: oneOrMore(proxyNetwork, "networks such as 10.0.0.0/8")},
		{name: "client_cert_header", doc: "Header in which trusted proxies that end TLS say which certificate the client has shown them: client-cert (RFC 9440), x-forwarded-client-cert (Envoy), ssl-client-cert ($ssl_client_escaped_cert of nginx) or x-forwarded-tls-client-cert (Traefik). Default: none is believed.", shape: words(CertHeaders()...)},
		{name: "tls", doc: "Serve TLS (HTTP/1.1 and HTTP/2) with this certificate.", shape: group("a group with cert and key", []key{
			{name: "cert", required: true, doc: "PEM file with the certificate and its chain.", shape: filePath},
			{name: "key", required: true, doc: "PEM file with the private key.", shape: filePath},
			{name: "client_ca", doc: "PEM file with the authorities whose client certificates are taken. Read again when it changes. APIs accept them as identity with auth: mtls.", shape: filePath},
			{name: "client_certs", doc: "Whether clients must show a certificate: optional (default with client_ca) or required. Without client_ca any certificate is taken, for tokens and APIs that know what to make of it.", shape: words(ClientCerts()...)},
		})},
	})},
	{name: "identity", doc: "The listener of the built-in authorization servers and the management APIs.", shape: group("a group with listen, url, trusted_proxies, device_ca, scim_delete, tls, private_apps and saml", []key{
		{name: "listen", doc: "Address of the identity listener. Default :8081.", shape: address},
		{name: "url", doc: "How others reach the identity listener: it is the beginning of the issuers' names.", shape: &shape{what: "a URL such as https://id.example.com", scalar: &scalar{kinds: []kind{text}, check: CheckIdentityURL, pattern: webAddress.scalar.pattern, example: "https://id.example.com"}}},
		{name: "trusted_proxies", doc: "Networks of proxies in front of the identity listener whose X-Forwarded-For is believed: what access rules, sessions and the system log know of a caller's address comes from it. Default: none.", shape: oneOrMore(proxyNetwork, "networks such as 10.0.0.0/8")},
		{name: "client_cert_header", doc: "Header in which trusted proxies that end TLS say which certificate an app has shown them: client-cert (RFC 9440), x-forwarded-client-cert (Envoy), ssl-client-cert ($ssl_client_escaped_cert of nginx) or x-forwarded-tls-client-cert (Traefik). Default: none is believed.", shape: words(CertHeaders()...)},
		{name: "device_ca", doc: "PEM file with the authorities that vouch for managed devices, for rules about them. Read again when it changes.", shape: filePath},
		{name: "tls", doc: "Serve TLS with this certificate.", shape: group("a group with cert and key", []key{
			{name: "cert", required: true, doc: "PEM file with the certificate and its chain.", shape: filePath},
			{name: "key", required: true, doc: "PEM file with the private key.", shape: filePath},
			{name: "client_ca", doc: "PEM file with the authorities that vouch for apps with the method tls_client_auth. Read again when it changes.", shape: filePath},
			{name: "client_certs", doc: "Apps may show a certificate, to authenticate and to have their tokens bound to it. Browsers may ask people for one, too.", shape: words(IdentityClientCerts())},
		})},
		{name: "scim_delete", doc: "What DELETE of a user by SCIM does: remove deactivates and deletes; deactivate deletes with the second DELETE. Default remove.", shape: words("remove", "deactivate")},
		{name: "private_apps", doc: "Whether addresses that apps and hooks name for the server to call, such as for back-channel logout, may be loopback or private ones and plain http. Default false, and true for gatehouse dev.", shape: yesOrNo},
		{name: "saml", doc: "Whether identity providers that speak SAML 2.0 may sign people in. Default false.", shape: yesOrNo},
	})},
	{name: "console", doc: "The listener of the administrators' pages, metrics and health: always on loopback.", shape: group("a group with listen", []key{
		{name: "listen", doc: "Loopback address of the console listener. Default 127.0.0.1:8082.", shape: &shape{what: `a loopback address such as "127.0.0.1:8082"`, scalar: &scalar{kinds: []kind{text}, check: CheckConsoleAddress, pattern: address.scalar.pattern, example: "127.0.0.1:8082"}}},
	})},
	{name: "mail", doc: "The server that takes letters to people: links for a forgotten password, codes, notices. Default: nothing is sent; in dev letters are shown on the console listener.", shape: group("a group with smtp and from", mailKeys)},
	{name: "people", doc: "What people may do for themselves on the pages of the identity listener.", shape: group("a group with registration, breached_passwords and ldap", peopleKeys)},
	{name: "brand", doc: "How pages and letters look to people: whose they are, in which colour, in which words.", shape: group("a group with name, logo, accent, help, support, language and words", brandKeys)},
	{name: "log", doc: "What is logged and how.", shape: group("a group with level and format", []key{
		{name: "level", doc: "The least important level that is logged. Default info.", shape: words(LogLevels()...)},
		{name: "format", doc: "The form of a line. Default json.", shape: words(LogFormats()...)},
	})},
	{name: "decide", doc: "Who else may ask for decisions: proxies, Envoy, AuthZEN clients. Default: this machine alone, on the console listener.", shape: group("a group with listen, envoy, allow, client_cert_header, token and tls", decideKeys)},
	{name: "geo", doc: "Files (mmdb) that say where addresses are, for zones and policies. They are read again when they are replaced.", shape: group("a group with country and asn", []key{
		{name: "country", doc: "File with the country of addresses, such as a GeoLite2-Country.mmdb.", shape: filePath},
		{name: "asn", doc: "File with the network operator of addresses, such as a GeoLite2-ASN.mmdb.", shape: filePath},
	})},
	{name: "replay", doc: "Keep the facts of decisions on disk for gatehouse test --replay. Default: nothing is kept.", shape: group("a group with keep and max_size", []key{
		{name: "keep", required: true, doc: "How long decisions are kept, such as 24h.", shape: duration},
		{name: "max_size", doc: "How much disk they may take; the oldest go first. Default 256MiB.", shape: size},
	})},
	{name: "shutdown_timeout", doc: "How long running requests may take to finish after SIGTERM. Default 30s.", shape: duration},
}

// peopleKeys say what people may do for themselves.
var peopleKeys = []key{
	{name: "breached_passwords", doc: "File of passwords that nobody may choose: sorted SHA-1 hashes as Have I Been Pwned publishes them, or a list of passwords. It is opened at the start, and nothing leaves this machine.", shape: filePath},
	{name: "ldap", doc: "A directory server whose people sign in with their passwords there. Default: none.", shape: group("a group with url, base, filter and domains", ldapKeys)},
	{name: "registration", doc: "Let people make accounts. Default: nobody can.", shape: group("a group with domains", []key{
		{name: "domains", required: true, doc: "Domains of e-mail addresses with which an account can be made, or any. The address is confirmed first.", shape: oneOrMore(&shape{what: "a domain such as acme.test, or any", scalar: &scalar{kinds: []kind{text}, check: checkDomain, example: "acme.test"}}, "domains such as acme.test, or any")},
	})},
}

// brandKeys say how pages and letters look. A file is a picture of the organization's.
var brandKeys = []key{
	{name: "name", doc: "What the site is called. Default Gatehouse on pages, and the host of its address in letters.", shape: &shape{what: "a name such as Acme", scalar: &scalar{kinds: []kind{text}, check: checkSiteName, example: "Acme"}}},
	{name: "logo", doc: "Picture in place of the name, PNG or SVG of plain shapes, at most 256 KiB: one file, or one for light pages and one for dark ones. It is read at the start.", shape: &shape{what: "the path of a file, or a group with light and dark", scalar: filePath.scalar, keys: []key{
		{name: "light", required: true, doc: "File for light pages.", shape: filePath},
		{name: "dark", required: true, doc: "File for dark pages.", shape: filePath},
	}}},
	{name: "accent", doc: "Colour of links and buttons, such as \"#0b6b53\", for light pages; dark ones have it as much lighter as they need. Or a group with both. Text has to be legible in it (WCAG 2.2, AA).", shape: &shape{what: `a colour such as "#0b6b53", or a group with light and dark`, scalar: &scalar{kinds: []kind{text}, check: checkAccent(colour.CheckLight), pattern: colourPattern, example: "#0b6b53"}, keys: []key{
		{name: "light", required: true, doc: "Colour on light pages.", shape: &shape{what: `a colour such as "#0b6b53"`, scalar: &scalar{kinds: []kind{text}, check: checkAccent(colour.CheckLight), pattern: colourPattern, example: "#0b6b53"}}},
		{name: "dark", required: true, doc: "Colour on dark pages.", shape: &shape{what: `a colour such as "#7fd9b8"`, scalar: &scalar{kinds: []kind{text}, check: checkAccent(colour.CheckDark), pattern: colourPattern, example: "#7fd9b8"}}},
	}}},
	{name: "help", doc: "Where people find help: the link at the foot of pages.", shape: &shape{what: "an address such as https://help.acme.test or mailto:it@acme.test", scalar: &scalar{kinds: []kind{text}, check: checkHelp, pattern: `^(https?://|mailto:)[^ ]+$`, example: "https://help.acme.test"}}},
	{name: "support", doc: "A sentence at the foot of pages and letters, such as whom to call: one for all languages, or a group of them by language.", shape: &shape{what: "a sentence, or a group of sentences by language", scalar: &scalar{kinds: []kind{text}, check: checkSentence, example: "Questions? Call 4711."}, dict: &dict{name: checkLanguage, pattern: languagePattern, value: &shape{what: "a sentence", scalar: &scalar{kinds: []kind{text}, check: checkSentence}}}}},
	{name: "language", doc: "Language of who prefers none that there is. Default en.", shape: &shape{what: "a language such as de", scalar: &scalar{kinds: []kind{text}, check: checkLanguage, pattern: languagePattern, example: "de"}}},
	{name: "words", doc: "Folder with texts: LANGUAGE.json replaces single texts of a language, or adds a whole language. It is read at the start.", shape: &shape{what: "a folder", scalar: &scalar{kinds: []kind{text}, check: checkPath, example: "./words"}}},
}

const (
	colourPattern   = `^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`
	languagePattern = `^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`
)

// ldapKeys say which directory server judges the passwords of its people.
var ldapKeys = []key{
	{name: "url", required: true, doc: "The server: ldaps://HOST:636, or ldap://HOST:389 with StartTLS. It is never spoken to without TLS.", shape: &shape{what: "ldaps://host:636 or ldap://host:389", scalar: &scalar{kinds: []kind{text}, check: CheckDirectoryServer, pattern: `^ldaps?://[^/@ ]+/?$`, example: "ldaps://ldap.acme.test"}}},
	{name: "ca", doc: "PEM file with the authorities of the server's certificate. Default: those of the system.", shape: filePath},
	{name: "user", doc: "Name of the entry that may search. Goes with password. Default: nobody, for servers that let anybody search.", shape: anyText},
	{name: "password", doc: "Its password: ${env:NAME} or ${file:/path}.", shape: &shape{what: "a reference such as ${file:/run/secrets/name}", scalar: &scalar{kinds: []kind{text}, secret: true, pattern: `^\$\{(env|file):`, example: "${file:/run/secrets/ldap}"}}},
	{name: "base", required: true, doc: "Entry below which people are, such as ou=people,dc=acme,dc=test.", shape: anyText},
	{name: "filter", required: true, doc: "Filter of the people who may sign in. {login} is what somebody types, {name} the part in front of the @.", shape: anyText},
	{name: "id", doc: "Attribute that names an entry for good. Default entryUUID; objectGUID for Active Directory.", shape: anyText},
	{name: "domains", required: true, doc: "Domains of the e-mail addresses that its people have: whoever has one is judged by the server alone.", shape: oneOrMore(&shape{what: "a domain such as acme.test", scalar: &scalar{kinds: []kind{text}, check: checkOwnDomain, example: "acme.test"}}, "domains such as acme.test")},
	{name: "attributes", doc: "Further attributes of the profile, by name, and the attribute of the entry that each comes from.", shape: named("a group of attributes, such as department: departmentNumber", `^[A-Za-z_][A-Za-z0-9_]*$`, checkAttribute, &shape{what: "the name of an attribute", scalar: &scalar{kinds: []kind{text}, check: checkAttribute, example: "departmentNumber"}})},
	{name: "groups", doc: "Groups here that follow those of the same name there. Default: none.", shape: group("a group with base, filter, name and follow", []key{
		{name: "base", required: true, doc: "Entry below which groups are.", shape: anyText},
		{name: "filter", doc: "Filter of the groups of a person; {dn} is the person's entry. Default (member={dn}).", shape: anyText},
		{name: "name", doc: "Attribute with the name of a group. Default cn.", shape: anyText},
		{name: "nested", doc: "Whether who is in a group is in those that it is in, too. Default false.", shape: yesOrNo},
		{name: "follow", required: true, doc: "Names of the groups. Those that are missing here are made.", shape: oneOrMore(anyText, "names of groups")},
	})},
	{name: "sync", doc: "How often all its people are looked at: who is not found any more is suspended. Default 15m.", shape: duration},
}

// mailKeys say how letters to people leave.
var mailKeys = []key{
	{name: "smtp", required: true, doc: "The server: smtps://HOST:465, or smtp://HOST:587 with STARTTLS. Without TLS letters go to this machine only.", shape: &shape{what: "smtps://host:465 or smtp://host:587", scalar: &scalar{kinds: []kind{text}, check: CheckMailServer, pattern: `^smtps?://[^/@ ]+/?$`, example: "smtps://mail.acme.test:465"}}},
	{name: "from", required: true, doc: "Whom letters are from.", shape: &shape{what: "an address, or a name and an address", scalar: &scalar{kinds: []kind{text}, check: CheckSender, example: "Acme <no-reply@acme.test>"}}},
	{name: "user", doc: "How this process names itself to the server. Goes with password.", shape: anyText},
	{name: "password", doc: "How it proves it: ${env:NAME} or ${file:/path}.", shape: &shape{what: "a reference such as ${file:/run/secrets/name}", scalar: &scalar{kinds: []kind{text}, secret: true, pattern: `^\$\{(env|file):`, example: "${file:/run/secrets/smtp}"}}},
	{name: "ca", doc: "PEM file with the authorities of the server's certificate. Default: those of the system.", shape: filePath},
}

// decideKeys say who may ask for decisions, beside the console listener on this machine.
var decideKeys = []key{
	{name: "listen", doc: "Address of a listener that serves decisions and nothing else: /authz/forward, /gatehouse/v1/authz, /access/v1/.... Default: none.", shape: address},
	{name: "envoy", doc: "Address of a listener for Envoy's ext_authz over gRPC. Default: none.", shape: address},
	{name: "allow", doc: "Networks whose proxies may ask. Default: this machine.", shape: oneOrMore(proxyNetwork, "networks such as 10.0.0.0/8")},
	{name: "client_cert_header", doc: "Header in which whoever asks at /authz/forward says which certificate the client has shown; it must set or remove it in every question. The words are those of gateway.client_cert_header. Default: none is believed.", shape: words(CertHeaders()...)},
	{name: "token", doc: "A secret that whoever asks has to send as well: ${env:NAME} or ${file:/path}, at least 32 characters.", shape: &shape{what: "a reference such as ${file:/run/secrets/name}", scalar: &scalar{kinds: []kind{text}, secret: true, check: CheckDecideToken, pattern: `^\$\{(env|file):`, example: "${env:DECIDE_TOKEN}"}}},
	{name: "tls", doc: "Serve both listeners with this certificate.", shape: group("a group with cert and key", []key{
		{name: "cert", required: true, doc: "PEM file with the certificate and its chain.", shape: filePath},
		{name: "key", required: true, doc: "PEM file with the private key.", shape: filePath},
	})},
}

var (
	proxyNetwork = &shape{what: "a network such as 10.0.0.0/8", scalar: &scalar{kinds: []kind{text}, check: CheckTrustedProxy, example: "10.0.0.0/8"}}
	filePath     = &shape{what: "the path of a file", scalar: &scalar{kinds: []kind{text}, check: checkPath}}
	zoneNetworks = oneOrMore(&shape{what: "a network, country:DE or asn:64500", scalar: &scalar{kinds: []kind{text}, example: "203.0.113.0/24"}}, "networks such as 203.0.113.0/24, country:DE or asn:64500")
)

var issuerKeys = []key{
	{name: "builtin", doc: "Name of a built-in authorization server. Instead of url.", shape: &shape{what: "the name of a built-in authorization server", scalar: &scalar{kinds: []kind{text}, example: "default"}}},
	{name: "url", doc: "The issuer's name as its tokens have it in iss. Discovery below it finds the keys. https, or http on loopback.", shape: webAddress},
	{name: "audience", doc: "Accepted audiences (aud). For a built-in server: its own unless narrowed here.", shape: oneOrMore(&shape{what: "an audience", scalar: &scalar{kinds: []kind{text}, example: "api://orders"}}, "audiences such as api://orders")},
	{name: "algorithms", doc: "Accepted signature algorithms. Default: what discovery says, symmetric ones and none never. With tokens: opaque, of tokens that have the form of a JWT all the same.", shape: oneOrMore(&shape{what: wordsOf(spec.Algorithms()), scalar: &scalar{kinds: []kind{text}, words: spec.Algorithms()}}, "algorithms such as ES256")},
	{name: "tokens", doc: "How tokens are judged: jwt (default), by their signature; opaque, by asking the issuer about each; both, by signature if they are JWTs, else by asking.", shape: words(spec.TokensJWT, spec.TokensOpaque, spec.TokensBoth)},
	{name: "client_id", doc: "How the gateway names itself when it asks about opaque tokens, and where browsers sign in.", shape: anyText},
	{name: "client_secret", doc: "How the gateway proves it: ${env:NAME} or ${file:/path}, never the secret itself.", shape: &shape{what: "a reference such as ${file:/run/secrets/name}", scalar: &scalar{kinds: []kind{text}, secret: true, pattern: `^\$\{(env|file):`, example: "${env:CLIENT_SECRET}"}}},
	{name: "client_auth", doc: "How client_secret is used: basic (default), post, or private_key_jwt, for which it is a private key in PEM (P-256, Ed25519 or RSA).", shape: words(spec.ClientAuths()...)},
	{name: "signed_answers", doc: "Whether the issuer signs what it answers about tokens (RFC 9701). Then an answer that is not signed by its keys is none.", shape: yesOrNo},
	{name: "introspection_url", doc: "Where the issuer is asked about opaque tokens. Default: what discovery says, on the issuer's own host.", shape: webAddress},
	{name: "claims", doc: "What the issuer calls its claims: the word for a known one, or a group. Default: what Okta, Entra, Keycloak and RFC 9068 call them.", shape: &shape{what: wordsOf(spec.Presets()) + ", or a group with preset and names of claims", scalar: words(spec.Presets()...).scalar, keys: claimKeys}},
	{name: "session", doc: "How browsers sign in with the issuer, for APIs with auth: session.", shape: group("a group with scopes, idle and lifetime", []key{
		{name: "scopes", doc: "Scopes that a sign-in asks for, besides openid and, where it is offered, offline_access. Default: those that routes of APIs with auth: session name.", shape: oneOrMore(scopeText, "scopes such as orders:read")},
		{name: "idle", doc: "Longest time without a request. Default 30m.", shape: duration},
		{name: "lifetime", doc: "Longest time since the sign-in. Default 12h.", shape: duration},
	})},
	{name: "client_ca", doc: "Makes it an authority that vouches for client certificates instead of tokens: its certificates in PEM form. claims then says which field names the client and the user: " + wordsOf(spec.CertFields()) + ". Default: client: cn.", shape: &shape{what: "certificates in PEM form, as ${file:/path/ca.pem}", scalar: &scalar{kinds: []kind{text}, example: "${file:/etc/gatehouse/devices-ca.pem}"}}},
	{name: "crl", doc: "File with the certificates that the authority has revoked (CRL, DER or PEM). Read again when it changes; too old a list lets nobody in.", shape: filePath},
	{name: "keys", doc: "Makes it a partner who signs requests (RFC 9421) instead of an issuer of tokens: its public keys in PEM form, by the names that its signatures give them (keyid).", shape: named("a group of keys by name", namePattern, spec.CheckKeyID, &shape{what: "a public key in PEM form, as ${file:/path/partner.pem}", scalar: &scalar{kinds: []kind{text}, example: "${file:/etc/gatehouse/partner.pem}"}})},
	{name: "scopes", doc: "What callers may use for whom a certificate or a signature vouches.", shape: oneOrMore(scopeText, "scopes such as orders:read")},
	{name: "missing_audience", doc: "What becomes of an opaque token whose issuer does not say for whom it is. Default refuse.", shape: words(spec.MissingAudienceRefuse, spec.MissingAudienceAccept)},
}

var claimName = &shape{what: "the name of a claim", scalar: &scalar{kinds: []kind{text}, example: "realm_access.roles"}}

// claimKeys are names of claims; with a dot also a path into an object.
var claimKeys = []key{
	{name: "preset", doc: "Known issuer whose names are used where none is given here.", shape: words(spec.Presets()...)},
	{name: "user", doc: "Claim that says who the person is. Nobody when the client acts for itself.", shape: claimName},
	{name: "client", doc: "Claim that says which client got the token.", shape: claimName},
	{name: "audience", doc: "Claim that says for whom the token is.", shape: claimName},
	{name: "scopes", doc: "Claim with the scopes: a list, or a text with spaces.", shape: claimName},
	{name: "groups", doc: "Claim with the groups.", shape: claimName},
	{name: "roles", doc: "Claim with the roles.", shape: claimName},
}

var apiKeys = []key{
	{name: "host", doc: "Host name that the API is reached at. Default: any.", shape: &shape{what: "a host name", scalar: &scalar{kinds: []kind{text}, example: "api.example.com"}}},
	{name: "base_path", doc: "Where the API begins. Stripped towards the upstream unless keep_base_path is true.", shape: &shape{what: "a path such as /hr", scalar: &scalar{kinds: []kind{text}, pattern: `^/.*[^/]$`, example: "/hr"}}},
	{name: "url", doc: "How callers address the API, when proxies in front make requests look different here. DPoP proofs must name it.", shape: webAddress},
	{name: "keep_base_path", doc: "Pass the base path on to the upstream. Default false.", shape: yesOrNo},
	{name: "upstream", required: true, doc: "The servers behind the API: one URL, or a group.", shape: &shape{what: "a URL such as http://orders:8080, or a group with targets", scalar: webAddress.scalar, keys: upstreamKeys}},
	{name: "auth", doc: "Who vouches for callers: issuer names, any of which will do; api_key, for API keys; mtls, for client certificates that the listener takes; session, for browsers that have signed in; or public.", shape: oneOrMore(&shape{what: "the name of an issuer", scalar: &scalar{kinds: []kind{text}, words: []string{spec.Public, spec.AuthAPIKey, spec.AuthSession, spec.AuthMTLS}, open: true}}, "names of issuers, or public")},
	{name: "sign_in", doc: "Issuer that browsers sign in at, with auth: session. Default: the only one with a client_id.", shape: &shape{what: "the name of an issuer", scalar: &scalar{kinds: []kind{text}, example: "okta"}}},
	{name: "proof", doc: "What callers must prove, so that a stolen token is worth nothing: that they hold the key of a DPoP proof (dpop; dpop_nonce with a nonce of the gateway) or of a client certificate (mtls) to which the token is bound; any of these. Bound tokens are checked without it.", shape: words(spec.Proofs()...)},
	{name: "introspect", doc: "Ask the issuer about JWTs as well, whether they still stand. Issuers elsewhere need tokens: opaque or both. Default false.", shape: yesOrNo},
	{name: "authorize", doc: "Decision points that are asked about every caller, besides all that routes ask: each must let the request pass. Public routes have no caller, and ask nobody.", shape: points},
	{name: "openapi", unbuilt: "openapi", doc: "An OpenAPI file with operations, schemas and scopes.", shape: filePath},
	{name: "limit", doc: "Rate limits: COUNT/PERIOD per client, user, ip or api. All of them apply. A caller without a token counts as a client by its address.", shape: limits},
	{name: "headers", doc: "What the upstream is told about the caller.", shape: group("a group with forward and claims", []key{
		{name: "forward", doc: "Which of X-User-ID, X-Client-ID and X-Granted-Scopes are set. Default: all.", shape: oneOrMore(&shape{what: wordsOf(spec.ForwardHeaders()), scalar: &scalar{kinds: []kind{text}, words: spec.ForwardHeaders()}}, "header names, of "+wordsOf(spec.ForwardHeaders()))},
		{name: "claims", doc: "Further headers, by name, and the claim that each carries.", shape: named("a group of header names and claims, such as X-User-Email: email", `^[A-Za-z0-9-]+$`, spec.CheckClaimHeader, &shape{what: "the name of a claim", scalar: &scalar{kinds: []kind{text}, example: "email"}})},
	})},
	{name: "forward_authorization", doc: "Pass the Authorization header on to the upstream. Default false.", shape: yesOrNo},
	{name: "encoded_slashes", doc: "Accept %2F in path parameters and pass it on as it is. Default false: such requests are refused.", shape: yesOrNo},
	{name: "max_body", doc: "The largest request body. Default 10MiB; unlimited for none.", shape: size},
	{name: "routes", required: true, doc: "The operations: METHOD PATH and what it asks of the caller. What is not listed is denied.", shape: named("a group of routes such as GET /orders/*: orders:read", `^([A-Z][A-Z0-9_-]*|\*) +/`, checkRouteName, routeShape)},
}

var upstreamKeys = []key{
	{name: "targets", required: true, doc: "URLs of the servers.", shape: oneOrMore(webAddress, "URLs of the servers, such as http://10.0.0.1:9000")},
	{name: "balance", doc: "How requests are spread: round_robin (default), least_requests or random. Not supported yet, and refused: hash(ip), hash(header:NAME), hash(claim:NAME).", shape: &shape{what: wordsOf(spec.Balances()) + ", or hash(...)", scalar: &scalar{kinds: []kind{text}, words: spec.Balances(), open: true, pattern: `^(round_robin|least_requests|random|hash\(.+\))$`}}},
	{name: "health", doc: "How the servers are probed. Without it, only failing requests tell.", shape: group("a group with path and interval", []key{
		{name: "path", required: true, doc: "Path that answers 2xx or 3xx when the server is well.", shape: &shape{what: "a path such as /health", scalar: &scalar{kinds: []kind{text}, pattern: "^/", example: "/health"}}},
		{name: "interval", doc: "Time between probes. Default 5s.", shape: duration},
	})},
	{name: "timeout", doc: "How long the head of the answer may take. Default 30s.", shape: duration},
	{name: "retries", doc: "Further attempts after a failure, for idempotent methods, within a budget. Default 0.", shape: &shape{what: "a whole number", scalar: &scalar{kinds: []kind{number}, check: checkWhole, example: "1"}}},
	{name: "max_connections", doc: "Most connections to each server. Default 1024.", shape: &shape{what: "a whole number", scalar: &scalar{kinds: []kind{number}, check: checkWhole, least: 1, example: "1024"}}},
}

var scopeText = &shape{what: "a scope", scalar: &scalar{kinds: []kind{text}, example: "orders:read"}}

// routeShape is public, scopes, or a group.
var routeShape = &shape{
	what:   "public, the scopes it needs, or a group",
	scalar: &scalar{kinds: []kind{text}, words: []string{spec.Public}, open: true, example: "orders:read"},
	keys: []key{
		{name: "public", doc: "No token is asked for.", shape: yesOrNo},
		{name: "scopes", doc: "Scopes that the token must have: all of them. A list of lists is any of these sets.", shape: &shape{what: "scopes, or a list of sets of scopes", scalar: scopeText.scalar, list: &shape{what: "scopes, or sets of scopes", scalar: scopeText.scalar, list: scopeText}}},
		{name: "groups", doc: "Groups of which the user must be in one.", shape: oneOrMore(&shape{what: "the name of a group", scalar: &scalar{kinds: []kind{text}, example: "employees"}}, "names of groups")},
		{name: "roles", doc: "Roles of which the token must name one.", shape: oneOrMore(&shape{what: "the name of a role", scalar: &scalar{kinds: []kind{text}, example: "approver"}}, "names of roles")},
		{name: "proof", doc: "What callers of this operation must prove; can only tighten what the API asks for.", shape: words(spec.Proofs()...)},
		{name: "limit", doc: "Rate limits of this operation, besides those of the API.", shape: limits},
		{name: "max_body", doc: "The largest request body of this operation. Where the API has a max_body, at most that.", shape: size},
		{name: "when", doc: "A Cedar expression that must hold.", shape: anyText},
		{name: "mfa", doc: "A second factor must have been used, at most this long ago.", shape: duration},
		{name: "max_age", doc: "The caller's sign-in must be at most this old.", shape: duration},
		{name: "acr", doc: "Authentication context classes (acr) of which the token must have one, the preferred one first.", shape: oneOrMore(&shape{what: "an authentication context class", scalar: &scalar{kinds: []kind{text}, example: "phr"}}, "authentication context classes such as phr")},
		{name: "amr", doc: "Authentication methods (amr) that the token must have, all of them.", shape: oneOrMore(&shape{what: "an authentication method", scalar: &scalar{kinds: []kind{text}, example: "hwk"}}, "authentication methods such as hwk")},
		{name: "introspect", doc: "Ask the issuer about JWTs as well for this operation; can only tighten.", shape: yesOrNo},
		{name: "authorize", doc: "Decision points that are asked about callers of this operation, besides those of the API.", shape: points},
		{name: "zones", doc: "Zones of which the caller's address must be in one.", shape: oneOrMore(anyText, "names of zones")},
	},
}

func checkVersion(s string) error {
	if s != fmt.Sprint(Version) {
		return fmt.Errorf("this version of Gatehouse reads version: %d", Version)
	}
	return nil
}
