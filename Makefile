# `make` lists the targets; each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ENV    := .env
LOCKS  := deploy/requirements
# What the bridge is compared with has packages of its own.
PEER   := .bench/venv
# Two stages, so that the demo does not wait for what only developers need.
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
ENGINE ?= docker
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py)
RULES  := tests/core tests/service tests/settings tests/languages tests/regressions
SETUP   = $(PYTHON) deploy/environment.py $(VENV)
# SEEDS=20 is --seeds 20.
option  = $(addprefix --$(1) ,$($(shell echo $(1) | tr a-z A-Z)))

.DEFAULT_GOAL := help
.PHONY: help run demo settings catalogues test bench bench-scale growth chaos simulate lint types format lock lock-check dist image audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## play one candidate's journey: fake vendors, real Redis, the bridge (ARGS=--keep leaves it running)
	@$(BIN)/assessment-bridge demo $(ARGS)

run: $(STAMP) $(ENV) ## serve with config/ (and .env, made with a signing key on first use)
	@set -a && . ./$(ENV) && set +a && exec $(BIN)/assessment-bridge serve $(ARGS)

# Coverage is measured of the rules, by the tests of rules: tracing doubles the time of a test.
test: $(DEV) ## the whole suite, real Redis included (ARGS="-k callback -x" for a part) after the coverage of the rules
	@$(BIN)/python -m tests.needs
	$(if $(ARGS),,$(BIN)/python -m pytest -q $(RULES) --cov --cov-report=term:skip-covered --cov-fail-under=100)
	$(BIN)/python -m pytest -m "$$($(BIN)/python -m tests.needs --select)" $(ARGS)

chaos: $(DEV) ## prove that nothing is lost: 2,000 journeys while processes, Redis and vendors fail (ARGS="--seed 7", "--scenario all")
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(DEV) $(PEER)/.installed ## CPU for each request, beside the barest daemon and FastAPI (ARGS=--quick, "--only invite", "--profile invite")
	@$(BIN)/python -m tests.bench $(ARGS)

simulate: $(DEV) ## play worlds: bridge, vendors and Redis under one seed, in virtual time (SEED=1 SEEDS=10 JOURNEYS=100 MINUTES=10 WORKERS=1 ARGS="--story")
	@$(BIN)/python -m tests.simulation $(foreach name,seed seeds journeys minutes workers,$(call option,$(name))) $(ARGS)

bench-scale: $(DEV) ## fsync, slow vendors, two workers, a million invitations, ten minutes (ARGS="durability vendors")
	@$(BIN)/python -m tests.bench.scale $(ARGS)

growth: $(DEV) ## memory and cost of leasing among a million invitations (ARGS='--large 100000' for fewer)
	$(BIN)/python -m tests.bench.growth $(ARGS)

lint: $(DEV) ## ruff, the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(DEV) ## mypy, strict
	$(BIN)/mypy

settings: $(DEV) ## write the table of the settings and the schemas for editors anew (config/)
	$(BIN)/python -m tests.generated

catalogues: $(DEV) ## collect the texts of pages and reports for translation (bridge/languages/catalogues)
	$(BIN)/python -m tests.catalogues

format: $(DEV) ## let ruff put things in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Nothing in the files names an index: where packages come from is a matter of the machine's pip.
lock: ## pin every dependency anew, with hashes, in deploy/requirements/ (UPGRADE=1: the newest that setup.cfg allows)
	@set -e; \
	pin() { target=$$1; shift; [ -z "$(UPGRADE)" ] || rm -f "$(LOCKS)/$$target"; \
	  $(SETUP) --uv pip compile --quiet --no-config --universal --no-strip-extras --generate-hashes --python-version 3.11 \
	    --custom-compile-command 'make lock' -o "$(LOCKS)/$$target" "$$@"; }; \
	extra() { $(PYTHON) -c "import configparser as c; p = c.ConfigParser(); p.read('setup.cfg'); print(p['options.extras_require']['$$1'])"; }; \
	echo uv | pin bootstrap.txt -; \
	pin run.txt setup.cfg; \
	extra embedded | pin embedded.txt - -c $(LOCKS)/run.txt; \
	extra otel | pin otel.txt - -c $(LOCKS)/run.txt; \
	pin dev.txt setup.cfg --extra dev --extra otel -c $(LOCKS)/run.txt -c $(LOCKS)/embedded.txt -c $(LOCKS)/otel.txt; \
	extra bench | pin bench.txt - -c $(LOCKS)/run.txt -c $(LOCKS)/dev.txt; \
	echo setuptools | pin build.txt - -c $(LOCKS)/dev.txt

dist: $(DEV) ## build the wheel of this commit in dist/, with a bill of materials; the same bytes wherever it is built
	@$(BIN)/python deploy/dist.py dist

image: ## build the container image, stamped with version and commit (ENGINE=podman for Podman)
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) -f deploy/Containerfile -t assessment-bridge:$(VERSION) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

lock-check: ## prove that the locks install with old and new pips, whatever was published since (fetches packages)
	$(PYTHON) -m tests.install

audit: $(STAMP) ## look the pinned versions up among known vulnerabilities (asks a service on the Internet, so not part of lint)
	@$(SETUP) --uv tool run pip-audit --strict --require-hashes --disable-pip -r $(LOCKS)/run.txt

clean: ## remove the environment and caches (not .data, not .env)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage .import_linter_cache .hypothesis

$(STAMP): setup.cfg pyproject.toml deploy/environment.py $(LOCKS)/bootstrap.txt $(LOCKS)/run.txt $(LOCKS)/embedded.txt $(LOCKS)/build.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 is not on PATH: install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/it"; exit 1; }
	@echo "Making the environment in $(VENV) ..."
	@$(SETUP) $(LOCKS)/run.txt $(LOCKS)/build.txt --optional $(LOCKS)/embedded.txt --project .
	@touch $@

$(DEV): $(STAMP) $(LOCKS)/dev.txt
	@echo "Adding what developers need ..."
	@$(SETUP) $(LOCKS)/dev.txt
	@touch $@

$(PEER)/.installed: $(LOCKS)/run.txt $(LOCKS)/bench.txt
	@echo "Making an environment for the FastAPI service in $(PEER) ..."
	@mkdir -p .bench && $(PYTHON) deploy/environment.py $(PEER) $^ && touch $@ || echo "Without it, FastAPI is left out."

$(ENV): | $(STAMP)
	@umask 077 && printf 'BRIDGE_SIGNING_KEY=%s\n' "$$($(BIN)/assessment-bridge key new)" > $@
	@echo "Made .env with a signing key; keep it: links live while their key is listed."
