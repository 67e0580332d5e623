package login

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/session"
)

// maxAnswer bounds the form of a SAML answer.
const maxAnswer = 128 << 10

// landed is how long a browser may take from the address for answers to the next one.
const landed = awayTime / 5

// serveSAML begins a sign-in at a SAML provider that leads to the account page: the
// address is for portals and bookmarks.
func (s *Server) serveSAML(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, req: Request{Page: "/account", Provider: r.PathValue("provider"), Created: s.cfg.Now()}}
	if s.cfg.Federation == nil {
		s.lost(w, r, fault.New(fault.NotFound, "there are no identity providers here"))
		return
	}
	s.begin(v) //nolint:contextcheck // a visit carries its request
}

// serveAnswer takes the answer of a SAML provider. The browser brings it with a form of
// that provider's page, so it sends no cookie of ours, and it is not known yet whether it
// is the one that was sent there. So the answer is judged, kept for that browser, and the
// browser is led on to where its cookie is seen.
func (s *Server) serveAnswer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
	provider, state := r.PathValue("provider"), r.PostFormValue("RelayState")
	if s.cfg.Federation == nil {
		s.lost(w, r, fault.New(fault.NotFound, "there are no identity providers here"))
		return
	}
	if len(state) < 43 {
		s.unasked(w, r, provider)
		return
	}
	v := &visit{w: w, r: r}
	name, err := s.judged(v, provider, state) //nolint:contextcheck // a visit carries its request
	if err != nil {
		s.notLed(v, err) //nolint:contextcheck // a visit carries its request
		return
	}
	http.Redirect(w, r, federation.CallbackPath+"?"+url.Values{"state": {name}}.Encode(), http.StatusSeeOther)
}

// judged keeps what an answer says in place of what waited for it, and returns its name.
func (s *Server) judged(v *visit, provider, state string) (name string, err error) {
	r := v.r
	wait, err := s.cfg.Waiting.Find(r.Context(), session.PurposeProvider, state)
	if err != nil {
		return "", err
	}
	// Taken first: whoever was sent there has one try at what costs a signature check.
	first, err := s.cfg.Waiting.Take(r.Context(), &wait)
	if err == nil && !first {
		err = fault.New(fault.NotFound, "the answer has come already")
	}
	if err != nil {
		return "", err
	}
	var b visitBack
	if err := json.Unmarshal(wait.Data, &b); err != nil {
		return "", err
	}
	v.name = b.Name
	// Some providers break the lines.
	response, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(r.PostFormValue("SAMLResponse")))
	if err != nil {
		return "", fault.New(fault.Denied, "the answer is not base64")
	}
	if b.Data, err = s.cfg.Federation.Receive(r.Context(), provider, b.Data, response); err != nil {
		return "", err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	return s.cfg.Waiting.Add(r.Context(), session.PurposeProvider, wait.Browser, data, landed)
}

// unasked is an answer that nobody here has asked for. Anybody can bring one about in
// anybody's browser, so nobody is signed in by it; where the provider's settings say so,
// it is taken for the wish to sign in.
func (s *Server) unasked(w http.ResponseWriter, r *http.Request, provider string) {
	wish, err := s.cfg.Federation.Solicit(r.Context(), provider)
	if err == nil && !wish {
		err = fault.New(fault.Denied, "nobody has asked the identity provider for its answer")
	}
	if err != nil {
		s.notLed(&visit{w: w, r: r}, err) //nolint:contextcheck // a visit carries its request
		return
	}
	http.Redirect(w, r, federation.SAMLPath+url.PathEscape(provider), http.StatusSeeOther)
}

// serveMetadata says what we are to a SAML provider.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Federation == nil {
		http.NotFound(w, r)
		return
	}
	raw, err := s.cfg.Federation.Metadata(r.Context(), r.PathValue("provider"))
	switch {
	case fault.Is(err, fault.NotFound):
		http.NotFound(w, r)
	case err != nil:
		s.lost(w, r, err)
	default:
		w.Header().Set("Content-Type", "application/samlmetadata+xml")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(raw) // #nosec G705 -- our own XML, and never taken for HTML; the caller may have gone
	}
}
