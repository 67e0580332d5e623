package gateway

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/keys"
	"gatehouse/internal/wire"
)

// Errors about API keys that say all there is to say, made once.
var (
	errNoCredential = Refuse(ReasonNoToken, nil, "the request has neither an API key nor a token")
	errTwoKinds     = Refuse(ReasonAmbiguousRequest, nil, "the request has more than one credential: an API key and something else")
	errKeyMistyped  = Refuse(ReasonTokenMalformed, nil, "the API key has a typing error: its checksum does not agree")
	errKeyUnknown   = Refuse(ReasonKeyDisabled, nil, "there is no such API key; it may have been deleted")
	errKeyDisabled  = Refuse(ReasonKeyDisabled, nil, "the API key was disabled")
	errKeyNotTaken  = Refuse(ReasonTokenTypeNotAccepted, nil, "the credential is an API key, and this API takes none")
	errKeysUnknown  = Refuse(ReasonRevocationStateUnknown, nil, "the list of API keys has not been loaded")
)

// looksLikeAPIKey reports whether a credential is an API key by its prefix. Such a
// text is never taken for a token, and so never sent to anybody who is asked about tokens.
func looksLikeAPIKey(text []byte) bool {
	return len(text) > len(keys.APIKeyPrefix) && text[0] == 'g' && bytes.HasPrefix(text, []byte(keys.APIKeyPrefix))
}

// keyOf returns the API key that the request presents, in X-API-Key or, for
// callers that can send nothing else, where a token would stand; nil when it presents
// none, or an error when it presents more than one credential.
func keyOf(ex *Exchange) ([]byte, error) {
	at := -1
	for i := range ex.req.Fields {
		if ex.req.Fields[i].Kind != wire.APIKey {
			continue
		}
		if at >= 0 {
			return nil, errTwoKinds
		}
		at = i
	}
	switch {
	case at >= 0 && ex.auths > 0:
		return nil, errTwoKinds
	case at >= 0:
		return ex.req.Fields[at].Value, nil
	case ex.auths == 0:
		return nil, errNoCredential
	}
	if raw, err := bearer(ex); err == nil && looksLikeAPIKey(raw) {
		return raw, nil
	}
	return nil, nil //nolint:nilnil // a token, or nothing that this API takes: both are bearer's to say
}

// byKey finds out who calls with the key.
func (s *authenticate) byKey(ex *Exchange, text []byte) error {
	if !keys.WellFormedAPIKey(text) {
		return errKeyMistyped
	}
	if !s.keys.Known() {
		return errKeysUnknown
	}
	k := s.keys.find(text)
	switch {
	case k == nil:
		return errKeyUnknown
	case k.Disabled:
		return Refuse(ReasonKeyDisabled, nil, "the API key %s of app %s was disabled", k.ID, k.App)
	case !k.Expires.IsZero() && !ex.started.Before(k.Expires):
		return Refuse(ReasonKeyDisabled, nil, "the API key %s of app %s has expired or was replaced, at %s", k.ID, k.App, k.Expires.UTC().Format(time.RFC3339))
	case len(k.APIs) > 0 && !slices.Contains(k.APIs, s.api):
		return Refuse(ReasonWrongAudience, nil, "the API key %s of app %s is for other APIs", k.ID, k.App)
	}
	if len(k.Zones) > 0 && !ex.inZones(k.Zones) {
		return Refuse(ReasonZoneNotAllowed, nil, "the API key %s of app %s may be used from the zones %s only", k.ID, k.App, strings.Join(k.Zones, ", "))
	}
	ex.token, ex.apiKey = k.token, k
	if !ex.dry {
		k.used(ex.started)
	}
	ex.memo = ex.memoOf(k.token, text)
	return nil
}

// carriesAPIKey reports whether the value of an Authorization line holds an API
// key, in whatever form: it goes to no upstream, also where tokens do.
func carriesAPIKey(value []byte) bool { return bytes.Contains(value, []byte(keys.APIKeyPrefix)) }

func sortedScopes(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
