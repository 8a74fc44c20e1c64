# GNU make. `make` alone lists the targets; each of them does the set-up that it needs.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run stop monitoring monitoring-stop test check fmt bench bench-long bench-peers clean venv system-packages

# Any Python from 3.11 on: make test PYTHON=python3.12. It is looked for only where it is needed.
PYTHON ?= $(shell scripts/choose_python.sh)
CONFIG ?= configs/local.yaml

# Debian packages that the tests need are named here, and asked for nowhere else.
# chromium: the web console is read in a real browser. prometheus (with promtool) and
# prometheus-alertmanager (with amtool): the files in monitoring/ are checked by what reads them.
SYSTEM_PACKAGES := chromium postgresql prometheus prometheus-alertmanager redis-server
# Of `make bench-peers` only.
PEERS_SYSTEM_PACKAGES := redis-server postgresql
PEERS := .task-queue/peers-venv
PEERS_STAMP := $(PEERS)/.installed
RUNS ?= 3

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first pip with --group; that of a new virtual environment may be years older.
PIP_VERSION := 26.3

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: venv  ## Start the queue on this machine and run the image example; it stays up
	$(BIN)/python -m cluster up $(CONFIG)
	@TASK_QUEUE_URL=$$($(BIN)/python -m cluster url $(CONFIG)) $(BIN)/python examples/run_images.py
	@echo 'The queue stays up. End it with: make stop'

stop: venv  ## End what `make run` started; waiting tasks are kept
	$(BIN)/python -m cluster down $(CONFIG)

monitoring: venv  ## Start Prometheus and Alertmanager for the queue that `make run` started
	$(BIN)/python -m cluster monitoring $(CONFIG)

monitoring-stop: venv  ## End them; their data is kept
	$(BIN)/python -m cluster monitoring-stop $(CONFIG)

test: check system-packages  ## Everything that CI runs: check, then all tests
	$(BIN)/pytest

check: venv  ## Formatting, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fmt: venv  ## Format, and mend what ruff can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: venv  ## Run the short benchmarks and print one table with the goals
	$(BIN)/python -m benchmarks

bench-long: venv  ## Run every benchmark in full, one after the other
	$(BIN)/python -m benchmarks --long

bench-peers: venv $(PEERS_STAMP)  ## Measure seven other queues and ours: five minutes
	@scripts/system_packages.sh $(PEERS_SYSTEM_PACKAGES)
	$(BIN)/python -m benchmarks.peers --runs $(RUNS)

$(PEERS_STAMP): benchmarks/peers/requirements.txt
	@scripts/check_python.sh '$(PYTHON)'
	$(PYTHON) -m venv $(PEERS)
	@echo 'Installing the peers into $(PEERS) ...'
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:  ## Remove what the tools left; keeps .venv and the queue's data in .task-queue
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

venv: $(STAMP)  ## Make .venv with all that is pinned in pyproject.toml

$(STAMP): pyproject.toml
	@scripts/check_python.sh '$(PYTHON)'
	@echo 'Making $(VENV) with $(PYTHON); another one: make ... PYTHON=python3.12'
	@$(PYTHON) -m venv $(VENV)
	@echo 'Installing about 120 packages into $(VENV): a minute or two ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip==$(PIP_VERSION)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[server,examples]' --group dev
	@touch $@

system-packages:
	@scripts/system_packages.sh $(SYSTEM_PACKAGES)
