# `make` lists the targets. scripts/with-services starts private servers and stops them again.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ADVISORY_DB ?= $(wildcard ../shared/advisory-db)
TOOLS := target/tools
SQLX_CLI := $(TOOLS)/bin/sqlx
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
HARNESS := $(TARGET)/harness
# Cargo shows its progress when a person looks on.
QUIET := $(shell test -t 2 || echo -q)
BENCH := $(RELEASE)/regua-bench
BENCH_PACKAGES := -p regua-api -p regua-worker -p regua-periodic -p regua-sandbox -p regua-bench
DEMO_ARGS := $(if $(EXIT),--exit) $(if $(CONTACTS),--contacts $(CONTACTS))

# Queries are checked against .sqlx, not against the database of the running command.
export SQLX_OFFLINE ?= true
# sqlx's macros write query-….json into this folder when a live database is set; an empty value means the root.
unexport SQLX_OFFLINE_DIR

help: ## List the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 21

demo: ## Send 500 example messages to the sandbox and stay up (EXIT=1: end with a summary; CONTACTS=N)
	scripts/with-services cargo run $(QUIET) -p regua -- demo $(DEMO_ARGS)

dev: ## Run every process in one, for development
	scripts/with-services cargo run $(QUIET) -p regua -- dev

test: ## Run all tests (BROKER=embedded: without RabbitMQ)
	scripts/prerequisites pgbouncer redis
	REGUA_TEST_FAST=1 RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} scripts/with-services cargo test --workspace

chaos: ## Kill, freeze and disconnect everything while messages are sent, and check every invariant (CHAOS_MESSAGES, CHAOS_FAULTS, CHAOS_SEED)
	scripts/prerequisites cc postgresql rabbitmq
	cargo build $(QUIET) --profile harness -p regua-tests --bin regua-chaos --bin regua-test-process
	$(HARNESS)/regua-chaos

bench: ## Measure everything and print it beside its limit, in six minutes after the build (QUICK=1: two minutes; ONLY=name; BENCH_GATEWAY=URL)
	scripts/prerequisites cc
	cargo build $(QUIET) --release $(BENCH_PACKAGES)
	REGUA_TEST_FAST= scripts/with-services $(BENCH) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-growth: ## Measure growth with contacts and with lanes, and draw the curves into docs/ (QUICK=1: two points each, into target/)
	scripts/prerequisites cc
	cargo build $(QUIET) --release $(BENCH_PACKAGES)
	REGUA_TEST_FAST= scripts/with-services $(BENCH) $(if $(QUICK),--quick growth target,growth docs)

bench-peers: ## Measure other systems at Régua's job (MESSAGES, RUNS, PEERS_ARGS, GATEWAY_URL)
	scripts/prerequisites cc postgresql rabbitmq redis python
	benches/peers/install
	cargo build $(QUIET) --release $(BENCH_PACKAGES)
	REGUA_TEST_FAST= scripts/with-services target/peers/venv/bin/python -B benches/peers/run.py --regua-command '$(BENCH) peers' $(PEERS_ARGS)

lint: ## Formatting, clippy and documentation, warnings as errors
	scripts/prerequisites cc
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc -q --workspace --no-deps

audit: $(TOOLS)/bin/cargo-deny $(TOOLS)/bin/cargo-audit ## Licences, sources and known vulnerabilities of the dependencies (ADVISORY_DB=folder)
	$(TOOLS)/bin/cargo-deny --log-level error check licenses bans sources
	$(TOOLS)/bin/cargo-audit audit --deny warnings $(if $(ADVISORY_DB),--no-fetch --stale --db $(ADVISORY_DB))

# Each is a target of its own. Its last lines state what was tested.
SECURITY := security-load security-fuzz security-openapi audit

security: $(SECURITY) ## Run the long security tests: floods and greedy tenants, fuzzing, the OpenAPI document, the dependencies (docs/security-testing.md)

security-load:
	scripts/prerequisites cc postgresql
	cargo build $(QUIET) --profile harness --locked -p regua-tests --bin regua-security --bin regua-test-process
	REGUA_TEST_FAST= scripts/with-services --no-broker $(HARNESS)/regua-security

security-fuzz:
	scripts/prerequisites cc
	cargo build $(QUIET) --profile harness --locked -p regua-tests --bin regua-fuzz
	$(HARNESS)/regua-fuzz

security-openapi:
	scripts/prerequisites cc python
	cargo build -q --locked -p regua-tests --bin regua-serve
	REGUA_TEST_FAST=1 scripts/with-services --no-broker scripts/schemathesis $(SCHEMATHESIS_EXAMPLES)

sqlx: $(SQLX_CLI) ## Regenerate .sqlx from the migrations and the queries
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" SQLX_OFFLINE=false scripts/with-services --no-broker \
		bash -c 'sqlx migrate run && cargo sqlx prepare --workspace -- --all-targets'

clean: ## Remove all build output
	cargo clean

$(SQLX_CLI):
	scripts/prerequisites cc
	cargo install -q --locked --root $(TOOLS) sqlx-cli --version '^0.9' --no-default-features --features postgres

$(TOOLS)/bin/cargo-%:
	scripts/prerequisites cc
	cargo install -q --locked --root $(TOOLS) cargo-$*

.PHONY: help demo dev test chaos bench bench-growth bench-peers lint audit security security-load security-fuzz security-openapi sqlx clean
