package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	const most = 4
	deep := strings.Repeat("[", most) + strings.Repeat("]", most)
	for _, c := range []struct {
		body string
		want any
		err  error
	}{
		{`{"a": 12345678901234567890}`, map[string]any{"a": json.Number("12345678901234567890")}, nil},
		{deep, []any{[]any{[]any{[]any{}}}}, nil},
		{"[" + deep + "]", nil, ErrTooDeep},
		{`"` + deep + `[\"["`, deep + `["[`, nil}, // brackets of a text do not nest
		{`{} {}`, map[string]any{}, ErrBehind},
		{"{} \n", map[string]any{}, nil},
	} {
		var got any
		if err := Decode([]byte(c.body), &got, most); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.body, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.body, diff)
		}
	}
	var syntax *json.SyntaxError
	if err := Decode([]byte(`{"a":}`), new(any), most); !errors.As(err, &syntax) {
		t.Errorf("what is not JSON: %v", err)
	}
}

func TestEncode(t *testing.T) {
	if got, err := Encode(map[string]string{"a": "<&>"}); string(got) != `{"a":"<&>"}` || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}
