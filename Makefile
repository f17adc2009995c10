# `make demo` and `make test` set up .venv from requirements.lock first, once, and again whenever the lock changes.
# Needs only Python 3.10 or newer, make and the package registry; with TORCH=cpu also PyTorch's own, which uv knows.

PYTHON ?= python3
PORT ?= 7860
TORCH ?=
PYTEST_ARGS ?= -n 2 --dist loadfile
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest setup lint types docs lock clean

help:
	@echo "make demo    serve the Space with the shipped checkpoint (PORT=$(PORT))"
	@echo "make test    run the tests (PYTEST_ARGS='$(PYTEST_ARGS)')"
	@echo "make test-lowest   run some of them with the lowest versions that pyproject.toml allows"
	@echo "make lint    check style and formatting with ruff"
	@echo "make types   check types with pyright"
	@echo "make docs    build the documentation into site/"
	@echo "make setup   only set up .venv (PYTHON=$(PYTHON))"
	@echo "             with TORCH=cpu, as in make demo TORCH=cpu, without CUDA: 2.3 GB on Linux instead of 6.9"
	@echo "make lock    remake requirements.lock from pyproject.toml, with the newest versions"
	@echo "make clean   remove .venv, builds and caches"

demo: .venv/ready
	@echo "fakeface will answer at http://127.0.0.1:$(PORT) (Ctrl-C stops it)"
	@$(BIN)/fakeface demo --port $(PORT)

test: .venv/ready
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Tests of what leans on the libraries most: model folders, faces, ONNX, commands. Old libraries warn of each other.
LOWEST := build/lowest
LOWEST_TESTS ?= test_frozen test_configuration test_image_processing test_modeling test_recipe faces/test_finder \
	model_folder/test_saving detector/test_detector release/test_onnx metrics/test_detection cli/test_commands
test-lowest: $(BIN)/uv
	@mkdir -p $(LOWEST)
	@$(BIN)/uv pip compile --quiet --python $(BIN)/python --resolution lowest-direct --extra onnx --no-header \
		--no-annotate --output-file $(LOWEST)/requirements.txt pyproject.toml
	@test -x $(LOWEST)/venv/bin/python || $(BIN)/python -m venv --without-pip $(LOWEST)/venv
	@$(BIN)/uv pip install --quiet --python $(LOWEST)/venv/bin/python \
		--requirement $(LOWEST)/requirements.txt --requirement tests/lowest.txt
	@$(BIN)/uv pip install --quiet --python $(LOWEST)/venv/bin/python --no-deps --no-build-isolation --editable .
	@$(LOWEST)/venv/bin/python -m pytest -n 2 --dist loadfile -W default $(LOWEST_TESTS:%=tests/%.py)

setup: .venv/ready

lint: .venv/ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/ready
	@$(BIN)/pyright

docs: .venv/ready
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

# No uv.lock: it names the registry's hosts, which differ from machine to machine. One universal set of pins with
# hashes and environment markers serves every Python from 3.10 on.
lock: $(BIN)/uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--all-extras --group dev --custom-compile-command "make lock" \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build dist site .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "fakeface needs Python 3.10 or newer, and $(PYTHON) is not; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "$(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

# The registry's torch for Linux does not even import without the CUDA libraries, so TORCH=cpu takes PyTorch's builds for
# the CPU. The lock cannot have their hashes: torch and torchvision are held by version alone, all else as it is locked.
build/requirements-cpu.txt: requirements.lock
	@mkdir -p build
	@awk '/^[a-z0-9]/ { cuda = /^(cuda|nvidia|triton)[-=]/; torch = /^torch(vision)?=/ } \
		torch && /--hash/ { next } torch { sub(/ \\$$/, "") } !cuda' requirements.lock > $@

ifeq ($(TORCH),cpu)
LOCKED := build/requirements-cpu.txt
SYNC := --torch-backend cpu
SIZE := 2.3
else ifeq ($(TORCH),)
LOCKED := requirements.lock
SYNC := --require-hashes
SIZE := 6.9
else
$(error TORCH=$(TORCH): it takes cpu, or is left out)
endif

# hatchling comes from the lock, so the editable install needs no build isolation and nothing more from the registry.
.venv/ready: $(LOCKED) pyproject.toml | $(BIN)/uv
	@echo "Installing the locked packages into .venv (about $(SIZE) GB on Linux)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python $(SYNC) $(LOCKED)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
