# `make` lists the targets; each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ENV    := .env

.DEFAULT_GOAL := help
.PHONY: help run demo test lint types format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## play one candidate's journey: fake vendors, real Redis, the bridge (ARGS=--keep leaves it running)
	@$(BIN)/assessment-bridge demo $(ARGS)

run: $(STAMP) $(ENV) ## serve with config/ (and .env, made with a signing key on first use)
	@set -a && . ./$(ENV) && set +a && exec $(BIN)/assessment-bridge serve $(ARGS)

test: $(STAMP) ## the whole suite, real Redis included
	@$(BIN)/python -m tests.needs
	$(BIN)/python -m pytest -m "$$($(BIN)/python -m tests.needs --select)" --cov --cov-report=term:skip-covered $(ARGS)
	$(BIN)/python -m coverage report --include='bridge/core/*' --fail-under=100

lint: $(STAMP) ## ruff, the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

format: $(STAMP) ## let ruff put things in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches (not .data, not .env)
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage .import_linter_cache .hypothesis

$(STAMP): setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python3 is not on PATH: install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/it"; exit 1; }
	@echo "Making the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,dev]'
	@touch $@

$(ENV): | $(STAMP)
	@umask 077 && printf 'BRIDGE_SIGNING_KEY=%s\n' "$$($(BIN)/assessment-bridge key new)" > $@
	@echo "Made .env with a signing key; keep it: links live while their key is listed."
