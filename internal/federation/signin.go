package federation

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/expression"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/relying"
	"gatehouse/internal/saml"
)

// Ask says what a sign-in at a provider is to achieve.
type Ask struct {
	LoginHint string
	Fresh     bool   // the person is to prove anew who they are
	MaxAge    *int64 // seconds; nil: whenever they did
}

// way is what is kept of a sign-in at a provider until the browser is back.
type way struct {
	Provider string       `json:"provider"`
	Flow     relying.Flow `json:"flow"`
	Fresh    bool         `json:"fresh,omitempty"`

	Request string          `json:"request,omitempty"` // of SAML: its id
	Said    *saml.Statement `json:"said,omitempty"`    // what the answer to it said, once it has come
}

// Begin begins a sign-in at a provider and returns where the browser goes. keep stores
// what must be there when it comes back, for that browser and for one use, and returns
// the name under which it does.
func (s *Service) Begin(ctx context.Context, provider string, a Ask, keep func(data []byte) (state string, err error)) (address string, err error) {
	defer fault.Wrap(&err, "begin a sign-in at identity provider %q", provider)
	o, err := s.active(ctx, provider)
	if err != nil {
		return "", err
	}
	if o.Value.Type == LDAP {
		return "", fault.New(fault.NotFound, "nobody is led to a directory server")
	}
	if o.Value.SAML != nil {
		return s.beginSAML(ctx, o, a, keep)
	}
	c, err := s.client(ctx, o)
	if err != nil {
		return "", err
	}
	w := way{Provider: provider, Flow: relying.NewFlow(), Fresh: a.Fresh}
	if a.MaxAge != nil {
		w.Flow.MaxAge = max(*a.MaxAge, 1)
	}
	ask := relying.Ask{LoginHint: a.LoginHint}
	if a.Fresh {
		ask.Prompt = "login"
	}
	if ask.State, err = w.keep(keep); err != nil {
		return "", err
	}
	return c.Address(ctx, s.cfg.URL, w.Flow, ask)
}

// beginSAML is Begin for SAML.
func (s *Service) beginSAML(ctx context.Context, o ledger.Object[Provider], a Ask, keep func(data []byte) (state string, err error)) (string, error) {
	p, err := s.party(ctx, o)
	if err != nil {
		return "", err
	}
	// There is no way to ask for a sign-in that is at most so old: a new one is.
	w := way{Provider: o.ID, Request: saml.NewID(), Fresh: a.Fresh || a.MaxAge != nil}
	state, err := w.keep(keep)
	if err != nil {
		return "", err
	}
	return p.Ask(s.cfg.Now(), w.Request, state, w.Fresh)
}

func (w way) keep(keep func([]byte) (string, error)) (state string, err error) {
	data, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	return keep(data)
}

// active returns a provider that is in use. One that was deactivated signs nobody in,
// also not who is on the way (attack identity 68).
func (s *Service) active(ctx context.Context, id string) (o ledger.Object[Provider], err error) {
	o, err = s.Provider(ctx, id)
	if err == nil && !s.inUse(o.Value) {
		err = fault.New(fault.NotFound, "the identity provider is not active")
	}
	return o, err
}

// inUse reports whether a provider signs people in.
func (s *Service) inUse(p Provider) bool { return p.Status == Active && (p.SAML == nil || s.cfg.SAML) }

// Outcome is what came of a sign-in at a provider: a user who is signed in or, with
// Confirm, one whose account the person has yet to prove to be theirs.
type Outcome struct {
	User     ledger.Object[directory.User]
	Confirm  *Pending
	Provider Choice
	AuthTime time.Time // when the provider says that it was, zero when it does not
	AMR      []string  // only of a provider whose word for it is taken
	Second   bool      // a second factor was used, likewise

	hint string // what the provider is told at the end; empty: it is not told
}

// Pending is a link that waits for the person to sign in to the account that it is for.
type Pending struct {
	Provider Choice `json:"provider"`
	Link     Link   `json:"link"`
}

// Refused is a person whom the provider knows and who is not let in: why, in a word for
// the log and in a sentence for them.
type Refused struct{ Reason, Text string }

// Error returns the reason.
func (r *Refused) Error() string { return "the provider's user is not let in: " + r.Reason }

