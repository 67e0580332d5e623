package spec

import (
	"fmt"
	"strings"
)

// Headers that the gateway tells upstreams who calls with.
const (
	HeaderUserID        = "X-User-ID"
	HeaderClientID      = "X-Client-ID"
	HeaderGrantedScopes = "X-Granted-Scopes"
)

// ForwardHeaders are the names that "headers.forward" may hold.
func ForwardHeaders() []string { return []string{HeaderUserID, HeaderClientID, HeaderGrantedScopes} }

// reservedHeaders cannot carry a claim: the gateway, the protocol or the caller's
// message itself gives them their meaning. Lower-case.
var reservedHeaders = map[string]string{
	"x-user-id":           "the gateway sets it",
	"x-client-id":         "the gateway sets it",
	"x-granted-scopes":    "the gateway sets it",
	"x-request-id":        "the gateway sets it",
	"traceparent":         "the gateway sets it",
	"tracestate":          "the gateway sets it",
	"forwarded":           "the gateway sets it",
	"x-real-ip":           "upstreams take it for the caller's address",
	"authorization":       "it carries credentials",
	"proxy-authorization": "it carries credentials",
	"proxy-authenticate":  "it carries credentials",
	"cookie":              "it carries credentials",
	"set-cookie":          "it carries credentials",
	"dpop":                "it carries credentials",
	"x-api-key":           "it carries credentials",
	"host":                "it says what is called",
	"connection":          "it is about the connection, not the request",
	"proxy-connection":    "it is about the connection, not the request",
	"keep-alive":          "it is about the connection, not the request",
	"te":                  "it is about the connection, not the request",
	"trailer":             "it is about the connection, not the request",
	"transfer-encoding":   "it is about the connection, not the request",
	"upgrade":             "it is about the connection, not the request",
	"expect":              "it is about the connection, not the request",
	"content-length":      "it describes the body",
	"content-type":        "it describes the body",
	"content-encoding":    "it describes the body",
	"content-range":       "it describes the body",
	"range":               "it says which part is wanted",
	"date":                "it describes the message",
	"via":                 "it describes the message's way",
	"max-forwards":        "it describes the message's way",
	"http2-settings":      "it is about the connection, not the request",
	"client-cert":         "upstreams take it for the caller's certificate",
	"client-cert-chain":   "upstreams take it for the caller's certificate",
}

// reservedPrefixes are families of such headers.
var reservedPrefixes = []struct{ prefix, why string }{
	{"x-forwarded-", "the gateway sets it"},
	{"x-gatehouse-", "the gateway sets it"},
	{"gatehouse-", "the gateway sets it"},
	{"sec-", "browsers set it"},
	{"ssl-client-", "upstreams take it for the caller's certificate"},
	{"x-ssl-", "upstreams take it for the caller's certificate"},
	{"x-http-method", "it overrides the method that was checked"},
	{"x-method-override", "it overrides the method that was checked"},
	{"x-original-", "it overrides the path that was checked"},
	{"x-rewrite-", "it overrides the path that was checked"},
}

// CheckClaimHeader reports why a header cannot carry a claim.
func CheckClaimHeader(name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("a header name has 1 to 128 characters")
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !alphanumeric(c) && c != '-' {
			return fmt.Errorf("a header name is made of letters, digits and - only: some servers read _ as -")
		}
	}
	fold := strings.ToLower(name)
	if why := reservedHeaders[fold]; why != "" {
		return fmt.Errorf("%s cannot carry a claim: %s", name, why)
	}
	for _, r := range reservedPrefixes {
		if strings.HasPrefix(fold, r.prefix) {
			return fmt.Errorf("%s cannot carry a claim: %s", name, r.why)
		}
	}
	return nil
}
