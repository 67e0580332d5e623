package decide

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
)

// maxQuestion bounds a question, in bytes: the head of a request and some air.
const maxQuestion = 128 << 10

// Native answers programs that ask POST /gatehouse/v1/authz on the listener of
// decisions. Make it with NewNative.
type Native struct{ config Config }

// NewNative returns the handler.
func NewNative(c Config) *Native {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Native{c}
}

// ServeHTTP implements http.Handler. Whatever is decided is answered 200.
func (n *Native) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if why := n.config.Trust.refuses(r.RemoteAddr, bearer(r)); why != "" {
		n.config.Logger.WarnContext(r.Context(), "a question was refused", slog.String("peer", r.RemoteAddr), slog.String("why", why))
		refuseAsker(w, why)
		return
	}
	var q client.AuthzQuestion
	if status, why := readJSON(w, r, maxQuestion, true, &q); why != "" {
		problem(w, status, "the question cannot be read", why)
		return
	}
	answer, err := Ask(r.Context(), n.config.Decider, q)
	if err != nil {
		problem(w, http.StatusBadRequest, "the question has no meaning", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // whoever asked may be gone
}

// Ask has a question decided. An Invalid fault says what is wrong with it.
func Ask(ctx context.Context, d Decider, q client.AuthzQuestion) (client.AuthzAnswer, error) {
	r, err := request(ctx, q)
	if err != nil {
		return client.AuthzAnswer{}, err
	}
	return answerOf(d.Decide(r)), nil
}

// request returns the client's request that a question stands for.
func request(ctx context.Context, q client.AuthzQuestion) (*http.Request, error) {
	addr, err := netip.ParseAddr(q.ClientIP)
	if err != nil {
		return nil, fault.New(fault.Invalid, "client_ip is the address of the client, such as 192.0.2.9")
	}
	if q.Method == "" || q.Path == "" || q.Host == "" {
		return nil, fault.New(fault.Invalid, "a question has method, host and path")
	}
	r := &http.Request{
		Method: q.Method, RequestURI: q.Path, Host: q.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
		RemoteAddr: netip.AddrPortFrom(addr.Unmap().WithZone(""), 0).String(), Header: http.Header{},
	}
	switch q.Scheme {
	case "", "https":
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		if q.ClientCertificate != "" {
			if r.TLS.PeerCertificates = gateway.PEMCertificates(q.ClientCertificate); r.TLS.PeerCertificates == nil {
				return nil, fault.New(fault.Invalid, "client_certificate is a certificate in PEM form, and those in between behind it")
			}
		}
	case "http":
		if q.ClientCertificate != "" {
			return nil, fault.New(fault.Invalid, "client_certificate is shown over https only")
		}
	default:
		return nil, fault.New(fault.Invalid, "scheme is http or https")
	}
	headers := http.Header{}
	for name, values := range q.Headers {
		// Two spellings of a name are two lines of one header, as they would be on the wire.
		headers[http.CanonicalHeaderKey(name)] = append(headers[http.CanonicalHeaderKey(name)], values...)
	}
	r.Header = passedOn(headers)
	return r.WithContext(ctx), nil
}

// answerOf turns the gateway's answer into words.
func answerOf(a gateway.Answer) client.AuthzAnswer {
	out := client.AuthzAnswer{
		Decision: "deny", Status: a.Status, Reason: reasonOf(a), RequestID: a.Header.Get("X-Request-Id"),
		Headers: map[string]string{}, Body: string(a.Body), Remove: a.Remove,
	}
	switch a.Status {
	case http.StatusOK:
		out.Decision = "allow"
	case http.StatusUnauthorized:
		out.Decision = "challenge"
	}
	for name, values := range a.Header {
		out.Headers[name] = strings.Join(values, ", ")
	}
	return out
}

// reasonOf returns the reason of a refusal, "" for an allowed request.
func reasonOf(a gateway.Answer) string {
	_, reason, _ := strings.Cut(a.Header.Get("Gatehouse-Decision"), "reason=")
	return reason
}

// refuseAsker answers somebody who may not ask: 401 when a token would do.
func refuseAsker(w http.ResponseWriter, why string) {
	if why == whyToken {
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem(w, http.StatusUnauthorized, "not for whoever asks this", why)
		return
	}
	problem(w, http.StatusForbidden, "not for whoever asks this", why)
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": title, "detail": detail}) // whoever asked may be gone
}

// readJSON decodes a body, or returns the status and why not. A body of another
// type is refused: a page in a browser can send those to this machine unasked.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, strict bool, v any) (status int, why string) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return http.StatusUnsupportedMediaType, "Content-Type must be application/json"
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.UseNumber()
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(v)
	if err == nil && d.More() {
		return http.StatusBadRequest, "there is something behind the JSON"
	}
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return http.StatusRequestEntityTooLarge, "the body is too large"
	case err != nil:
		return http.StatusBadRequest, "the body is not the JSON that this address takes: " + err.Error()
	}
	return 0, ""
}
