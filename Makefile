# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench clean

help:   ## list what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.made   ## the Python environment that all the others use

$(VENV)/.made: setup.cfg pyproject.toml
	@sh tests/setup/venv.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: venv   ## claim to data on the simulator, two nodes, under a minute
	@sh tests/setup/host-tools.sh
	@$(BIN)/python -m simulator.demo

test: venv   ## unit and contract tests, with coverage
	@sh tests/setup/host-tools.sh
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -n 2 tests
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report

lint: venv   ## flake8 and mypy --strict
	@$(BIN)/python -m flake8
	@$(BIN)/python -m mypy

bench: venv   ## every budget as a ratio measured in one run
	@$(BIN)/python -m tests.bench

clean:   ## remove what the other targets made
	rm -rf $(VENV) .cache .coverage* .demo build dist *.egg-info
