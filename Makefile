# The same few commands for people and for CI. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
FOREIGN := $(VENV)/foreign
FUZZ := $(VENV)/fuzz
# One more than there are processors, as tests also wait; each has ports of its own (tests/ports.py).
JOBS ?= $(shell jobs=$$(($$(nproc) + 1)); echo $$((jobs < 8 ? jobs : 8)))

.PHONY: help dev demo test check conformance bench soak fuzz lock clean

help: ## List these commands.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

dev: $(STAMP) $(FOREIGN)/.complete ## Make .venv with everything that developing needs; PYTHON=... chooses the interpreter.

$(STAMP): requirements-dev.lock pyproject.toml
	@python=; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$candidate; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Sild needs Python 3.11 or newer: none found as $(or $(PYTHON),python3); name one with 'make dev PYTHON=/path/to/python3'." >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "Ready: try $(BIN)/sild --help"

# What tests exchange messages with, and would not fit into the same environment.
$(FOREIGN)/.complete: tests/foreign/provider.lock | $(STAMP)
	@$(BIN)/python -m venv $(FOREIGN)
	@$(FOREIGN)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

demo: dev ## Bring up a whole ecosystem on this machine and tell its story.
	@$(BIN)/sild demo

test: dev ## Run the tests; JOBS=... says in how many processes, 0 for this one alone.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder --durations=10 tests

check: dev ## Check format, lint, imports between rooms, and types.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy --strict src

conformance: dev ## Run the tests that show feature rows and write docs/conformance.md.
	@$(BIN)/python -m pytest --conformance tests

bench: dev ## Measure the message path beside its comparison.
	@$(BIN)/sild bench

soak: dev ## Run the long forms of the tests; mixed traffic for SILD_SOAK_MINUTES, half an hour by default.
	@SILD_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=0 tests

fuzz: $(STAMP) $(FUZZ)/.complete ## Fuzz the management APIs by their descriptions; SERVER=... names one; PUBLISHED=FOLDER has others to do it by, too; POSTGRESQL=1 on that.
	@$(BIN)/python tools/fuzz_api.py $(if $(SERVER),--server $(SERVER)) $(if $(PUBLISHED),--published $(PUBLISHED)) $(if $(POSTGRESQL),--postgresql)

$(FUZZ)/.complete: tests/fuzz/requirements.lock | $(STAMP)
	@$(BIN)/python -m venv $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

lock: ## Choose newest allowed versions again and write all lock files.
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	python3 -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip install --quiet uv; \
	compile=("$$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --custom-compile-command 'make lock'); \
	"$${compile[@]}" pyproject.toml --output-file requirements.lock; \
	"$${compile[@]}" pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock; \
	"$${compile[@]}" tests/foreign/provider.in --override tests/foreign/provider.overrides --output-file tests/foreign/provider.lock; \
	"$${compile[@]}" tests/fuzz/requirements.in --output-file tests/fuzz/requirements.lock

clean: ## Remove what the commands above have made.
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
