package client

import (
	"context"
	"net/http"
)

// AuthzQuestion is a request that the caller passes on, and wants decided.
// Whoever asks vouches for all of it.
type AuthzQuestion struct {
	Method string `json:"method"`
	Scheme string `json:"scheme,omitempty"` // http or https, as the client used it; empty = https
	Host   string `json:"host"`
	Path   string `json:"path"` // as the client sent it, with a query if there was one
	// Headers are the client's, by name. Of a name that is sent twice, all values.
	Headers map[string][]string `json:"headers,omitempty"`
	// ClientIP is the address of the client.
	ClientIP string `json:"client_ip"`
	// ClientCertificate is the certificate that the client has shown, in PEM form, with
	// those in between behind it; empty when it has shown none. Only over https.
	ClientCertificate string `json:"client_certificate,omitempty"`
}

// AuthzAnswer is what the gateway decided.
type AuthzAnswer struct {
	Decision  string `json:"decision"` // allow, deny, challenge
	Status    int    `json:"status"`   // 200, or what the client is to be answered
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id,omitempty"` // for explain
	// Headers: of an allowed request, what to set for the upstream, where an empty
	// value means that the client's header is to be removed; else what the client is
	// to be answered.
	Headers map[string]string `json:"headers,omitempty"`
	// Remove are further headers of the client's that the gateway would not pass on.
	Remove []string `json:"remove,omitempty"`
	// Body is what the client is to be answered: a problem document.
	Body string `json:"body,omitempty"`
}

// Authz has the gateway decide about a request as if it had come to it: it is
// counted, recorded and logged, and not sent on.
func (c *Client) Authz(ctx context.Context, q AuthzQuestion) (AuthzAnswer, error) {
	var a AuthzAnswer
	err := c.call(ctx, http.MethodPost, "/authz", q, &a)
	return a, err
}
