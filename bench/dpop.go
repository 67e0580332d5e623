//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	oursAgain = "Gatehouse, a cached token for comparison"
	oursProof = "Gatehouse, a new DPoP proof, ES256"
)

// proofs returns two contestants that the same generator drives: a cached token,
// and a token bound to a key with a new proof in every request (RFC 9449).
func (b *bench) proofs(count int) ([]contestant, error) {
	token, err := b.issuer.mint("ES256", "at+jwt", 2_000_000, map[string]any{"cnf": map[string]string{"jkt": b.issuer.thumbprint}})
	if err != nil {
		return nil, err
	}
	send := func(file string) func(context.Context, time.Duration) (load, error) {
		return func(ctx context.Context, _ time.Duration) (load, error) {
			return b.generate(ctx, job{Address: b.main.address, File: file, Connections: 32, Count: count})
		}
	}
	proofs := contestant{name: oursProof, server: b.main}
	file := ""
	// A proof is good once, and for a minute.
	proofs.before = func(context.Context) error {
		lines, err := b.issuer.proofs(b.main.address, "/full/1k", token, count)
		if err == nil {
			file, err = b.lines("proofs", lines...)
		}
		return err
	}
	proofs.run = func(ctx context.Context, d time.Duration) (load, error) { return send(file)(ctx, d) }
	return []contestant{{name: oursAgain, server: b.main, run: send(b.files.full)}, proofs}, nil
}

// proofs returns requests with the token, each with a proof of its own, made on all cores.
func (i *issuer) proofs(address, path, token string, n int) ([]string, error) {
	hash := sha256.Sum256([]byte(token))
	lines, errs := make([]string, n), make([]error, runtime.NumCPU())
	header := encode([]byte(`{"typ":"dpop+jwt","alg":"ES256","jwk":` + i.jwk + `}`))
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for k := w; k < n && errs[w] == nil; k += len(errs) {
				var claims, signature []byte
				claims, errs[w] = json.Marshal(map[string]any{"htm": "GET", "htu": "http://" + address + path, "ath": encode(hash[:]), "iat": time.Now().Unix(), "jti": rand.Text()})
				if errs[w] != nil {
					return
				}
				input := header + "." + encode(claims)
				signature, errs[w] = i.signES256(input)
				lines[k] = fmt.Sprintf("%s\tAuthorization: DPoP %s\tDPoP: %s.%s", path, token, input, encode(signature))
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return lines, nil
}
