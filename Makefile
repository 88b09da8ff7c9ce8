# `make` lists the targets. scripts/with-services starts private servers and stops them again.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ADVISORY_DB ?= $(wildcard ../shared/advisory-db)
TOOLS := target/tools
SQLX_CLI := $(TOOLS)/bin/sqlx
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The profile of measures and long tests: release, or dist with LTO (Cargo.toml).
PROFILE ?= release
BUILT := $(TARGET)/$(PROFILE)
# Cargo shows its progress when a person looks on.
QUIET := $(shell test -t 2 || echo -q)
BUILD := cargo build $(QUIET) --locked --profile $(PROFILE)
BENCH := $(BUILT)/regua-bench
BENCH_PROGRAMS := -p regua-api -p regua-worker -p regua-periodic -p regua-sandbox -p regua-bench
DEMO_ARGS := $(if $(EXIT),--exit) $(if $(CONTACTS),--contacts $(CONTACTS))

# What scripts/with-services will start.
SERVERS := $(if $(DATABASE_URL),,postgresql) $(if $(AMQP_URL)$(filter embedded,$(BROKER)),,rabbitmq)
# The first phase of most targets is silent without a terminal, so a line announces it.
say = @echo 'regua: $(1)' >&2
building = $(call say,building $(1)$(if $(wildcard $(TARGET)/$(2)),, (the first build takes several minutes)))

# Queries are checked against .sqlx, not against the database of the running command.
export SQLX_OFFLINE ?= true
# sqlx's macros write query-….json into this folder when a live database is set; an empty value means the root.
unexport SQLX_OFFLINE_DIR

help: ## List the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 21

demo: ## Send 500 example messages to the sandbox and stay up (EXIT=1: end with a summary; CONTACTS=N)
	scripts/prerequisites cc $(SERVERS)
	$(call building,regua,debug/regua)
	cargo build $(QUIET) -p regua
	scripts/with-services $(TARGET)/debug/regua demo $(DEMO_ARGS)

dev: ## Run every process in one, for development
	scripts/prerequisites cc $(SERVERS)
	$(call building,regua,debug/regua)
	cargo build $(QUIET) -p regua
	scripts/with-services $(TARGET)/debug/regua dev

test: test-build ## Run all tests (BROKER=embedded: without RabbitMQ)
	$(call say,running all tests)
	REGUA_TEST_FAST=1 RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} scripts/with-services cargo test --workspace

test-build:
	scripts/prerequisites cc $(SERVERS) pgbouncer redis
	$(call building,all tests,debug/regua-test-process)
	cargo test --workspace --no-run

chaos: ## Kill, freeze and disconnect everything while messages are sent, and check every invariant (CHAOS_MESSAGES, CHAOS_FAULTS, CHAOS_SEED)
	scripts/prerequisites cc postgresql rabbitmq
	$(call building,regua-chaos,$(PROFILE)/regua-chaos)
	$(BUILD) -p regua-tests --bin regua-chaos --bin regua-test-process
	$(BUILT)/regua-chaos

bench: bench-build ## Measure everything and print it beside its limit, in six minutes after the build (QUICK=1: two minutes; ONLY=name; BENCH_GATEWAY=URL)
	REGUA_TEST_FAST= scripts/with-services --gateway $(BENCH) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-build:
	scripts/prerequisites cc $(SERVERS)
	$(call building,the measured programs,$(PROFILE)/regua-bench)
	$(BUILD) $(BENCH_PROGRAMS)

bench-compare: ## Measure two builds alternately, and print each ratio (BEFORE=folder AFTER=folder of programs; PAIRS=5; QUICK=1; ONLY=names)
	scripts/prerequisites $(SERVERS) python
	REGUA_TEST_FAST= scripts/with-services --gateway \
		scripts/bench-compare $(BEFORE) $(or $(AFTER),$(BUILT)) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-growth: bench-build ## Measure growth with contacts and with lanes, into docs/growth.json (QUICK=1: two points each, into target/)
	REGUA_TEST_FAST= scripts/with-services --gateway $(BENCH) $(if $(QUICK),--quick growth target,growth docs)

bench-peers: bench-build ## Measure other systems at Régua's job (MESSAGES, RUNS, PEERS_ARGS, GATEWAY_URL)
	scripts/prerequisites redis python
	benches/peers/install
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

security: $(SECURITY) ## Run the long security tests: the neighbour suite, fuzzing, the OpenAPI document, the dependencies (docs/security-testing.md)

security-load: ## Run the neighbour suite: attacks beside a victim, in 15 minutes after the build (SECURITY_ONLY=names)
	scripts/prerequisites cc $(SERVERS)
	$(call building,regua-security,$(PROFILE)/regua-security)
	$(BUILD) -p regua-api -p regua-worker -p regua-periodic -p regua-sandbox
	$(BUILD) -p regua-tests --bin regua-security
	REGUA_TEST_FAST= scripts/with-services $(BUILT)/regua-security

security-fuzz:
	scripts/prerequisites cc
	$(call building,regua-fuzz,$(PROFILE)/regua-fuzz)
	$(BUILD) -p regua-tests --bin regua-fuzz
	$(BUILT)/regua-fuzz

security-openapi:
	scripts/prerequisites cc python
	$(call building,regua-serve,debug/regua-serve)
	cargo build $(QUIET) --locked -p regua-tests --bin regua-serve
	REGUA_TEST_FAST=1 scripts/with-services --no-broker scripts/schemathesis $(SCHEMATHESIS_EXAMPLES)

sqlx: $(SQLX_CLI) ## Regenerate .sqlx from the migrations and the queries
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" SQLX_OFFLINE=false scripts/with-services --no-broker \
		bash -c 'sqlx migrate run && cargo sqlx prepare --workspace -- --all-targets'

coverage: $(TOOLS)/bin/cargo-tarpaulin ## Print the share of lines that tests run, for each package (TESTS=unit or e2e; FILTER=words)
	scripts/prerequisites cc $(SERVERS) pgbouncer redis python
	scripts/coverage $(or $(TESTS),$(if $(FILTER),e2e)) $(FILTER)

clean: ## Remove all build output
	cargo clean

$(SQLX_CLI):
	scripts/prerequisites cc
	$(call say,installing sqlx-cli into $(TOOLS))
	cargo install $(QUIET) --locked --root $(TOOLS) sqlx-cli --version '^0.9' --no-default-features --features postgres

$(TOOLS)/bin/cargo-%:
	scripts/prerequisites cc
	$(call say,installing cargo-$* into $(TOOLS))
	cargo install $(QUIET) --locked --root $(TOOLS) cargo-$*

.PHONY: help demo dev test test-build chaos bench bench-build bench-compare bench-growth bench-peers lint audit security \
	security-load security-fuzz security-openapi sqlx coverage clean
