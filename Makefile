# Gatehouse. `make help` lists the targets.
SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X gatehouse/internal/cli.version=$(VERSION)
FUZZTIME ?= 20s
# Rooms and libraries whose time is the store's or the network's: not to inline there makes
# the program 1.2 MB smaller.
COLD := $(addprefix gatehouse/internal/,access admin app audit catalog cli config console directory expression federation ldap login mail okta saml scim web) \
	github.com/spf13/cobra github.com/spf13/pflag github.com/goccy/go-yaml/... github.com/envoyproxy/go-control-plane/envoy/... \
	github.com/go-webauthn/webauthn/... github.com/fxamacker/cbor/v2 github.com/go-ldap/ldap/v3 github.com/crewjam/saml google.golang.org/grpc/... google.golang.org/protobuf/...
LEAN := $(foreach package,$(COLD),-gcflags=$(package)=-l)
# SQLite is translated from C and locks by itself: to watch each of its accesses to memory
# would be more than half of the work of the tests.
RACE := -race '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0' -gcflags=modernc.org/libc=-d=checkptr=0

.PHONY: help run dev build profile check test fuzz bench conformance lint fmt

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

run: ## serve ./gatehouse.yaml
	go run ./cmd/gatehouse run --config gatehouse.yaml

dev: ## everything on loopback with a demo API
	go run ./cmd/gatehouse dev

build: ## bin/gatehouse, stripped, optimized for the profile of the benchmark
	CGO_ENABLED=0 go build -trimpath -pgo=bench/gatehouse.pgo $(LEAN) -ldflags '$(LDFLAGS)' -o bin/gatehouse ./cmd/gatehouse

profile: ## bench/gatehouse.pgo anew, after large changes of the data plane
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gatehouse ./cmd/gatehouse
	go run ./bench -gatehouse bin/gatehouse -profile bench/gatehouse.pgo

bin/golangci-lint: tools/go.mod tools/go.sum
	go build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/h2spec: tools/h2spec/go.mod tools/h2spec/go.sum
	go build -C tools/h2spec -o ../../bin/h2spec github.com/summerwind/h2spec/cmd/h2spec

bin/oauth2-proxy: tools/oauth2-proxy/go.mod tools/oauth2-proxy/go.sum
	go build -C tools/oauth2-proxy -o ../../bin/oauth2-proxy github.com/oauth2-proxy/oauth2-proxy/v7

bin/caddy: bench/caddy/go.mod bench/caddy/go.sum
	go build -C bench/caddy -trimpath -ldflags '-s -w' -o ../../bin/caddy github.com/caddyserver/caddy/v2/cmd/caddy

bin/opa: tools/opa/go.mod tools/opa/go.sum
	go build -C tools/opa -trimpath -ldflags '-s -w' -o ../../bin/opa github.com/open-policy-agent/opa

bin/traefik: tools/traefik/go.mod tools/traefik/go.sum # some minutes; its tests are skipped without it
	go build -C tools/traefik -trimpath -ldflags '-s -w' -o ../../bin/traefik github.com/traefik/traefik/v3/cmd/traefik

fmt: bin/golangci-lint ## format
	bin/golangci-lint fmt ./...

lint: bin/golangci-lint ## format check and linters
	bin/golangci-lint fmt --diff ./...
	bin/golangci-lint run --allow-parallel-runners ./...

check: lint ## format, vet, lint, the rules of the house, tests of single rooms: under two minutes
	go vet ./...
	go test -short $$(go list ./... | grep -v '/internal/app$$') # internal/app holds the tests of the whole program

test: lint bin/h2spec bin/caddy bin/oauth2-proxy bin/opa ## everything, with real servers: installs what the tests need
	scripts/services
	go vet ./...
	GATEHOUSE_REQUIRE_SERVICES=1 go test $(RACE) -timeout 30m ./...
	$(MAKE) conformance

conformance: bin/h2spec ## outside suites, with their figures
	scripts/conformance

fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

bench: build ## the table of ratios against nginx, haproxy and Caddy
	scripts/services
	go run ./bench -gatehouse bin/gatehouse
