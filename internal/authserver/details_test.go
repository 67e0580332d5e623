package authserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
)

// paymentType is the example of RFC 9396, as a server's settings describe it.
func paymentType() access.DetailType {
	return access.DetailType{
		Type: "payment_initiation", Sentence: "Pay {amount.value} {amount.currency} to {creditor}",
		Fields: []access.DetailField{
			{Name: "actions", Kind: access.FieldTexts, Enum: []string{"initiate", "status", "cancel"}},
			{Name: "amount.value", Kind: access.FieldText, Required: true},
			{Name: "amount.currency", Kind: access.FieldText, Required: true, Enum: []string{"EUR", "USD"}},
			{Name: "creditor", Kind: access.FieldText, Required: true},
			{Name: "count", Kind: access.FieldNumber},
			{Name: "urgent", Kind: access.FieldBoolean},
		},
	}
}

const payment = `[{"type":"payment_initiation","actions":["initiate","cancel"],"amount":{"value":"123.50","currency":"EUR"},"creditor":"Merchant A"}]`

func newPayments(t testing.TB) *signIn {
	t.Helper()
	s := newSignIn(t, func(a *access.App) { a.Extension.DetailTypes = []string{"payment_initiation", "unknown_here"} })
	_, err := s.access.ChangeServer(s.ctx, s.admin, access.DefaultServer, func(x *access.Server) error {
		x.Extension.DetailTypes = []access.DetailType{paymentType(), {Type: "other", Sentence: "Something else"}}
		return nil
	})
	must(t, err)
	return s
}

