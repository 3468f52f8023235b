# Everything sets itself up: `make demo` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
# One thread a worker: with as many workers as cores, more threads only get in each other's way.
PYTEST := OMP_NUM_THREADS=1 WANDB_MODE=offline $(BIN)/python -m pytest

.PHONY: demo test test-slow test-faults check format clean

demo: $(VENV)/installed  ## make a phantom, train four architectures, compare them
	$(BIN)/spinelab train -m experiment=demo sweep=demo model=unet,unetpp,fcn,attention_unet

test: $(VENV)/installed  ## the fast tests, with coverage
	$(PYTEST) -n $(CORES) --dist worksteal --cov --cov-report=term --cov-fail-under=90

test-slow: $(VENV)/installed  ## the tests that take minutes
	$(PYTEST) -m slow

test-faults: $(VENV)/installed  ## all fault tests: 200 kills at random moments among them
	$(PYTEST) -m "faults or not faults" tests/faults

check: $(VENV)/installed  ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spinelab needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist .coverage* htmlcov
