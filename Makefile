# Every command a developer needs. Nothing is written outside this directory
# but Go's caches and, by root in scripts/test-servers, Debian packages.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A tree without git, or without a tag, still builds; = and not :=, so that git
# is asked only by the targets that need an answer.
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT = $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

IMAGE ?= peerage
CONTAINER ?= $(shell command -v podman || command -v docker)

# What today's tests start; scripts/test-servers knows what each name means.
TEST_SERVERS := gcc chromium axe express postgres openbao
# One package's tests may take this long. The whole run is to stay under 20
# minutes with cold caches and under 6 with warm ones, on two cores.
TEST_TIMEOUT ?= 15m

CLIENTS := .cache/clients/kubelogin .cache/clients/oauth2-proxy

export STATICCHECK_CACHE := $(CURDIR)/.cache/staticcheck

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start the demo: a seeded installation on loopback
	bin/peerage demo

# The version comes in by -ldflags; asking git twice would only add a way to fail.
.PHONY: build
build: ## Build the static binary, bin/peerage
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/peerage ./cmd/peerage

.PHONY: test
test: ## Run everything: check, all tests (with the race detector), end to end
	scripts/test-servers $(TEST_SERVERS)
	$(MAKE) -j2 clients-for-test check-and-test
	$(MAKE) test-e2e

.PHONY: check
check: ## Check format, vet, staticcheck and the architecture (no test servers)
	@unformatted=$$(find . -name .cache -prune -o -name node_modules -prune -o -name '*.go' -exec gofmt -l {} +); \
	if [ -n "$$unformatted" ]; then echo "gofmt is needed by:" $$unformatted; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test -count=1 -run '^TestArchitecture' ./cmd/peerage

# The steps of test. -shuffle=on keeps go test from reusing results, so that a
# run is always a run. Without a C compiler there is no race detector;
# scripts/test-servers has said so by then, or has failed. SQLite and argon2id
# are watched by their own tests: with the detector in them ours take twice as long.
.PHONY: check-and-test
check-and-test: check
	@packages=$$(go list ./... | grep -v '^peerage/e2e\(/\|$$\)'); race=; \
	if command -v gcc >/dev/null; then race="-race $(foreach quiet,modernc.org/... golang.org/x/crypto/...,-gcflags=$(quiet)=-race=false)"; export CGO_ENABLED=1; fi; \
	set -x; go test $$race -shuffle=on -timeout $(TEST_TIMEOUT) $$packages

# These drive a built binary, which the race detector would not see into. Every
# story runs on SQLite and on PostgreSQL: at the same time, because half of such
# a run is waiting, and beside nothing else, because a browser has deadlines.
.PHONY: test-e2e
test-e2e: clients-for-test ## Run only the end-to-end tests
	$(MAKE) -j2 --output-sync=target e2e-on-sqlite e2e-on-postgres

.PHONY: e2e-on-sqlite e2e-on-postgres
e2e-on-sqlite e2e-on-postgres: e2e-on-%:
	@packages=$$(go list ./... | grep '^peerage/e2e\(/\|$$\)' || true); \
	if [ -n "$$packages" ]; then set -x; PEERAGE_TEST_ENGINE=$* go test -p 1 -shuffle=on -timeout $(TEST_TIMEOUT) $$packages; fi

# Each target that fuzzes, for half a minute; their seeds run with every test.
FUZZ_TIME ?= 30s
.PHONY: fuzz
fuzz: ## Fuzz every parser of outside input for FUZZ_TIME each
	@grep -rl --include='*_test.go' '^func Fuzz' . | grep -v '^./.cache' | xargs -n1 dirname | sort -u | while read -r package; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$package/*_test.go); do \
			echo "fuzzing $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZ_TIME) $$package; \
		done; \
	done

# Alone on the machine, or the figures mean nothing. For a full store:
# make bench BENCH_FLAGS='-people 100000 -tokens 1000000 -events 1000000'
BENCH_FLAGS ?=
.PHONY: bench
bench: build ## Measure the binary against the machine's own limits
	@mkdir -p .cache/bench
	go build -o .cache/bench/bench ./bench
	.cache/bench/bench $(BENCH_FLAGS)

.PHONY: clients
clients: $(CLIENTS) ## Build the OIDC clients that end-to-end tests drive

# Together, because they share half of their dependencies, and at low priority,
# because they are built behind everything else.
$(CLIENTS) &: e2e/clients/go.mod e2e/clients/go.sum
	@mkdir -p $(@D)
	nice go build -C e2e/clients -trimpath -buildvcs=false -o $(CURDIR)/.cache/clients/ \
		github.com/int128/kubelogin github.com/oauth2-proxy/oauth2-proxy/v7
	@touch $(CLIENTS)

.PHONY: clients-for-test
clients-for-test:
	@$(MAKE) clients || { \
		echo "make: no clients built: tests with kubelogin and oauth2-proxy will be skipped"; \
		[ "$${PEERAGE_TEST_REQUIRE:-}" != all ]; }

.PHONY: image
image: ## Build the container image (needs podman or docker)
	@[ -n "$(CONTAINER)" ] || { echo "make image needs podman or docker" >&2; exit 1; }
	$(CONTAINER) build -f Containerfile -t $(IMAGE):$(VERSION) \
		--build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .

.PHONY: clean
clean: ## Remove what was built, and the test servers under .cache
	rm -rf bin .cache
