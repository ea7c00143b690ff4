# Everything a newcomer types. `make setup` makes .venv from nothing but Python 3.11 and make.
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
UV_VERSION := 0.13.9
TORCH := torch==2.13.0
EXTRAS := --extra train --extra pii --extra trafilatura --extra tune --extra interop --extra live --extra dev
BIN := .venv/bin
UV := $(BIN)/uv pip
CODE := stages pipelines training evaluation deploy tests benchmarks docs/make.py

export UV_LINK_MODE ?= hardlink
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test test-steps test-runs test-cluster lint types bench docs lock clean

setup: .venv/ready

# The lock holds all but torch, whose build (CPU or CUDA) is the machine's own choice: pip takes it
# from wherever pip is configured to look. --no-deps, because the lock is complete.
.venv/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) install -q --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH)
	$(UV) install -q --python $(BIN)/python --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/bateia demo

test: lint types
	$(MAKE) --jobs=2 --output-sync --no-print-directory test-steps test-runs
	$(MAKE) --no-print-directory test-cluster

# Two halves of about the same length, for two cores: what steps do, and what runs do. Ray gives up on
# a node that comes up slowly, so two nodes are started when nothing else runs. Steps are tested with
# every index of every kernel checked, where numba would read on; such code is kept apart from the other.
test-steps: setup
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/.numba/checked $(BIN)/python -m pytest tests/contract tests/stages tests/test_architecture.py tests/test_docs.py

test-runs: setup
	$(BIN)/python -m pytest tests --ignore=tests/contract --ignore=tests/stages --ignore=tests/test_architecture.py --ignore=tests/test_docs.py --ignore=tests/deploy/test_cluster.py

test-cluster: setup
	$(BIN)/python -m pytest tests/deploy/test_cluster.py

lint: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.versus_datatrove

docs: setup
	$(BIN)/python docs/make.py

lock:
	$(UV) compile -q pyproject.toml $(EXTRAS) --no-emit-package torch --generate-hashes \
		--python-version 3.11 --universal --no-annotate --custom-compile-command "make lock" \
		--output-file requirements.lock

clean:
	rm -rf .venv demo bateia-store work build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .numba
