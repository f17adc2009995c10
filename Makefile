# `make demo` and `make test` set up .venv from requirements.lock first, once, and again whenever the lock changes.
# Needs only Python 3.10 or newer, make and the package registry.

PYTHON ?= python3
PORT ?= 7860
PYTEST_ARGS ?= -n 2 --dist loadfile
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest setup lint types lock clean

help:
	@echo "make demo    serve the Space with the shipped checkpoint (PORT=$(PORT))"
	@echo "make test    run the tests (PYTEST_ARGS='$(PYTEST_ARGS)')"
	@echo "make test-lowest   run some of them with the lowest versions that pyproject.toml allows"
	@echo "make lint    check style and formatting with ruff"
	@echo "make types   check types with pyright"
	@echo "make setup   only set up .venv (PYTHON=$(PYTHON))"
	@echo "make lock    remake requirements.lock from pyproject.toml, with the newest versions"
	@echo "make clean   remove .venv, builds and caches"

demo: .venv/ready
	@echo "fakeface will answer at http://127.0.0.1:$(PORT) (Ctrl-C stops it)"
	@GRADIO_SERVER_PORT=$(PORT) GRADIO_ANALYTICS_ENABLED=False $(BIN)/python space/app.py

test: .venv/ready
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Tests of what leans on the libraries most: model folders, faces, ONNX, commands. Old libraries warn of each other.
LOWEST := build/lowest
LOWEST_TESTS ?= frozen configuration image_processing modeling hub faces detector onnx_export recipe metrics cli
test-lowest: $(BIN)/uv
	@mkdir -p $(LOWEST)
	@$(BIN)/uv pip compile --quiet --python $(BIN)/python --resolution lowest-direct --extra onnx --no-header \
		--no-annotate --output-file $(LOWEST)/requirements.txt pyproject.toml
	@test -x $(LOWEST)/venv/bin/python || $(BIN)/python -m venv --without-pip $(LOWEST)/venv
	@$(BIN)/uv pip install --quiet --python $(LOWEST)/venv/bin/python \
		--requirement $(LOWEST)/requirements.txt --requirement tests/lowest.txt
	@$(BIN)/uv pip install --quiet --python $(LOWEST)/venv/bin/python --no-deps --no-build-isolation --editable .
	@$(LOWEST)/venv/bin/python -m pytest -n 2 --dist loadfile -W default $(LOWEST_TESTS:%=tests/test_%.py)

setup: .venv/ready

lint: .venv/ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/ready
	@$(BIN)/pyright

# No uv.lock: it names the registry's hosts, which differ from machine to machine. One universal set of pins with
# hashes and environment markers serves every Python from 3.10 on.
lock: $(BIN)/uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--all-extras --group dev --custom-compile-command "make lock" \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "fakeface needs Python 3.10 or newer, and $(PYTHON) is not; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "$(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

# hatchling comes from the lock, so the editable install needs no build isolation and nothing more from the registry.
.venv/ready: requirements.lock pyproject.toml | $(BIN)/uv
	@echo "Installing the locked packages into .venv (about 6 GB on Linux)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
