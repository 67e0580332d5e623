package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/wire"
)

// metadataPath is where a protected resource says what it accepts (RFC 9728
// section 3): the well-known name, and behind it the resource's own path.
const metadataPath = "/.well-known/oauth-protected-resource"

// metadata is what is said about the APIs of one base path. The resource itself
// is put in front, because its address depends on how the gateway was addressed.
type metadata struct {
	host string // of the API; empty = any
	path string // base path
	apis []*api
	tail []byte // JSON behind the resource
	next *metadata
}

// addMetadata publishes the issuers and scopes of an API. APIs of one host and
// base path share a document.
func (c *compiled) addMetadata(a *api) {
	m := c.metadata[a.spec.BasePath]
	for m != nil && m.host != a.spec.Host {
		m = m.next
	}
	if m == nil {
		m = &metadata{host: a.spec.Host, path: a.spec.BasePath, next: c.metadata[a.spec.BasePath]}
		c.metadata[a.spec.BasePath] = m
	}
	m.apis = append(m.apis, a)
	var issuers, scopes []string
	dpop := true // of every API here
	for _, o := range m.apis {
		dpop = dpop && demandsDPoP(o.spec.Proof)
		for _, i := range o.issuers {
			if i.authority == nil && i.partner == nil {
				issuers = append(issuers, i.url)
			}
		}
		for _, r := range o.spec.Routes {
			for _, set := range r.Scopes {
				scopes = append(scopes, set...)
			}
		}
	}
	m.tail = metadataTail(issuers, scopes, dpop)
}

func metadataTail(issuers, scopes []string, dpop bool) []byte {
	slices.Sort(issuers)
	slices.Sort(scopes)
	doc := struct {
		Servers []string `json:"authorization_servers,omitempty"`
		Scopes  []string `json:"scopes_supported,omitempty"`
		Methods []string `json:"bearer_methods_supported"`
		DPoP    []string `json:"dpop_signing_alg_values_supported,omitempty"`
		Bound   bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	}{slices.Compact(issuers), slices.Compact(scopes), []string{"header"}, strings.Fields(proofAlgorithms()), dpop}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil // strings always encode
	}
	return append(b[1:], '\n') // without the opening brace
}

// serveMetadata answers a request for the document and reports whether it was one.
// Where only a decision is asked for, the document is no route: its 200 would allow.
func (ex *Exchange) serveMetadata() bool {
	if len(ex.path) < len(metadataPath) || string(ex.path[:len(metadataPath)]) != metadataPath {
		return false
	}
	if ex.kind != methodGet && ex.kind != methodHead {
		return false
	}
	base := ex.path[len(metadataPath):]
	if string(base) == "/" {
		base = nil
	}
	var found *metadata
	for m := ex.snap.metadata[string(base)]; m != nil; m = m.next {
		if m.host == string(ex.host) || m.host == "" && found == nil {
			found = m
		}
	}
	if found == nil || ex.dry || ex.asked {
		return false
	}
	b := ex.appendOrigin(append(ex.body[:0], `{"resource":"`...))
	b = append(append(append(b, base...), `",`...), found.tail...)
	ex.body = b
	ex.answer = append(ex.answer[:0],
		wire.Field{Name: nameContentType, Value: valueJSON, Kind: wire.ContentType},
		wire.Field{Name: nameCacheControl, Value: valueNoStore, Kind: wire.CacheControl},
		wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	ex.answered, ex.status, ex.sent = true, http.StatusOK, int64(len(b))
	if err := ex.lane.Respond(http.StatusOK, ex.answer, bytes.Clone(b)); err != nil {
		ex.sent = 0
	}
	return true
}
