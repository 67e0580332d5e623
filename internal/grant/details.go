package grant

import (
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// ReadDetails reads authorization_details (RFC 9396) and returns them as they are kept;
// nil for none.
func ReadDetails(t *Target, app *access.AppView, text string) (json.RawMessage, error) {
	if text == "" {
		return nil, nil
	}
	list, wrong := t.Server.ReadDetails(app, text)
	if wrong != "" {
		return nil, Refuse("invalid_authorization_details", nil, wrong)
	}
	return json.Marshal(list)
}

// DescribeDetails says in words what details allow, one sentence for each.
func DescribeDetails(t *Target, details json.RawMessage) (out []string) {
	for _, x := range listed(details) {
		out = append(out, t.Server.DescribeDetail(x))
	}
	return out
}

func listed(details json.RawMessage) (list []access.Detail) {
	if len(details) > 0 {
		d := json.NewDecoder(strings.NewReader(string(details)))
		d.UseNumber()
		_ = d.Decode(&list) // they were read before they were kept
	}
	return list
}

// narrowDetails decides which authorization details are in the token: those that the
// request has, else all that were granted. Of a grant there are never more than were
// granted (section 6).
func (e *Endpoint) narrowDetails(x *exchange) error {
	asked, err := ReadDetails(x.target, x.app, x.form.Get("authorization_details"))
	if err != nil {
		return err
	}
	switch {
	case x.exchanged != nil:
		if asked != nil {
			return Refuse("details_not_granted", nil)
		}
		return nil
	case x.kept == nil || x.begins:
		if x.begins {
			x.kept.Terms.Details = asked
		}
		x.details = asked
		return nil
	case asked == nil:
		x.details = x.kept.Terms.Details
		return nil
	}
	granted := listed(x.kept.Terms.Details)
	for _, a := range listed(asked) {
		if !slices.ContainsFunc(granted, func(g access.Detail) bool { return access.NarrowerDetail(a, g) }) {
			return Refuse("details_not_granted", nil)
		}
	}
	x.details = asked
	return nil
}
