package extauthz

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	kind "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"gatehouse/internal/gateway"
)

// request returns the request that the client sent to Envoy, or why Envoy's words
// do not say which that is.
//
// The client's address is attributes.source, which Envoy finds by its own settings
// (use_remote_address, xff_num_trusted_hops); what headers say about it is the
// client's word, or Envoy's own addition to it, and not read. Pseudo-headers are
// Envoy's form of method, path and host, which stand in fields of their own.
func request(ctx context.Context, in *auth.CheckRequest) (*http.Request, string) {
	h := in.GetAttributes().GetRequest().GetHttp()
	if h == nil {
		return nil, "it is about a connection and not about an HTTP request: use the HTTP filter"
	}
	if h.GetMethod() == "" || h.GetPath() == "" || h.GetHost() == "" {
		return nil, "it has no method, path or host"
	}
	addr, err := netip.ParseAddr(in.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetAddress())
	if err != nil {
		return nil, "it does not say which address the client has"
	}
	r := &http.Request{
		Method: h.GetMethod(), RequestURI: h.GetPath(), Host: h.GetHost(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RemoteAddr: netip.AddrPortFrom(addr.Unmap().WithZone(""), 0).String(), Header: headers(h), Body: http.NoBody,
	}
	switch strings.ToLower(h.GetScheme()) {
	case "https":
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		// Envoy sends it with include_peer_certificate, of its own connection alone.
		if text := in.GetAttributes().GetSource().GetCertificate(); text != "" {
			if r.TLS.PeerCertificates = gateway.PEMCertificates(text); r.TLS.PeerCertificates == nil {
				return nil, "the client's certificate cannot be read"
			}
		}
	case "http":
	default:
		return nil, "the scheme is neither http nor https"
	}
	return r.WithContext(ctx), ""
}

// headers returns the client's headers. With encode_raw_headers each line is there
// by itself; else Envoy has joined the lines of a name with commas, and two
// credentials have become one that nobody accepts.
func headers(h *auth.AttributeContext_HttpRequest) http.Header {
	out := http.Header{}
	add := func(name, value string) {
		if !proxysWord(name) {
			out.Add(name, value)
		}
	}
	if raw := h.GetHeaderMap().GetHeaders(); len(raw) > 0 {
		for _, v := range raw {
			value := v.GetValue()
			if b := v.GetRawValue(); len(b) > 0 {
				value = string(b)
			}
			add(v.GetKey(), value)
		}
		return out
	}
	for name, value := range h.GetHeaders() {
		add(name, value)
	}
	return out
}

// proxysWord reports whether a header says what stands in a field of its own, or
// where the client is. Envoy adds to the latter, so it would be its word and the client's at once.
func proxysWord(name string) bool {
	low := strings.ToLower(name)
	return strings.HasPrefix(low, ":") || strings.HasPrefix(low, "x-forwarded-") || strings.HasPrefix(low, "x-envoy-") ||
		slices.Contains([]string{"forwarded", "x-real-ip", "connection", "content-length", "host", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive", "expect"}, low)
}

// Headers of an allowed answer that are about the answer and not about the caller.
var forClient = []string{"Ratelimit", "Ratelimit-Policy"}

// response returns what Envoy is told. Only headers that the gateway has a value for
// are set; those that it has none for are removed, with everything else of the
// client's that it would not pass on (attack gateway 57).
func response(a gateway.Answer) *auth.CheckResponse {
	if a.Status != http.StatusOK {
		return denied(a)
	}
	ok := &auth.OkHttpResponse{HeadersToRemove: a.Remove}
	for name, values := range a.Header {
		value := strings.Join(values, ", ")
		switch {
		case name == "Cache-Control", name == "X-Request-Id":
		case slices.Contains(forClient, name):
			ok.ResponseHeadersToAdd = append(ok.ResponseHeadersToAdd, set(name, value))
		case value == "":
			if !slices.ContainsFunc(ok.GetHeadersToRemove(), func(o string) bool { return strings.EqualFold(o, name) }) {
				ok.HeadersToRemove = append(ok.HeadersToRemove, name)
			}
		default:
			ok.Headers = append(ok.Headers, set(name, value))
		}
	}
	ok.HeadersToRemove = slices.DeleteFunc(ok.GetHeadersToRemove(), func(name string) bool {
		return slices.ContainsFunc(ok.GetHeaders(), func(h *core.HeaderValueOption) bool { return strings.EqualFold(h.GetHeader().GetKey(), name) })
	})
	slices.Sort(ok.HeadersToRemove)
	return &auth.CheckResponse{
		Status:       &status.Status{Code: int32(codes.OK)},
		HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: ok},
	}
}

// set replaces whatever the client has sent under the name.
func set(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: strings.ToLower(name), Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func denied(a gateway.Answer) *auth.CheckResponse {
	d := &auth.DeniedHttpResponse{Status: &kind.HttpStatus{Code: kind.StatusCode(a.Status)}, Body: string(a.Body)}
	for name, values := range a.Header {
		for _, v := range values {
			if v != "" && name != "Content-Length" {
				d.Headers = append(d.Headers, set(name, v))
			}
		}
	}
	code := codes.PermissionDenied
	if a.Status == http.StatusUnauthorized {
		code = codes.Unauthenticated
	}
	return &auth.CheckResponse{
		Status:       &status.Status{Code: int32(code)},
		HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: d},
	}
}

// unclear is the answer to a question without a meaning.
func unclear() *auth.CheckResponse {
	return denied(gateway.Answer{Status: http.StatusBadRequest})
}
