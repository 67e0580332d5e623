package scim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/strictjson"
)

// The schemas of messages (RFC 7644 section 8.2).
const (
	messageError = "urn:ietf:params:scim:api:messages:2.0:Error"
	messageList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	messageBulk  = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// The reasons of faults that are scimTypes (RFC 7644 table 9), and one of ours.
const (
	invalidFilter = "invalidFilter"
	tooMany       = "tooMany"
	uniqueness    = "uniqueness"
	mutability    = "mutability"
	invalidSyntax = "invalidSyntax"
	invalidPath   = "invalidPath"
	noTarget      = "noTarget"
	invalidValue  = "invalidValue"
	reasonMethod  = "method"
)

// wrong returns a fault with a scimType.
func wrong(scimType, format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).WithReason(scimType)
}

// failure is an error as SCIM answers it (RFC 7644 section 3.12).
type failure struct {
	Schemas []string `json:"schemas"`
	Status  string   `json:"status"`
	Type    string   `json:"scimType,omitempty"`
	Detail  string   `json:"detail,omitempty"`
	status  int
}

// failed turns an error into what the caller is told. What has no code is internal
// outside.
func failed(err error) failure {
	f := fault.Of(err)
	if f == nil {
		f = fault.New(fault.Internal, "")
	}
	out := failure{Schemas: []string{messageError}, Detail: f.Message, status: statusOf(f)}
	for _, field := range f.Fields {
		out.Detail += "; " + field.Path + " " + field.Message
	}
	switch {
	case out.status == http.StatusInternalServerError:
		out.Detail = "something went wrong here"
	case f.Reason == directory.ReasonTooMany:
		out.Type = tooMany
	case f.Code == fault.Conflict && f.Reason == "":
		out.Type = uniqueness
	case f.Code == fault.Invalid:
		out.Type = invalidValue
		for _, t := range []string{invalidFilter, tooMany, mutability, invalidSyntax, invalidPath, noTarget} {
			if f.Reason == t {
				out.Type = t
			}
		}
	}
	out.Status = strconv.Itoa(out.status)
	return out
}

func statusOf(f *fault.Error) int {
	if f.Reason == directory.ReasonTooMany {
		return http.StatusBadRequest
	}
	switch f.Code {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Stale:
		return http.StatusPreconditionFailed
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unsupported:
		if f.Reason == reasonMethod {
			return http.StatusMethodNotAllowed
		}
		return http.StatusNotImplemented
	case fault.Unavailable, fault.Timeout:
		return http.StatusServiceUnavailable
	case fault.Full:
		// RFC 7644 section 3.12 says what its own statuses mean and lets others stand for what
		// HTTP says of them: this one tells a caller that to try again soon is of no use.
		return http.StatusInsufficientStorage
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// fail answers with an error; what is not the caller's fault is whole in the log.
func (s *server) fail(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	f := failed(err)
	if f.status >= http.StatusInternalServerError && f.status != http.StatusNotImplemented {
		s.Logger.ErrorContext(ctx, "a SCIM call failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	s.write(w, answer{status: f.status, body: f})
}

// write sends an answer.
func (s *server) write(w http.ResponseWriter, a answer) {
	h := w.Header()
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.version != "" {
		h.Set("ETag", a.version)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	raw, err := strictjson.Encode(a.body)
	if err != nil {
		a.status, raw = http.StatusInternalServerError, []byte("{}")
	}
	h.Set("Content-Type", "application/scim+json")
	w.WriteHeader(a.status)
	_, _ = w.Write(raw)
}

// Bounds of a request body. ServiceProviderConfig names the first.
const (
	maxBody  = 1 << 20
	maxDepth = 32
)

func readBody(r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return nil, fault.New(fault.TooLarge, "the request body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return nil, wrong(invalidSyntax, "the request body cannot be read")
	}
	return raw, nil
}

// object reads a JSON object.
func object(raw []byte) (map[string]any, error) {
	var v map[string]any
	if err := decode(raw, &v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, wrong(invalidSyntax, "the request body must be a JSON object")
	}
	return v, nil
}

func decode(raw []byte, v any) error {
	switch err := strictjson.Decode(raw, v, maxDepth); {
	case err == nil:
		return nil
	case errors.Is(err, strictjson.ErrTooDeep):
		return wrong(invalidSyntax, "the request body is nested too deeply")
	case errors.Is(err, strictjson.ErrBehind):
		return wrong(invalidSyntax, "something stands behind the JSON of the request body")
	default:
		return wrong(invalidSyntax, "the request body is not the JSON that is expected here")
	}
}
