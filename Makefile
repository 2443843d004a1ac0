# `make` lists the targets; each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ENV    := .env
LOCKS  := deploy/requirements

.DEFAULT_GOAL := help
.PHONY: help run demo test growth chaos lint types format lock audit clean

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

chaos: $(STAMP) ## prove that nothing is lost: 2,000 journeys while processes, Redis and vendors fail (ARGS="--seed 7")
	@$(BIN)/python -m tests.chaos $(ARGS)

growth: $(STAMP) ## memory and cost of leasing among a million invitations (ARGS='--large 100000' for fewer)
	$(BIN)/python -m tests.bench.growth $(ARGS)

lint: $(STAMP) ## ruff, the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

format: $(STAMP) ## let ruff put things in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# In an environment of its own, so that the tool is in nobody's list. Nothing in the files names an index: that is pip's matter.
lock: ## pin every dependency anew, with hashes, in deploy/requirements/ (UPGRADE=1: the newest that setup.cfg allows)
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	$(PYTHON) -m venv "$$tool" && "$$tool/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9'; \
	pin() { target=$$1; shift; [ -z "$(UPGRADE)" ] || rm -f "$(LOCKS)/$$target"; \
	  "$$tool/bin/uv" pip compile --quiet --no-config --universal --generate-hashes --python-version 3.11 \
	    --custom-compile-command 'make lock' -o "$(LOCKS)/$$target" "$$@"; }; \
	pin run.txt setup.cfg; \
	pin dev.txt setup.cfg --all-extras -c $(LOCKS)/run.txt; \
	echo setuptools | pin build.txt - -c $(LOCKS)/dev.txt

audit: $(STAMP) ## look the pinned versions up among known vulnerabilities (asks a service on the Internet, so not part of lint)
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	$(PYTHON) -m venv "$$tool" && "$$tool/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit; \
	"$$tool/bin/pip-audit" --strict --require-hashes --disable-pip -r $(LOCKS)/run.txt

clean: ## remove the environment and caches (not .data, not .env)
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage .import_linter_cache .hypothesis

$(STAMP): setup.cfg pyproject.toml $(LOCKS)/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 is not on PATH: install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/it"; exit 1; }
	@echo "Making the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(ENV): | $(STAMP)
	@umask 077 && printf 'BRIDGE_SIGNING_KEY=%s\n' "$$($(BIN)/assessment-bridge key new)" > $@
	@echo "Made .env with a signing key; keep it: links live while their key is listed."