// RFC 9396 section 5: what is not of a type that the server knows and the app may ask
// for is refused, by name.
func TestReadDetails(t *testing.T) {
	s := newPayments(t)
	app, _ := s.target().View.App(s.app.ID)
	with := func(more string) string {
		return `[{"type":"payment_initiation","amount":{"value":"1","currency":"EUR"},"creditor":"A"` + more + `}]`
	}
	for name, x := range map[string]struct {
		text string
		ok   bool
	}{
		"nothing":               {"", true},
		"the example":           {payment, true},
		"all fields":            {with(`,"count":2,"urgent":true,"actions":["status"]`), true},
		"no array":              {`{"type":"payment_initiation"}`, false},
		"no JSON":               {`[`, false},
		"two documents":         {payment + payment, false},
		"empty":                 {`[]`, false},
		"a null":                {`[null]`, false},
		"no type":               {`[{"creditor":"A"}]`, false},
		"an unknown type":       {`[{"type":"unknown_here"}]`, false},
		"not the app's type":    {`[{"type":"other"}]`, false},
		"a field is missing":    {`[{"type":"payment_initiation","creditor":"A"}]`, false},
		"an unknown field":      {with(`,"debtor":"B"`), false},
		"an unknown inner":      {`[{"type":"payment_initiation","amount":{"value":"1","currency":"EUR","x":1},"creditor":"A"}]`, false},
		"an unknown value":      {`[{"type":"payment_initiation","amount":{"value":"1","currency":"XXX"},"creditor":"A"}]`, false},
		"a number as text":      {with(`,"count":"2"`), false},
		"a text as a list":      {with(`,"actions":"initiate"`), false},
		"an unknown action":     {with(`,"actions":["everything"]`), false},
		"an action twice":       {with(`,"actions":["status","status"]`), false},
		"no action":             {with(`,"actions":[]`), false},
		"an object for a text":  {with(`,"actions":{"a":1}`), false},
		"nested without an end": {with(`,"x":{"x":{"x":{"x":{"x":{"x":{"x":1}}}}}}`), false},
	} {
		_, err := grant.ReadDetails(s.target(), app, x.text)
		if (err == nil) != x.ok || err != nil && grant.ReasonOf(err) != "invalid_authorization_details" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a person granted is in the token, in the answer and in the introspection; a
// refresh narrows it and never widens.
func TestDetailsOfAGrant(t *testing.T) {
	s := newPayments(t)
	app, _ := s.target().View.App(s.app.ID)
	a := s.authorization()
	var err error
	a.Details, err = grant.ReadDetails(s.target(), app, payment)
	must(t, err)
	var want any
	must(t, json.Unmarshal([]byte(payment), &want))
	got := s.redeem(s.code(a)).ok(t)
	check := func(where string, got any, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", where, diff)
		}
	}
	check("answer", got.json["authorization_details"], want)
	check("token", claims(t, got.text("access_token"), 1)["authorization_details"], want)
	check("introspection", s.introspect(s.app, got.text("access_token")).json["authorization_details"], want)

	narrow := `[{"type":"payment_initiation","actions":["cancel"],"amount":{"value":"123.50","currency":"EUR"},"creditor":"Merchant A"}]`
	var less any
	must(t, json.Unmarshal([]byte(narrow), &less))
	next := s.refresh(got.text("refresh_token"), "authorization_details", narrow).ok(t)
	check("narrowed", claims(t, next.text("access_token"), 1)["authorization_details"], less)
	again := s.refresh(next.text("refresh_token")).ok(t)
	check("all again", claims(t, again.text("access_token"), 1)["authorization_details"], want)
	for name, wide := range map[string]string{
		"another action":      `[{"type":"payment_initiation","actions":["status"],"amount":{"value":"123.50","currency":"EUR"},"creditor":"Merchant A"}]`,
		"another amount":      `[{"type":"payment_initiation","actions":["cancel"],"amount":{"value":"999.00","currency":"EUR"},"creditor":"Merchant A"}]`,
		"another creditor":    `[{"type":"payment_initiation","actions":["cancel"],"amount":{"value":"123.50","currency":"EUR"},"creditor":"B"}]`,
		"without a limit":     `[{"type":"payment_initiation","amount":{"value":"123.50","currency":"EUR"},"creditor":"Merchant A"}]`,
		"one more":            `[` + narrow[1:len(narrow)-1] + `,{"type":"payment_initiation","amount":{"value":"1","currency":"EUR"},"creditor":"B"}]`,
		"something not known": `[{"type":"payment_initiation","amount":{"value":"1","currency":"EUR"},"creditor":"B","x":1}]`,
	} {
		s.refresh(again.text("refresh_token"), "authorization_details", wide).want(t, http.StatusBadRequest, "invalid_authorization_details")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	// A grant without details gives none.
	plain := s.redeem(s.code(s.authorization())).ok(t)
	s.refresh(plain.text("refresh_token"), "authorization_details", payment).want(t, http.StatusBadRequest, "invalid_authorization_details")
}

func TestDetailsOfClientCredentials(t *testing.T) {
	s := newPayments(t)
	service := s.house.app("Service", "orders:read")
	ask := func() answer {
		return s.form("/oauth2/default/v1/token", service.ID, service.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "authorization_details": {payment}})
	}
	ask().want(t, http.StatusBadRequest, "invalid_authorization_details")
	s.extend(service.ID, access.Extension{DetailTypes: []string{"payment_initiation"}})
	if ask().ok(t).json["authorization_details"] == nil {
		t.Error("no details in the answer")
	}
}

// A device's request has no details, and says so.
func TestDetailsOfADevice(t *testing.T) {
	s := newDevice(t)
	s.form("/oauth2/default/v1/device/authorize", "", "", url.Values{"client_id": {s.app.ID}, "scope": {"orders:read"}, "authorization_details": {payment}}).
		want(t, http.StatusBadRequest, "invalid_authorization_details")
}

func TestDetailsInWords(t *testing.T) {
	s := newPayments(t)
	if diff := cmp.Diff([]string{"Pay 123.50 EUR to Merchant A"}, grant.DescribeDetails(s.target(), json.RawMessage(payment))); diff != "" {
		t.Error(diff)
	}
	// What an app sends is a value, and neither a placeholder nor a turn of the writing.
	odd := json.RawMessage(`[{"type":"payment_initiation","amount":{"value":"{creditor}","currency":"EUR"},"creditor":"A\u202eB\nC"}]`)
	if diff := cmp.Diff([]string{"Pay {creditor} EUR to A\ufffdB\ufffdC"}, grant.DescribeDetails(s.target(), odd)); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*access.DetailType){
		"no sentence":            func(d *access.DetailType) { d.Sentence = "" },
		"an unknown placeholder": func(d *access.DetailType) { d.Sentence = "Pay {nothing}" },
		"an open placeholder":    func(d *access.DetailType) { d.Sentence = "Pay {creditor" },
		"a field twice":          func(d *access.DetailType) { d.Fields = append(d.Fields, d.Fields[0]) },
		"a kind":                 func(d *access.DetailType) { d.Fields[0].Kind = "money" },
		"the field type":         func(d *access.DetailType) { d.Fields[0].Name = "type" },
		"no type":                func(d *access.DetailType) { d.Type = "" },
	} {
		d := paymentType()
		change(&d)
		_, err := s.access.ChangeServer(s.ctx, s.admin, access.DefaultServer, func(x *access.Server) error {
			x.Extension.DetailTypes = []access.DetailType{d}
			return nil
		})
		if err == nil {
			t.Errorf("%s: stored", name)
		}
	}
}

// FuzzDetails reads what strangers send: whatever is accepted is narrower than itself,
// and can be said in words.
func FuzzDetails(f *testing.F) {
	s := newPayments(f)
	target := s.target()
	app, _ := target.View.App(s.app.ID)
	for _, text := range []string{payment, `[]`, `[{}]`, `[{"type":1}]`, `[{"type":"payment_initiation","amount":{"value":"{creditor}","currency":"EUR"},"creditor":"{creditor}"}]`, `[[[[`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, wrong := target.Server.ReadDetails(app, text)
		if wrong != "" {
			return
		}
		for _, x := range list {
			if !access.NarrowerDetail(x, x) || target.Server.DescribeDetail(x) == "" {
				t.Fatalf("%q", text)
			}
		}
	})
}
