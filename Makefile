# The commands of this project; `make` lists them. Everything runs in .venv, which is made on demand.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that is there and works; PYTHON=… chooses another one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo "$$name" && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
# Many tests wait for real time to pass: one more than there are cores keeps them busy.
WORKERS := $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))
READY := $(VENV)/.ready

# What hundreds of processes load is compiled once, also where an image would have each of them do it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(READY) ## send a file between two nodes, cut the connection, stop a node (FILE=path: send that file)
	@$(RUN) -m testnet.demo $${FILE:+"$$FILE"}

.PHONY: test
test: $(READY) ## run all tests (ARGS=… goes to pytest)
	@$(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/browser --ignore tests/languages $(ARGS)

.PHONY: test-pythons
test-pythons: ## run the tests on each Python from 3.11 to 3.14 that is found (ARGS=… goes to pytest)
	@.ci/test-pythons --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/browser --ignore tests/languages $(ARGS)

.PHONY: test-browser
test-browser: $(READY) ## run the tests in a real browser, which needs Chromium (ARGS=… goes to pytest)
	@$(RUN) -m tests.browser.fetch_axe
	@$(RUN) -m pytest tests/browser -m browser --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: test-languages
test-languages: $(READY) ## run the tests of processes in all languages, whose compilers it installs (ARGS=… goes to pytest)
	@$(RUN) -m pytest tests/languages -m 'languages and not long' --numprocesses $(WORKERS) --dist loadfile $(ARGS)

.PHONY: conformance-languages
conformance-languages: $(READY) ## the conformance tests with probes in Python and JavaScript (ARGS=… goes to pytest)
	@# Each test has a copy of a probe with its interpreter: all of them together would take ten gigabytes.
	@$(RUN) -m pytest -p tests.languages.conformance tests/conformance -m 'languages and not long' -o tmp_path_retention_policy=failed --numprocesses $(WORKERS) --dist loadfile $(ARGS)

.PHONY: screenshots
screenshots: $(READY) ## the same, and take the pictures of the docs anew
	@$(MAKE) --no-print-directory test-browser ARGS="--screenshots $(ARGS)"

.PHONY: wheel
wheel: $(READY) ## build and install the wheel in an empty environment, and use it there; a minute
	@.ci/wheel

.PHONY: deploy
deploy: $(VENV)/deploy/.ready ## check what is in deploy/ with Helm, Kubernetes' schemas and podman-compose, which it installs
	@$(RUN) -m pytest tests/test_deploy.py -m 'long or not long' $(ARGS)

.PHONY: vendor
vendor: ## fetch the modules that the pages in nectar_node/web use, and check their hashes
	@.ci/vendor

.PHONY: conformance
conformance: $(READY) ## a table of all promises: sentence, tests, result
	@$(RUN) -m tests.conformance $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## hostile guests, components and peers, for SECONDS=60 in all (ARGS=… goes to each)
	@$(RUN) -m tests.fuzz.boundary --seconds $$(( $(or $(SECONDS),60) / 3 )) $(ARGS)
	@$(RUN) -m tests.fuzz.components --seconds $$(( $(or $(SECONDS),60) / 3 )) $(ARGS)
	@$(RUN) -m tests.fuzz.network --seconds $$(( $(or $(SECONDS),60) / 3 )) $(ARGS)

.PHONY: mutants
mutants: $(READY) ## break the implementation in named ways; some scenario notices each (ONLY=name for one of them)
	@ONLY="$(ONLY)" $(RUN) -m tests.mutants

.PHONY: soak
soak: $(READY) ## explore kernel and net far longer than the tests do; CUTS=10000 connections cut at random (SEED=…)
	@$(RUN) -m tests.net.soak --cuts $(or $(CUTS),10000) $(if $(SEED),--seed $(SEED))
	@$(RUN) -m tests.end_to_end.kills --kills $(or $(KILLS),500) $(if $(SEED),--seed $(SEED))
	@$(RUN) -m pytest -m 'long and not languages'
	@$(RUN) -m pytest -p tests.languages.conformance tests/conformance tests/languages -m 'long and languages'
	@HYPOTHESIS_PROFILE=soak $(RUN) -m pytest $$(grep -rlE --include='test_*.py' '^(from|import) hypothesis' tests) $(ARGS)

.PHONY: levels
levels: $(READY) ## scenarios by level: simulated, on loopback, in namespaces (root), with outcomes and times (ARGS=names)
	@$(RUN) -m tests.levels $(ARGS)

.PHONY: check
check: $(READY) lint types layering reproducible ## format, lint, types, import arrows, guest binaries

.PHONY: lint
lint: $(READY)
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .

.PHONY: types
types: $(READY)
	@$(RUN) -m mypy

.PHONY: layering
layering: $(READY) ## check the arrows between the rooms
	@$(RUN) -m pytest tests/test_layering.py

.PHONY: reproducible
reproducible: $(READY)
	@$(RUN) packages/build.py --check
	@$(RUN) tests/guests/build.py --check

.PHONY: format
format: $(READY) ## format the code and mend what the linter can
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

.PHONY: bench
bench: $(READY) ## measure, each figure beside its reference (ARGS=--markdown writes docs/performance.md)
	@$(RUN) -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: $(VENV)/peers/.ready ## measure messages and bytes beside py-libp2p and iroh, in an environment of their own
	@$(RUN) -m bench.peers $(VENV)/peers/bin/python $(ARGS)

.PHONY: scale
scale: $(READY) ## measure how cost grows with size, and draw it into docs/performance.md (ARGS=processes: that alone)
	@$(RUN) -m bench.growth $(ARGS)

.PHONY: docs
docs: $(VENV)/.docs ## build the documentation into site/; a broken link or an undocumented public name fails
	@$(RUN) -m pytest tests/test_docs.py
	@# Not --quiet: with it, warnings are not counted, and nothing is strict.
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict
	@echo "The pages are in site/, beginning with site/index.html; for the search, serve them: python3 -m http.server -d site"

.PHONY: chaos
chaos: $(READY) ## real nodes under faults for MINUTES=10, beside as long without (SEED is the same each time)
	@$(RUN) -m bench chaos --minutes $(or $(MINUTES),10) $(ARGS)

.PHONY: compatibility
compatibility: $(READY) ## measure what packages of each interface may ask, and write docs/compatibility.md
	@$(RUN) -m tests.compatibility

.PHONY: vectors
vectors: $(READY) ## rewrite the test vectors of docs/wire.md and docs/backup-format.md
	@$(RUN) -m tests.vectors.generate
	@$(RUN) -m tests.vectors.generate_backup

.PHONY: guests
guests: $(READY) ## rebuild the guest binaries, to the same bytes
	@$(RUN) packages/build.py
	@$(RUN) tests/guests/build.py

.PHONY: clean
clean: ## remove what was made here: .venv, caches, and a stopped testnet's folder
	@if [ -d .nectar ] && [ -x $(RUN) ]; then $(RUN) -m nectar_node testnet down; fi
	rm -rf $(VENV) .pythons site .nectar .mypy_cache .ruff_cache .pytest_cache .hypothesis .zig-cache zig-out *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "This needs Python 3.11, 3.12, 3.13 or 3.14: on Debian, apt-get install python3." >&2; exit 1; fi
	@if ! [ -x $(RUN) ]; then rm -rf $(VENV); $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing: on Debian, apt-get install python3-venv." >&2; exit 1; }; fi
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev,guests]'
	@touch $@

$(VENV)/peers/.ready: $(READY) bench/peers/requirements.txt
	@$(RUN) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/peers/requirements.txt
	@touch $@

$(VENV)/deploy/.ready: $(READY) deploy/requirements.txt
	@$(RUN) -m venv $(VENV)/deploy
	$(VENV)/deploy/bin/python -m pip install --quiet --disable-pip-version-check --requirement deploy/requirements.txt
	@touch $@

$(VENV)/.docs: $(READY)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@
