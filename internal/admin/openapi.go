package admin

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// serveOpenAPI answers with the OpenAPI 3.1 document of the table of routes.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, openAPI())
}

type object = map[string]any

func openAPI() object {
	schemas := object{}
	paths := object{}
	for _, r := range routes() {
		op := object{
			"summary":   r.Summary,
			"security":  []object{{"ssws": []string{}}},
			"responses": responses(r, schemas),
		}
		if p := parameters(r); len(p) > 0 {
			op["parameters"] = p
		}
		if r.In != nil {
			op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(r.In), schemas)}}}
		}
		path := "/gatehouse/v1" + r.Path
		of, ok := paths[path].(object)
		if !ok {
			of = object{}
			paths[path] = of
		}
		of[strings.ToLower(r.Method)] = op
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "Gatehouse management API", "version": "1"},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"ssws": object{"type": "apiKey", "in": "header", "name": "Authorization", "description": "SSWS and an API token"}},
		},
	}
}

func responses(r route, schemas object) object {
	ok := object{"description": "done"}
	if r.Out != nil {
		media := "application/json"
		if r.Path == "/tail" {
			media = "text/event-stream"
		}
		ok["content"] = object{media: object{"schema": schemaOf(reflect.TypeOf(r.Out), schemas)}}
	}
	code := "200"
	if r.Out == nil && r.In != nil {
		code = "204"
	}
	return object{code: ok, "default": object{"description": "an RFC 9457 problem"}}
}

func parameters(r route) []object {
	var out []object
	for seg := range strings.SplitSeq(r.Path, "/") {
		if strings.HasPrefix(seg, "{") {
			out = append(out, object{"name": strings.Trim(seg, "{}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, q := range r.Query {
		out = append(out, object{"name": q, "in": "query", "schema": object{"type": "string"}})
	}
	return out
}

// schemaOf describes a type of the client package; named structs go to schemas.
func schemaOf(t reflect.Type, schemas object) object {
	if t == reflect.TypeFor[json.RawMessage]() {
		return object{} // any value
	}
	switch t.Kind() { //nolint:exhaustive // the client's types use these kinds; anything else is described as any value
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint32:
		return object{"type": "integer", "format": "int64", "minimum": 0}
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return object{"type": "string", "format": "date-time"}
		}
		return structSchema(t, schemas)
	}
	return object{}
}

func structSchema(t reflect.Type, schemas object) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if t.Name() != "" && schemas[t.Name()] != nil {
		return ref
	}
	properties := object{}
	s := object{"type": "object", "properties": properties}
	if t.Name() != "" {
		schemas[t.Name()] = s
	}
	addFields(t, properties, schemas)
	if t.Name() == "" {
		return s
	}
	return ref
}

// addFields describes the fields of a struct as encoding/json writes them: those of an
// embedded one stand beside its own.
func addFields(t reflect.Type, properties, schemas object) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			addFields(f.Type, properties, schemas)
		case name == "":
			properties[f.Name] = schemaOf(f.Type, schemas)
		default:
			properties[name] = schemaOf(f.Type, schemas)
		}
	}
}
