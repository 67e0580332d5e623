//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// engine is what the authorization server keeps its data in.
type engine struct {
	name, store string // store as the flag has it; "" for the data folder
	rates       bool   // whether the bars of rates are for it: they were set for SQLite
}

// onSQLite measures the authorization server and the directory on SQLite.
func (b *bench) onSQLite(ctx context.Context) error {
	return b.authorizationServer(ctx, engine{name: "SQLite", rates: true})
}

// onPostgres measures the same on PostgreSQL, which runs beside the load: the
// figures are what Gatehouse spends.
func (b *bench) onPostgres(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	store, err := b.postgres(ctx)
	if err != nil {
		return err
	}
	if store == "" {
		b.say("  PostgreSQL is not installed: left out")
		return nil
	}
	return b.authorizationServer(ctx, engine{name: "PostgreSQL", store: store})
}

// authorizationServer measures tokens by client credentials and introspections,
// per second of one core, and then a large directory.
func (b *bench) authorizationServer(ctx context.Context, e engine) error {
	if b.main == nil {
		return nil
	}
	dir, err := b.folder("identity")
	if err != nil {
		return err
	}
	s, r, err := b.identity(ctx, e, dir)
	if err != nil {
		return err
	}
	defer func() { s.stop() }()
	t := table{Title: "The built-in authorization server on " + e.name, Head: []string{"work", "per core-second", "CPU us", "p50", "p99", "failed"}}
	if err := b.tokenRates(ctx, e, s, r, &t); err != nil {
		return err
	}
	if err := b.codeRate(ctx, e, s, r, &t); err != nil {
		return err
	}
	if err := b.people(ctx, e, dir, s, r, &t); err != nil {
		return err
	}
	b.tables = append(b.tables, t)
	return nil
}

// tokenRates measures tokens by client credentials, and introspections of one.
func (b *bench) tokenRates(ctx context.Context, e engine, s *server, r ready, t *table) error {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(r.Demo.ClientID)+":"+url.QueryEscape(r.Demo.ClientSecret)))
	ask := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}.Encode()
	measure := func(name, endpoint, body string, least float64) error {
		name += ", " + e.name
		u, err := url.Parse(r.Demo.Issuer + endpoint)
		if err != nil {
			return err
		}
		rows, err := b.contest(ctx, name, contestant{name: ours, server: s, run: func(ctx context.Context, d time.Duration) (load, error) {
			return b.wrk(ctx, u.String(), 16, d, b.formScript, basic, body, u.Path)
		}})
		if err != nil {
			return err
		}
		b.atRate(e, t, rows, least)
		return nil
	}
	token := ""
	for _, w := range []struct {
		alg   string
		least float64
	}{{"RS256", 700}, {"ES256", 2500}} {
		if err := signWith(ctx, r, w.alg); err != nil {
			return err
		}
		var err error
		if token, err = obtain(ctx, r.Demo.Issuer+"/v1/token", basic, ask); err != nil {
			return err
		}
		if alg, err := algorithm(token); err != nil || alg != w.alg {
			return fmt.Errorf("the server was told to sign with %s and signs with %s: %w", w.alg, alg, err)
		}
		if err := measure("client-credentials tokens "+w.alg, "/v1/token", ask, w.least); err != nil {
			return err
		}
	}
	return measure("introspections", "/v1/introspect", url.Values{"token": {token}}.Encode(), 10000)
}

// atRate notes what an engine does per second of one core, and the bar if it is for that engine.
func (b *bench) atRate(e engine, t *table, rows []row, least float64) {
	m, name := rows[0].Median, rows[0].Work
	rate := 1e6 / m.CPU
	t.Rows = append(t.Rows, []string{name, fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.1f", m.CPU), latency(m.P50), latency(m.P99), fmt.Sprint(m.Failed)})
	if e.rates {
		b.atLeast(name+" per core-second", rate, least, "")
	}
	b.noFailures(rows)
}

// signWith tells the server "default" which algorithm to sign with.
func signWith(ctx context.Context, r ready, alg string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, r.Console+"/gatehouse/v1/servers/default", strings.NewReader(`{"algorithm":"`+alg+`"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "SSWS "+r.APIToken)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("changing the algorithm to %s was answered %s", alg, res.Status)
	}
	return nil
}

// obtain asks a token endpoint once.
func obtain(ctx context.Context, endpoint, basic, form string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", basic)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("%s answered %s: %w", endpoint, res.Status, err)
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("%s answered %s: %s: %s", endpoint, res.Status, answer.Error, answer.Description)
	}
	return answer.AccessToken, nil
}

// algorithm returns what a token says it is signed with.
func algorithm(token string) (string, error) {
	head, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return "", err
	}
	var h struct {
		Alg string `json:"alg"`
	}
	return h.Alg, json.Unmarshal(b, &h)
}
