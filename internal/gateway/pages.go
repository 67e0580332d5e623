package gateway

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
)

// signInAt is where pages of signing in are served: at the hosts of the APIs that ask
// for sessions, and nowhere else.
type signInAt struct {
	host string // empty = any
	in   *SignIn
}

// serveOwn answers a request for a document or page of the gateway's own and reports
// whether it was one. All of them begin with "/.".
func (ex *Exchange) serveOwn() bool {
	if len(ex.path) < 2 || ex.path[1] != '.' {
		return false
	}
	return ex.serveMetadata() || ex.servePage()
}

// servePage answers a request for a page of signing in. Where only a decision is
// asked for, it is no route, like the metadata.
func (ex *Exchange) servePage() bool {
	if ex.dry || ex.asked {
		return false
	}
	for _, at := range ex.snap.signIns {
		if !bytes.HasPrefix(ex.path, []byte(at.in.Path)) || at.host != "" && at.host != string(ex.host) {
			continue
		}
		ex.answerPage(at.in.Pages)
		return true
	}
	return false
}

// answerPage hands the request to a page as one of net/http, whose URL says how the
// browser addressed us, and sends what the page answers.
func (ex *Exchange) answerPage(p Pages) {
	proto, host, _ := ex.outside()
	r := (&http.Request{
		Method: string(ex.req.Method), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: string(host), Header: http.Header{},
		URL:           &url.URL{Scheme: proto, Host: string(host), Path: string(ex.path), RawQuery: string(ex.query)},
		RemoteAddr:    ex.facts.client.String(),
		Body:          http.NoBody,
		ContentLength: ex.req.Body.Length(),
	}).WithContext(ex.Context())
	if ex.req.Body.Length() != 0 {
		r.Body = pageBody{&ex.req.Body}
	}
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
		r.Header[name] = append(r.Header[name], string(f.Value))
	}
	w := &pageWriter{header: http.Header{}}
	err := p.ServePage(w, r)
	if w.status == 0 {
		w.status = http.StatusInternalServerError
	}
	ex.answer = append(ex.answer[:0], wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	for name, values := range w.header {
		for _, v := range values {
			b := []byte(name)
			ex.answer = append(ex.answer, wire.Field{Name: b, Value: []byte(strings.TrimSpace(v)), Kind: wire.Classify(b)})
		}
	}
	ex.answered, ex.status = true, w.status
	if err != nil {
		ex.cause = err
		ex.reason = reasonNamed(ReasonSignInFailed)
		if fault.Is(err, fault.NotFound) {
			ex.reason = reasonNamed(ReasonNoRoute)
		}
		e := ex.gw.render.byName[ex.reason.Name]
		ex.answer = append(ex.answer, wire.Field{Name: nameDecision, Value: e.decision})
	}
	ex.sent = int64(w.body.Len())
	if err := ex.lane.Respond(w.status, ex.answer, w.body.Bytes()); err != nil {
		ex.sent = 0
	}
}

// pageBody reads a request's body for a page.
type pageBody struct{ *wire.Body }

// Close implements io.Closer. The lane settles what has not been read.
func (pageBody) Close() error { return nil }

// pageWriter keeps a page's answer. It implements http.ResponseWriter.
type pageWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *pageWriter) Header() http.Header { return w.header }

func (w *pageWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *pageWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
