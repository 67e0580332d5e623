package grant

import (
	"encoding/json"
	"strings"

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

// Map returns the parameters that are not empty, by name. The values of one that is
// repeatable are one text, which SplitValues takes apart.
func (f *Form) Map() map[string]string {
	out := make(map[string]string, len(f.pairs))
	for _, p := range f.pairs {
		switch {
		case p.value == "":
		case out[p.name] != "":
			out[p.name] += valueBreak + p.value
		default:
			out[p.name] = p.value
		}
	}
	return out
}

// valueBreak stands between the values of a repeatable parameter. No value that is
// good for anything contains one.
const valueBreak = "\n"

// JoinValues makes one text of the values of a repeatable parameter.
func JoinValues(values []string) string { return strings.Join(values, valueBreak) }

// SplitValues undoes JoinValues.
func SplitValues(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, valueBreak)
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
