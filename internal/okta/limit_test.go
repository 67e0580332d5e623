package okta

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// anybody is an Authenticator that takes every token.
type anybody struct{}

func (anybody) AuthenticateSSWS(_ context.Context, token string, _ *http.Request) (Caller, error) {
	return Caller{Token: token}, nil
}

func (anybody) AuthenticateBearer(_ http.ResponseWriter, _ *http.Request, token string, _ bool) (Caller, error) {
	return Caller{App: token}, nil
}

// SDKs wait until X-Rate-Limit-Reset, counted from Date; without either they give up.
func TestTooManyCalls(t *testing.T) {
	now := time.Date(2026, 5, 4, 9, 0, 30, 0, time.UTC)
	h := New(Config{Authenticator: anybody{}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Limit: 1})
	call := func(token string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/nothing", nil)
		r.Header.Set("Authorization", "SSWS "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for i, want := range []int{404, 429} {
		resp := call("a")
		if resp.StatusCode != want || resp.Header.Get("X-Rate-Limit-Limit") != "1" || resp.Header.Get("X-Rate-Limit-Remaining") != "0" {
			t.Errorf("call %d: %d %v", i, resp.StatusCode, resp.Header)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if want != 429 {
			continue
		}
		date, err := time.Parse(time.RFC1123, resp.Header.Get("Date"))
		reset, err2 := strconv.ParseInt(resp.Header.Get("X-Rate-Limit-Reset"), 10, 64)
		if err != nil || err2 != nil || reset-date.Unix() != 60 {
			t.Errorf("Date %s, reset %s", resp.Header.Get("Date"), resp.Header.Get("X-Rate-Limit-Reset"))
		}
	}
	resp := call("b")
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("another token: %d", resp.StatusCode)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}
