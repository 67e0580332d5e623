package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/strictjson"
)

// bulkOperation is one of a bulk request (RFC 7644 section 3.7).
type bulkOperation struct {
	Method  string          `json:"method"`
	BulkID  string          `json:"bulkId"`
	Version string          `json:"version"`
	Path    string          `json:"path"`
	Data    json.RawMessage `json:"data"`
}

// bulkResult is what has become of it.
type bulkResult struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId,omitempty"`
	Version  string `json:"version,omitempty"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status"`
	Response any    `json:"response,omitempty"`
}

// bulkRef is how an operation names what another one makes.
const bulkRef = "bulkId:"

// bulk is a bulk request on its way.
type bulk struct {
	server *server
	call   *call
	all    []bulkOperation
	made   map[string]string // ids of what was made, by bulkId
	open   map[string]bool   // bulkIds of what may yet be made
	failed int
}

// serveBulk does the operations in their order, those that name what a later one makes
// after that. Each is whole by itself; those before one that fails stay done.
func (s *server) serveBulk(c *call) (answer, error) {
	var b struct {
		FailOnErrors int             `json:"failOnErrors"`
		Operations   []bulkOperation `json:"Operations"`
	}
	if err := decode(c.body, &b); err != nil {
		return answer{}, err
	}
	if len(b.Operations) > maxOperations {
		return answer{}, fault.New(fault.TooLarge, "a bulk request has at most %d operations", maxOperations)
	}
	if err := s.limits.count(discard{}, c.caller, len(b.Operations)); err != nil {
		return answer{}, err
	}
	run := bulk{server: s, call: c, all: b.Operations, made: map[string]string{}, open: map[string]bool{}}
	for _, o := range run.all {
		if strings.EqualFold(o.Method, http.MethodPost) && o.BulkID != "" {
			if run.open[o.BulkID] {
				return answer{}, wrong(invalidValue, "the bulkId %q is there more than once", o.BulkID)
			}
			run.open[o.BulkID] = true
		}
	}
	results := run.do(b.FailOnErrors)
	return answer{status: http.StatusOK, body: map[string]any{"schemas": []string{messageBulk}, "Operations": results}}, nil
}

// discard is where the headers of a refusal within a bulk request go.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// do returns the results in the order of the operations, up to so many failures; 0 for
// any number.
func (b *bulk) do(failures int) []bulkResult {
	results := make([]*bulkResult, len(b.all))
	for left := len(b.all); left > 0; {
		did := 0
		for i, o := range b.all {
			if results[i] != nil || b.waits(o) {
				continue
			}
			results[i] = b.one(o)
			if did++; failures > 0 && b.failed >= failures {
				return finished(results)
			}
		}
		if left -= did; did == 0 {
			// Those that are left wait for one another.
			b.open = map[string]bool{}
		}
	}
	return finished(results)
}

func finished(results []*bulkResult) []bulkResult {
	out := []bulkResult{}
	for _, r := range results {
		if r != nil {
			out = append(out, *r)
		}
	}
	return out
}

// waits reports whether an operation names what is yet to be made by another one.
func (b *bulk) waits(o bulkOperation) bool {
	wait := false
	_, _ = b.resolve(o, func(id string) {
		if b.open[id] && id != o.BulkID {
			wait = true
		}
	})
	return wait
}

// resolve puts ids in the place of references, and tells of those that it cannot.
func (b *bulk) resolve(o bulkOperation, unknown func(id string)) (path string, data []byte) {
	replace := func(text string) string {
		id, is := strings.CutPrefix(text, bulkRef)
		if !is {
			return text
		}
		if made, ok := b.made[id]; ok {
			return made
		}
		unknown(id)
		return text
	}
	parts := strings.Split(o.Path, "/")
	for i := range parts {
		parts[i] = replace(parts[i])
	}
	path, data = strings.Join(parts, "/"), o.Data
	if !strings.Contains(string(o.Data), bulkRef) {
		return path, data
	}
	var v any
	if decode(o.Data, &v) == nil {
		if raw, err := strictjson.Encode(walk(v, replace)); err == nil {
			data = raw
		}
	}
	return path, data
}

// walk replaces every text in a value. PATCH paths such as members[value eq "bulkId:x"]
// are not looked into.
func walk(v any, replace func(string) string) any {
	switch v := v.(type) {
	case string:
		return replace(v)
	case []any:
		for i := range v {
			v[i] = walk(v[i], replace)
		}
	case map[string]any:
		for name := range v {
			v[name] = walk(v[name], replace)
		}
	}
	return v
}

// one does one operation.
func (b *bulk) one(o bulkOperation) *bulkResult {
	out := &bulkResult{Method: strings.ToUpper(o.Method), BulkID: o.BulkID}
	delete(b.open, o.BulkID)
	got, err := b.operate(o)
	if err != nil {
		f := failed(err)
		if f.status >= http.StatusInternalServerError && f.status != http.StatusNotImplemented {
			b.server.Logger.ErrorContext(b.call.ctx, "an operation of a SCIM bulk call failed", "method", o.Method, "error", err)
		}
		b.failed++
		out.Status, out.Response = strconv.Itoa(f.status), f
		if out.Method != http.MethodPost {
			out.Location = b.server.URL + Root + o.Path
		}
		return out
	}
	out.Status, out.Location, out.Version = strconv.Itoa(got.status), got.location, got.version
	if out.Location == "" {
		out.Location = b.server.URL + Root + o.Path
	}
	if out.Method == http.MethodPost && o.BulkID != "" {
		b.made[o.BulkID] = got.location[strings.LastIndexByte(got.location, '/')+1:]
	}
	return out
}

func (b *bulk) operate(o bulkOperation) (answer, error) {
	method := strings.ToUpper(o.Method)
	switch method {
	case http.MethodPost:
		if o.BulkID == "" {
			return answer{}, wrong(invalidSyntax, "an operation with POST needs a bulkId")
		}
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return answer{}, wrong(invalidSyntax, "the method of an operation must be POST, PUT, PATCH or DELETE")
	}
	var missing []string
	path, data := b.resolve(o, func(id string) { missing = append(missing, id) })
	if len(missing) > 0 {
		return answer{}, fault.New(fault.Conflict, "the bulkId %q names nothing that was made", missing[0]).WithReason(invalidValue)
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || !strings.HasPrefix(path, "/") {
		return answer{}, wrong(invalidPath, "the path of an operation begins with /Users or /Groups")
	}
	parts, err := segments(u.Path)
	if err != nil {
		return answer{}, err
	}
	if len(parts) == 0 || parts[0] != "Users" && parts[0] != "Groups" || len(parts) == 2 && parts[1] == ".search" {
		return answer{}, wrong(invalidPath, "the path of an operation begins with /Users or /Groups")
	}
	c := *b.call
	c.method, c.path, c.body, c.match, c.none = method, parts, data, o.Version, ""
	c.query = map[string][]string{"attributes": {"id"}}
	return b.server.operate(&c)
}
