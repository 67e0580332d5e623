package scim

import (
	"net/http"
	"strings"

	"gatehouse/internal/fault"
)

// The schemas of what the server says of itself (RFC 7643 section 5 to 7).
const (
	schemaConfig = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	schemaType   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

func (s *server) serviceProviderConfig(*call) (answer, error) {
	yes := map[string]any{"supported": true}
	return answer{status: http.StatusOK, body: map[string]any{
		"schemas":          []string{schemaConfig},
		"documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
		"patch":            yes,
		"bulk":             map[string]any{"supported": true, "maxOperations": maxOperations, "maxPayloadSize": maxBody},
		"filter":           map[string]any{"supported": true, "maxResults": maxCount},
		"changePassword":   yes, "sort": yes, "etag": yes,
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true, "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
			"description": "An API token, or an access token of the org authorization server with okta.users and okta.groups scopes.",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": s.URL + Root + "/ServiceProviderConfig"},
	}}, nil
}

func resourceTypes() []resourceType { return []resourceType{userType(), groupType()} }

func (s *server) showType(t resourceType) map[string]any {
	extensions := []any{}
	for _, e := range t.extensions {
		extensions = append(extensions, map[string]any{"schema": e.id, "required": false})
	}
	return map[string]any{
		"schemas": []string{schemaType}, "id": t.name, "name": t.name, "description": t.about, "endpoint": t.endpoint,
		"schema": t.core.id, "schemaExtensions": extensions,
		"meta": map[string]any{"resourceType": "ResourceType", "location": s.URL + Root + "/ResourceTypes/" + t.name},
	}
}

// noFilter refuses a filter, which these lists do not take (RFC 7644 section 4).
func (c *call) noFilter() error {
	if c.value("filter") != "" {
		return fault.New(fault.Denied, "what the server says of itself cannot be filtered")
	}
	return nil
}

func (s *server) listResourceTypes(c *call) (answer, error) {
	items := []any{}
	for _, t := range resourceTypes() {
		items = append(items, s.showType(t))
	}
	return answerList(items, len(items), 0), c.noFilter()
}

func (s *server) getResourceType(c *call) (answer, error) {
	for _, t := range resourceTypes() {
		if t.name == c.id() {
			return answer{status: http.StatusOK, body: s.showType(t)}, nil
		}
	}
	return answer{}, fault.New(fault.NotFound, "there is no resource type %q", c.id())
}

func schemas() (out []schema) {
	for _, t := range resourceTypes() {
		out = append(append(out, t.core), t.extensions...)
	}
	return out
}

func (s *server) showSchema(sc schema) map[string]any {
	return map[string]any{
		"schemas": []string{schemaSchema}, "id": sc.id, "name": sc.name, "description": sc.about, "attributes": showAttributes(sc.attributes),
		"meta": map[string]any{"resourceType": "Schema", "location": s.URL + Root + "/Schemas/" + sc.id},
	}
}

func showAttributes(list []attribute) []any {
	out := []any{}
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	for _, a := range list {
		m := map[string]any{
			"name": a.name, "type": or(a.kind, "string"), "multiValued": a.multi, "description": a.about, "required": a.required,
			"mutability": or(a.mutability, "readWrite"), "returned": or(a.returned, "default"),
		}
		if a.kind != "complex" && a.kind != "boolean" && a.kind != "dateTime" {
			m["caseExact"], m["uniqueness"] = a.exact, or(a.uniqueness, "none")
		}
		if a.values != nil {
			m["canonicalValues"] = a.values
		}
		if a.kind == "reference" && a.refers != nil {
			m["referenceTypes"] = a.refers
		}
		if a.sub != nil {
			m["subAttributes"] = showAttributes(a.sub)
		}
		out = append(out, m)
	}
	return out
}

func (s *server) listSchemas(c *call) (answer, error) {
	items := []any{}
	for _, sc := range schemas() {
		items = append(items, s.showSchema(sc))
	}
	return answerList(items, len(items), 0), c.noFilter()
}

func (s *server) getSchema(c *call) (answer, error) {
	for _, sc := range schemas() {
		if strings.EqualFold(sc.id, c.id()) {
			return answer{status: http.StatusOK, body: s.showSchema(sc)}, nil
		}
	}
	return answer{}, fault.New(fault.NotFound, "there is no schema %q", c.id())
}
