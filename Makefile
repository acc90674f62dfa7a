# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench bundle bundle-arm image chart alerts explorer lab lab-bench lab-cluster cluster cluster-up cluster-down conformance bench-peers clean

help:   ## list what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.made   ## the Python environment that all the others use

$(VENV)/.made: setup.cfg pyproject.toml
	@sh tests/setup/venv.sh "$(PYTHON)" "$(VENV)"
	@touch $@

$(VENV)/.compiled: $(VENV)/.made $(shell find arrays daemonset explorer flex provisioner simulator tests -name '*.py')
	@sh tests/setup/compiled.sh $(BIN)/python
	@touch $@

demo: venv   ## claim to data on the simulator: two nodes, a moved pod, a dead node (DEMO='--help' for options)
	@sh tests/setup/host-tools.sh
	@$(BIN)/python -m simulator.demo $(DEMO)

# Bytecode is kept whatever the environment says: a run starts some hundred interpreters, and each would compile anew.
test: export PYTHONDONTWRITEBYTECODE =
test: venv $(VENV)/.compiled   ## unit and contract tests, with coverage
	@sh tests/setup/host-tools.sh
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q -n 4 --dist worksteal tests
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report --skip-covered

lint: venv   ## flake8 and mypy --strict
	@$(BIN)/python -m flake8
	@$(BIN)/python -m mypy

bench: venv   ## every budget as a ratio or a number measured in one run
	@$(BIN)/python -m tests.bench

bundle: venv   ## the driver for nodes, into dist/, and its tests in bare roots, the image's root among them
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m daemonset.bundle
	@$(BIN)/python -m pytest -q tests/bundle

bundle-arm: venv   ## driver and image for arm64, into dist/, built and tested on an emulated Debian
	@sh tests/setup/build-tools.sh
	@sh tests/setup/arm64-tools.sh
	@$(BIN)/python -m pytest -q -n0 -o timeout=900 tests/arm64

image: bundle   ## the container image, into dist/pure-flex-image.tar
	@$(BIN)/python -m daemonset.image

chart: venv   ## the Helm chart against install.sh's renderer, by real helm
	@$(BIN)/python -m pytest -q -o timeout=1800 tests/charts

alerts: venv   ## dashboard and alert rules against the metrics there are; the rules' tests by promtool
	@sh tests/setup/alert-tools.sh
	@$(BIN)/python -m pytest -q -n0 tests/alerts/test_alerts.py tests/alerts/promtool

explorer: venv   ## the explorer's pages in Chromium over 2,000 claims, and the README's pictures of them
	@sh tests/setup/browser-tools.sh $(BIN)/python
	@$(BIN)/python -m pytest -q -n0 tests/explorer/browser

lab: venv   ## the driver on a stock Debian kernel in QEMU: LIO, open-iscsi, multipathd, NFS, FCoE
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m tests.lab

lab-bench: venv   ## attach and detach there, against os-brick and the bare minimum
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m tests.lab.bench

lab-cluster: venv   ## real Kubernetes on the lab's guests: a claim's life with real iSCSI, multipath, xfs and NFS
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m tests.labcluster

cluster: venv   ## real Kubernetes: two nodes in namespaces, real kubelets, our image
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m pytest -q tests/cluster

conformance: venv   ## Kubernetes' own storage tests against us, on that cluster (CONFORMANCE='--help' for options)
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m tests.conformance $(CONFORMANCE)

bench-peers: venv   ## our provisioner beside csi-provisioner and another, on a real API server (PEERS='--help' for options)
	@sh tests/setup/build-tools.sh
	@$(BIN)/python -m tests.peers $(PEERS)

cluster-up: venv   ## leave a real two-node Kubernetes running, to play with
	@$(BIN)/python -m tests.cluster up

cluster-down: venv   ## remove it
	@$(BIN)/python -m tests.cluster down

clean:   ## remove what the other targets made
	rm -rf $(VENV) .cache .coverage* .demo build dist *.egg-info