// Finish ends a sign-in, by what Begin had kept, and where and with what the browser came
// back: at is the provider whose own address it was, empty for that of all. The error is a Refused, fault.Denied for an answer that is not to be taken, or
// fault.Unavailable.
func (s *Service) Finish(ctx context.Context, data []byte, at string, q url.Values) (out Outcome, err error) {
	defer fault.Wrap(&err, "finish a sign-in at an identity provider")
	var w way
	if err := json.Unmarshal(data, &w); err != nil {
		return out, err
	}
	o, err := s.active(ctx, w.Provider)
	if err != nil {
		return out, err
	}
	if want := ownAddress(o); at != want {
		// Before anything of it is used: a code of another provider would be sent to this
		// one, which could use it (RFC 9700 section 4.4).
		return out, fault.New(fault.Denied, "the answer came to another provider's address")
	}
	out = Outcome{Provider: Choice{ID: o.ID, Name: o.Value.Name}}
	who := someone{provider: o.Value}
	var signed time.Time
	var amr []string
	if o.Value.SAML != nil {
		if w.Said == nil {
			return out, fault.New(fault.Denied, "the identity provider has not answered")
		}
		who.claims, who.subject, signed, amr = w.Said, w.Said.Subject, w.Said.At, w.Said.Methods()
	} else {
		person, err := s.person(ctx, o, w.Flow, q)
		if err != nil {
			return out, err
		}
		who.claims, who.subject, amr = person, person.Subject, person.AMR
		if o.Value.SignOut {
			out.hint = person.Raw
		}
		if person.AuthTime != 0 {
			signed = time.Unix(person.AuthTime, 0)
		}
	}
	now := s.cfg.Now()
	if w.Fresh && !signed.IsZero() && now.Sub(signed) > freshness {
		return out, fault.New(fault.Denied, "the person was to prove anew who they are, and has not")
	}
	if signed.Before(now) && !signed.IsZero() {
		out.AuthTime = signed.UTC()
	}
	if o.Value.Trust {
		out.AMR, out.Second = believed(amr)
	}
	out.User, out.Confirm, err = s.resolve(ctx, o, who)
	return out, err
}

// ownAddress returns the id of a provider that has an address of its own, else nothing.
func ownAddress(o ledger.Object[Provider]) string {
	if o.Value.OwnCallback {
		return o.ID
	}
	return ""
}

// person ends a sign-in by OpenID Connect.
func (s *Service) person(ctx context.Context, o ledger.Object[Provider], f relying.Flow, q url.Values) (*relying.Person, error) {
	c, err := s.client(ctx, o)
	if err != nil {
		return nil, err
	}
	return c.Finish(ctx, s.cfg.URL, f, q)
}

// freshness is how long ago a new proof may be when the browser is back.
const freshness = 15 * time.Minute

// believed returns the methods of a provider whose word for them is taken, and whether
// they are more than one factor (RFC 8176).
func believed(amr []string) (out []string, second bool) {
	for _, m := range amr {
		if len(m) <= 32 && strings.Trim(m, "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" && len(out) < 10 {
			out = append(out, m)
		}
	}
	return out, slices.Contains(out, "mfa") || slices.Contains(out, "mca")
}

// claimer shows the claims of somebody at a provider.
type claimer interface {
	Claim(name string) (any, bool)
}

// someone is whom a provider has signed in. It implements expression.Environment.
type someone struct {
	provider Provider
	claims   claimer
	subject  string
}

// Attribute implements expression.Environment: idpuser.NAME is the claim, null when there
// is none.
func (p someone) Attribute(path string) (any, bool) {
	name, ok := strings.CutPrefix(path, "idpuser.")
	if !ok {
		return nil, false
	}
	switch v, _ := p.claims.Claim(name); v := v.(type) {
	case string, bool, float64, json.Number, []string:
		return v, true
	case []any:
		for _, e := range v {
			if _, text := e.(string); !text {
				return nil, true
			}
		}
		return v, true
	}
	return nil, true
}

// Groups implements expression.Environment: groups of this directory are none of an
// expression's business here.
func (p someone) Groups() ([]expression.Group, error) { return nil, nil }

func (p someone) text(name string) string {
	v, _ := p.claims.Claim(name)
	s, _ := v.(string)
	return s
}

// evaluate returns what an expression of the provider says of them.
func (p someone) evaluate(text string) (any, error) {
	e, err := expression.Compile(text)
	if err != nil {
		return nil, err
	}
	return e.Evaluate(p)
}

// username returns what they are called here; empty when the template finds nothing.
func (p someone) username() (string, error) {
	v, err := p.evaluate(p.provider.Username)
	s, _ := v.(string)
	if len(s) > 100 {
		s = ""
	}
	return strings.TrimSpace(s), err
}

// passes reports whether the user name passes the provider's filter.
func (p someone) passes(username string) bool {
	if p.provider.Filter == "" {
		return true
	}
	re, err := regexp.Compile(`^(?:` + p.provider.Filter + `)$`)
	return err == nil && re.MatchString(username)
}
