# make reproduce    everything, from nothing: environment, maps, tables, figures, the paper
# make test         environment, style, types, tests
# make test-faults  kills and faults; make test-cluster: a real Slurm; make test-all: every test
# make bench        benchmarks to results/benchmarks.json
#
# TIER=smoke|desk|paper picks another budget than the default tier; CORES=2 limits the cores;
# ARGUMENTS='matilla2020_table1 --dry-run' goes to Snakemake as it is.

PYTHON ?= python3
TIER ?= default
CORES ?= all
ARGUMENTS ?=
VENV ?= .venv
BIN := $(VENV)/bin
# Two workers: one takes what shares a run of the smoke tier, the other everything else.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope
# Some packages come as source only, and pip before 23.1 would build those in a way of its own.
export PIP_USE_PEP517 := 1

.DELETE_ON_ERROR:
.PHONY: reproduce test test-faults test-cluster test-all check bench lock config-reference clean help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

.DEFAULT_GOAL := help

# Stamps hold the checksum of what was installed: pip runs again only when a lock changed.
RUN_STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)' 2>/dev/null || \
	  { echo "error: $(PYTHON) is not Python 3.11 or newer; install one and run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "error: $(PYTHON) cannot make a virtual environment; on Debian install python3-venv" >&2; exit 1; }

$(RUN_STAMP): envs/requirements.lock pyproject.toml | $(BIN)/python
	@cat envs/requirements.lock pyproject.toml | cksum > $@.new; \
	if ! cmp -s $@.new $@; then \
	  echo "Installing the locked packages into $(VENV) (once)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || \
	  { rm -f $@.new; echo "error: the packages could not be installed; see above" >&2; exit 1; }; \
	fi; mv $@.new $@

$(TEST_STAMP): envs/requirements-test.lock $(RUN_STAMP)
	@cat envs/requirements.lock envs/requirements-test.lock | cksum > $@.new; \
	if ! cmp -s $@.new $@; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements-test.lock || \
	  { rm -f $@.new; echo "error: the test packages could not be installed; see above" >&2; exit 1; }; \
	fi; mv $@.new $@

# Targets stand before options: Snakemake takes what follows --config as config.
reproduce: $(RUN_STAMP)
	$(BIN)/snakemake $(ARGUMENTS) --cores $(CORES) --config tier=$(TIER)
	@echo "Done: tables, figures and paper.pdf lie in results/$(TIER)/"

check: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# pytest stands last, so that the output ends with its summary.
test: check
	$(PYTEST)

# Kills, damaged files, full disks ...: about 15 minutes.
test-faults: $(TEST_STAMP)
	$(PYTEST) tests/faults

# The smoke tier through a Slurm of one node, which needs root; about 15 minutes.
test-cluster: $(TEST_STAMP)
	$(PYTEST) tests/cluster

# All of them, around one run of the smoke tier.
test-all: check
	$(PYTEST) tests

bench: $(TEST_STAMP)
	$(BIN)/python benchmarks/run.py

lock:
	@command -v uv >/dev/null || { echo "error: make lock needs uv on the PATH (pip install uv)" >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  envs/requirements.in -o envs/requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  envs/requirements-test.in -o envs/requirements-test.lock
	$(BIN)/python envs/make_recipes.py

config-reference: $(RUN_STAMP)
	$(BIN)/python -m kappascope.workflow.reference

clean:
	rm -rf .snakemake
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
