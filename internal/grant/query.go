package grant

import (
	"encoding/json"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// ReadQuery reads the parameters of an address: bounded, each at most once.
func ReadQuery(raw string) (Form, error) {
	if len(raw) > maxBody {
		return Form{}, Refuse("request_too_large", nil)
	}
	return parseForm(raw)
}

// Map returns the parameters that are not empty, by name.
func (f *Form) Map() map[string]string {
	out := make(map[string]string, len(f.pairs))
	for _, p := range f.pairs {
		if p.value != "" {
			out[p.name] = p.value
		}
	}
	return out
}

// ReadScopes turns a scope parameter into names of scopes that the server has, its
// default scopes when the parameter is empty.
func ReadScopes(server *access.ServerView, list string) ([]string, error) {
	if len(list) > maxScope {
		return nil, Refuse("invalid_scope", nil)
	}
	names, err := splitScopes(list)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if names = server.DefaultScopes(); len(names) == 0 {
			return nil, Refuse("no_default_scopes", nil)
		}
	}
	for _, n := range names {
		if _, ok := server.Scope(n); !ok {
			return nil, Refuse("no_matching_scope", nil)
		}
	}
	return names, nil
}

// ReadObject reads a JSON object in which no name occurs twice.
func ReadObject(raw []byte) (map[string]json.RawMessage, error) { return readObject(raw) }

// ProtocolError returns what err is in the protocol: the error of RFC 6749 and the
// text. What is not the caller's doing is server_error or temporarily_unavailable.
func ProtocolError(err error) (code, text string) {
	reason := ReasonOf(err)
	ref := refusals[reason]
	text = ref.text
	if f := fault.Of(err); f != nil && f.Reason == reason {
		text = f.Message
	}
	return ref.code, text
}
