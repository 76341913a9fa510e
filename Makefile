# Everything a newcomer needs. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests use at most this many processes; each then keeps to one thread.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-gpu check format install doctor clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: $(READY) ## create .venv and install what is needed from PyPI (about two minutes; skipped when done)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "Synthassay needs Python 3.11 to 3.13, but $(PYTHON) is $$($(PYTHON) --version); try make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## run the whole line on the digital phantom and print the report's path (about 6 minutes on two cores)
	@$(BIN)/synthassay run experiment=phantom_demo out=runs/demo

test: $(READY) ## run the test suite (about 12 minutes on two cores)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -m 'not gpu'

test-gpu: $(READY) ## run the tests that need a CUDA GPU
	@$(BIN)/python -m pytest -q -m gpu

check: $(READY) ## lint, type check and check the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## format the source
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

doctor: $(READY) ## say what this machine can do
	@$(BIN)/synthassay doctor

clean: ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
