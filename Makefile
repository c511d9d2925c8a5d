# Everything that is run in a checkout. `make` alone lists it.
#
# Nothing has to be set up by hand: each target first brings .venv to what requirements/dev.lock pins. That
# needs Python 3.11 or later and, the first time, a package index or pip's cache.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
# Options for what a target runs: make demo ARGS="--people 2000", make test ARGS="-k merge".
ARGS ?=
# What `make faults` plays: the same seed plays the same schedule.
SEED ?= 1
N ?= 40
# How many processes `make test` shares the test files out among; each starts a Kafka and a PostgreSQL of its own.
TESTERS ?= 3
# How many seeds `make simulate` plays, beginning with SEED.
SEEDS ?= 1000

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
UV := uv==0.13.9
COMPILE := $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --group build

.PHONY: help setup demo bench bench-console up down test check faults simulate campaign format lint types layers dashboards lock clean

help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Bring .venv to what the lock pins; every other target does this first.

demo: setup ## Start everything, play the demonstration, stop everything.
	$(BIN)/jisr demo $(ARGS)

bench: setup ## Measure the embedded stack; some minutes (docs/performance.md).
	$(BIN)/jisr bench $(ARGS)

bench-console: setup ## Measure the console's pages over a filled store; ARGS="--entities 1000000" for the full size.
	$(BIN)/jisr bench --only console --entities 20000 $(ARGS)

up: setup ## Start Kafka, PostgreSQL and the hub in the background.
	$(BIN)/jisr up --detach $(ARGS)

down: setup ## Stop what `make up` started.
	$(BIN)/jisr down

test: setup ## All tests but the long campaigns.
	$(BIN)/python -m pytest -m "not campaign" -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types layers test ## Format, lint, types, import layers, tests: run this before a commit.

faults: setup ## Delivery under faults: a schedule drawn from SEED, of N rounds, on the real stack.
	FAULTS_SEED=$(SEED) FAULTS_ROUNDS=$(N) $(BIN)/python -m pytest -m campaign -s tests/faults $(ARGS)

simulate: setup ## A simulated region for each of SEEDS seeds from SEED on; what fails can be played again.
	PYTHONPATH=tests $(BIN)/python -m simulation --seed $(SEED) --seeds $(SEEDS) $(ARGS)

campaign: setup ## All long seeded campaigns.
	$(BIN)/python -m pytest -m campaign $(ARGS)

format: setup ## Format the code and mend what the linter can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Is the code formatted, and does the linter find nothing?
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## Do the types hold (strict)?
	$(BIN)/mypy
	MYPYPATH=deploy/grafana $(BIN)/mypy deploy/grafana/build.py

layers: setup ## Do imports point inward?
	$(BIN)/lint-imports

dashboards: setup ## Build Grafana's dashboards from deploy/grafana/boards.
	$(BIN)/python deploy/grafana/build.py

lock: ## Resolve the dependencies of pyproject.toml anew into requirements/*.lock.
	test -x $(VENV)/lock/bin/uv || $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --quiet --disable-pip-version-check install $(UV)
	$(COMPILE) $(ARGS) --extra local --extra dev pyproject.toml --output-file requirements/dev.lock
	$(COMPILE) --no-annotate --constraints requirements/dev.lock pyproject.toml \
		--output-file requirements/runtime.lock

clean: ## Remove .venv and caches; the data of `make up` stays in .jisr.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or later is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | grep Python || echo missing)." >&2; \
		echo "Install one, or name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.packages: requirements/dev.lock $(VENV)/.python
	@echo "installing what requirements/dev.lock pins into $(VENV)"
	$(PIP) install --require-hashes --requirement requirements/dev.lock
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.packages
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
