package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The history of one object, and the way back to what it was.
func TestObjectHistoryAndRollback(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	_, env := server(t, write(t, fmt.Sprintf(shop, up.URL)))
	var all []struct {
		Kind, ID string
		Revision int64
	}
	if r := run(t, env, "history", "--kind", "group", "-o", "json"); json.Unmarshal([]byte(r.out), &all) != nil || len(all) == 0 {
		t.Fatalf("%+v", r)
	}
	id, revision := all[0].ID, fmt.Sprint(all[0].Revision)
	if r := run(t, env, "history", "group", id); r.code != exitOK || !strings.Contains(r.out, "create") || !strings.Contains(r.out, "Everyone") {
		t.Errorf("%+v", r)
	}
	if r := run(t, env, "rollback", "group", id, revision); r.code != exitOK || !strings.Contains(r.err, "already") {
		t.Errorf("%+v", r)
	}
	if r := run(t, env, "rollback", "group", id, revision, "--dry-run"); r.code != exitOK || !strings.Contains(r.err, "nothing was changed") {
		t.Errorf("%+v", r)
	}
	for _, bad := range [][]string{{"history", "group"}, {"rollback", "group", id}, {"rollback", "group", id, "x"}, {"rollback", "1", "--dry-run"}} {
		if r := run(t, env, bad...); r.code != exitUsage {
			t.Errorf("%v: %+v", bad, r)
		}
	}
	if r := run(t, env, "history", "secret", "x"); r.code == exitOK || !strings.Contains(r.err, "access_rule") {
		t.Errorf("a kind that is not restored: %+v", r)
	}
}
