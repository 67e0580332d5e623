package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/client"
)

func TestReadUsers(t *testing.T) {
	got, err := readUsers(strings.NewReader(`{"login":"ana@acme.test","attributes":{"floor":3}}
{"login":"ben@acme.test","email":"b@acme.test","staged":true} `))
	if err != nil {
		t.Fatal(err)
	}
	want := []client.NewUser{
		{Login: "ana@acme.test", Attributes: map[string]any{"floor": 3.0}},
		{Login: "ben@acme.test", Email: "b@acme.test", Staged: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for text, says := range map[string]string{
		"":                                  "no users",
		"{\"login\":\"a\"}\n{\"login\":":    "user 2",
		`{"login":"a","password":"secret"}`: "password",
		`{"email":"a@acme.test"}`:           "user 1 has no login",
		`[{"login":"a"}]`:                   "user 1",
	} {
		if got, err := readUsers(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// More users than one call takes, and an import that stops in its second portion.
func TestUsersImport(t *testing.T) {
	_, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	var text strings.Builder
	for i := range client.MaxImport + 1 {
		fmt.Fprintf(&text, "{\"login\":\"user%d@acme.test\"}\n", i)
	}
	if r := run(t, env, "users", "import", write(t, text.String())); r.code != exitOK || r.out != "1001 users imported\n" {
		t.Errorf("%+v", r)
	}
	again := strings.ReplaceAll(text.String(), "\"user", "\"other")
	again = strings.Replace(again, "other1000@", "user1000@", 1)
	r := run(t, env, "users", "import", write(t, again))
	if r.code != exitFailed || !strings.Contains(r.err, "users 1001 to 1001 of the file") || !strings.Contains(r.err, "the 1000 before them are there") {
		t.Errorf("%+v", r)
	}
}
