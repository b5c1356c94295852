# Everything a checkout needs, from nothing: `make demo` on a bare Debian 12 with python3, python3-venv, npm and make.
# What is done already is not done again: each step leaves a stamp in .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev python python-dev python-bench pages servers browser demo test tests-compiled lint bench bench-detectors soak lock secrets certs clean

# The first interpreter that is new enough; `make PYTHON=... setup` takes another.
PYTHON ?= $(shell for each in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$each && break; done)
BIN := .venv/bin
# What is compiled is kept: each process of the stack then starts in a third of the time.
unexport PYTHONDONTWRITEBYTECODE
# uv trusts what the machine trusts, as pip does.
export UV_SYSTEM_CERTS := 1
# Should make itself be killed, the kernel interrupts what it ran: no demonstration goes on unattended.
TIED := $(if $(shell command -v setpriv),setpriv --pdeathsig INT --)

help: ## this list
	@echo "make demo   is the place to begin."; echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 17

setup: ## virtual environment, Python and page dependencies, TimescaleDB and Mosquitto
	@$(MAKE) --jobs=3 python pages servers

setup-dev:
	@$(MAKE) --jobs=4 python-dev pages servers browser

demo: setup ## a simulated fleet with faults in it, alarms and tickets as they happen; Ctrl-C ends it
	@# On a terminal the demonstration gets a process group of its own: Ctrl-C is then for it, not for make.
	@if [ -t 0 ]; then set -m; fi; $(TIED) $(BIN)/bellwether demo --data .demo $(ARGS) || exit $$?

test: setup-dev ## the whole suite, against a real TimescaleDB, Mosquitto and browser
	@$(MAKE) --jobs=2 --output-sync lint tests-compiled
	@# Three, since half of the long ones wait for a server; in their own order, which has the longest first.
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder --durations=25 $(ARGS)

# Else each of three processes compiles all of them, at the same time.
tests-compiled: python-dev
	@$(BIN)/python -m pytest --collect-only --quiet > /dev/null

lint: python-dev ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup-dev python-bench ## what it costs, printed as a table; `make bench ingest`: all of ingest
	$(BIN)/python -m bench $(filter $(BENCHES),$(MAKECMDGOALS)) $(ARGS)

BENCHES := ingest
.PHONY: $(BENCHES)
$(BENCHES): bench ; @:

bench-detectors: python-dev ## what is found in recordings, beside published figures; ARGS="skab"
	$(BIN)/python -m bench.detection $(ARGS)

soak: setup-dev ## the long part of the suite: hours of work, outages, kills
	$(BIN)/python -m pytest -m slow --durations=10 $(ARGS)

lock: python ## requirements*.txt anew from pyproject.toml, within the versions it allows
	$(LOCK) --extra stack pyproject.toml --output-file requirements.txt
	$(LOCK) --extra stack --extra dev --constraints requirements.txt pyproject.toml --output-file requirements-dev.txt
	$(LOCK) --extra stack --extra bench --constraints requirements-dev.txt pyproject.toml --output-file requirements-bench.txt
	printf 'uv\npatchelf\n' | $(LOCK) --constraints requirements.txt - --output-file requirements-setup.txt

secrets: ## deploy/secrets/*, for containers: each made once, never overwritten
	@$(PYTHON) deploy/make_secrets.py

certs: python ## deploy/secrets/certs/*: an authority and the broker's certificate; ARGS="--name broker.example"
	@$(BIN)/bellwether certs --out deploy/secrets/certs --env deploy/secrets/compose.env $(ARGS)

clean: ## remove what was made here: environments, caches, the demonstration's data
	@# The servers' data are elsewhere when their user cannot walk to this folder.
	@if [ -L .demo/servers ]; then rm -rf "$$(readlink .demo/servers)"; fi
	rm -rf .venv .demo dashboard/node_modules dashboard/static/vendor *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each with nothing to do but its stamp, and nothing to say when that is there.
python: .venv/.python ; @:
python-dev: .venv/.python-dev ; @:
python-bench: .venv/.python-bench ; @:
pages: .venv/.pages ; @:
servers: .venv/.servers ; @:
browser: .venv/.browser ; @:

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --upgrade
# uv takes 7 s for what takes pip 30, but does not read pip's configuration: pip tries again where uv does not get through.
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(1) \
	|| { echo "python: uv did not succeed; trying pip, which is slower"; $(BIN)/pip install --require-hashes -r $(1); }

.venv/.tools: requirements-setup.txt
	@[ -n "$(PYTHON)" ] || { echo "setup: needs Python 3.11 or later: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null \
		|| { echo "setup: $(PYTHON) cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@echo "python: making .venv with $$($(PYTHON) --version)"
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv
	@echo "python: installing the installers"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@touch $@

.venv/.python: .venv/.tools requirements.txt pyproject.toml
	@echo "python: installing $$(grep -c == requirements.txt) packages"
	@$(call INSTALL,requirements.txt)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable . || $(BIN)/pip install --no-deps --editable .
	@echo "python: compiling the detectors"
	@$(BIN)/python -m detectors
	@echo "python: ready, the command is $(BIN)/bellwether"
	@touch $@

.venv/.python-dev: .venv/.python requirements-dev.txt
	@echo "python: installing what the tests need"
	@$(call INSTALL,requirements-dev.txt)
	@echo "python: ready for tests"
	@touch $@

.venv/.python-bench: .venv/.python-dev requirements-bench.txt
	@echo "python: installing what others offer, to compare with"
	@$(call INSTALL,requirements-bench.txt)
	@touch $@

.venv/.pages: dashboard/package-lock.json dashboard/build.mjs | .venv/.tools
	@command -v npm > /dev/null || { echo "setup: needs npm for the pages: apt-get install npm"; exit 1; }
	@echo "pages: installing"
	@cd dashboard && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error && npm run --silent build
	@echo "pages: ready"
	@touch $@

.venv/.servers: bellwether/stack/packages.py bellwether/stack/debian.py | .venv/.tools
	@$(BIN)/python -m bellwether.stack.packages servers > $@

.venv/.browser: bellwether/stack/packages.py bellwether/stack/debian.py | .venv/.tools
	@$(BIN)/python -m bellwether.stack.packages browser > $@
