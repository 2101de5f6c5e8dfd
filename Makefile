# Everything a fresh machine needs is made by the targets that need it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
# A virtual machine may spend most of its time looking up small pages (docs/decisions/0013).
LARGE_PAGES := PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1
TOOLS  := .venv-tools
# What pytest has made of the tests' modules is kept, also where Python is told to keep nothing: half of collecting.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(LARGE_PAGES) $(BIN)/python -m pytest

.PHONY: demo help prove-bus bench-bus bench-engine bench-workspace chaos compose-test hostile hostile-container gaps walk field picture \
	check reference image image-base image-servers test test-unit test-real test-proofs test-install test-pythons \
	coverage release audit pre-commit format lint types imports lock clean

demo: $(STAMP)  ## run the main job: a local stack, a repository, agents that come to agree
	$(BIN)/egg demo

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

test: $(STAMP)  ## run all tests, with real PostgreSQL, Valkey, workers and git
	$(PYTEST) -n 3

# In the tests' own processes alone, and of them models and services (docs/decisions/0064).
MEASURED := .coverage.json
coverage: $(STAMP)  ## run all tests, and fail where they leave out too much of models and services
	rm -f $(MEASURED)
	$(LARGE_PAGES) $(BIN)/python -m slipcover --branch --source models,egg_tasks/services --json --out $(MEASURED) \
	  --dont-wrap-pytest -m pytest -n 3
	$(BIN)/python -m tests.coverage_gate $(MEASURED)

test-unit: $(STAMP)  ## those that need nothing but a processor
	$(PYTEST) -n 2 tests/unit

test-real: $(STAMP)  ## those with real servers, stacks and agents
	$(PYTEST) -n 3 tests/integration tests/acceptance

test-proofs: $(STAMP)  ## the proofs and benchmarks in their short forms, one after the other
	$(PYTEST) tests/proofs

test-install: $(STAMP)  ## install from the lock with old and new pip, whatever was released since
	$(PYTEST) -n 2 tests/install

release: $(STAMP)  ## wheel and source distribution of the tag here, in dist/, each tried in an empty environment
	$(BIN)/python -m tests.release

test-pythons: $(STAMP)  ## the unit tests with every Python from 3.11 on that this machine has
	$(BIN)/python -m tests.pythons

audit: $(TOOLS)/.installed  ## what is known against the packages the lock names; asks a service in the network
	@$(TOOLS)/bin/pip-audit --progress-spinner off --strict --disable-pip --require-hashes -r requirements/dev.txt || \
	  { echo "unless it names a vulnerability above, nothing was looked at: the service that knows them was not reached or does not know a package" >&2; exit 1; }

pre-commit: $(STAMP) $(TOOLS)/.installed  ## look at what is staged before each commit from now on
	$(TOOLS)/bin/pre-commit install

CASES ?= ../shared/cases
LATER ?=
ONLY ?=
WITHOUT ?=
field: $(STAMP)  ## cases from the field, a folder each: make field CASES=DIR, ONLY="NAME…" or WITHOUT="NAME…"
	$(BIN)/python -m tests.field $(CASES) --later $(LATER) --only $(ONLY) --without $(WITHOUT)

picture: $(STAMP)  ## record the picture in the README anew, from a real run of the demo
	$(BIN)/python -m tests.picture

prove-bus: $(STAMP)  ## 200,000 messages while servers are killed; fails at the first one lost, doubled or out of order
	$(BIN)/python -m benchmarks.prove_bus

# BEFORE=COMMIT make bench-…: beside the figures of another commit, too.
bench-bus: $(STAMP)  ## figures of the bus, each beside its yardstick; also written to bench-bus.json
	$(BIN)/python -m benchmarks.bench_bus --json bench-bus.json $(if $(BEFORE),--before $(BEFORE))

bench-engine: $(STAMP)  ## figures of the engine, beside bare Celery and subprocess; also written to bench-engine.json
	$(BIN)/python -m benchmarks.bench_engine --json bench-engine.json $(if $(BEFORE),--before $(BEFORE))

bench-workspace: $(STAMP)  ## figures of clones and containers, beside git and docker by hand; also written to bench-workspace.json
	$(BIN)/python -m benchmarks.bench_workspace --json bench-workspace.json $(if $(BEFORE),--before $(BEFORE))

chaos: $(STAMP)  ## kill every process of a stack at random under 20 pipelines; say what was lost (nothing)
	$(BIN)/python -m benchmarks.chaos

compose-test: $(STAMP)  ## an installation of containers on an engine of the tests own: built, used from here, taken down
	$(PYTEST) tests/compose

hostile: $(STAMP)  ## eight pipelines beside an agent that does what none should; figures with it and without
	$(BIN)/python -m benchmarks.hostile

hostile-container: $(STAMP)  ## all that a hostile agent might try, in real containers and with each wall taken away; prints what became of it
	$(PYTEST) -n 0 tests/integration/test_hostile_container.py

gaps: $(STAMP)  ## kill a process before each of its writes; another must take up its work and do nothing twice
	GAPS_EVERY=1 $(PYTEST) --timeout 3600 tests/integration/test_gaps.py

walk: $(STAMP)  ## every state of every roster of up to three roles; fails at the first broken law or dead end
	$(BIN)/python -m tests.unit.consensus_rosters

CHECKS := format lint types imports coverage
check: $(STAMP)  ## format, lint, types, imports, tests and what they leave out, with the time of each; CI runs it first
	@for step in $(CHECKS); do \
	  printf '== make %s\n' $$step; began=$$(date +%s); \
	  $(MAKE) --no-print-directory $$step || exit; \
	  printf '== make %s took %d s\n' $$step $$(($$(date +%s) - began)); \
	done

NAME ?= egg-base
export BASE ?=
# A tag takes no `+`.
image: $(STAMP)  ## the images of agents and of egg itself: make image BASE=egg-base, CLAUDE= and CODEX= for none of them
	docker/image agent egg-agent:latest
	@version=$$($(BIN)/python -m setuptools_scm) && \
	  VERSION=$$version docker/image egg egg:latest "egg:$$(printf %s "$$version" | tr + -)"

image-servers: image  ## PostgreSQL and Valkey for docker/compose.yaml, where no registry is at hand
	docker/image servers egg-servers:latest

image-base:  ## the base of agents' images where no registry is at hand: Debian with git and python3 (as root, a minute)
	docker/image-base $(NAME)

reference: $(STAMP)  ## write the pages of docs/reference anew, from the code
	$(BIN)/python -m reference

format: $(STAMP)  ## say which files are not formatted
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## ruff's rules
	$(BIN)/ruff check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP)  ## who may import whom
	$(BIN)/lint-imports

$(STAMP): requirements/dev.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v < (3, 11) and sys.exit("egg-tasks needs Python 3.11 or newer and $(PYTHON) is %d.%d: name another one, as in make PYTHON=python3.12" % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@printf '== installing what requirements/dev.txt locks into %s, half a minute or so\n' $(VENV)
	@# The lock is complete, so nothing is resolved: no release of anything can break this (docs/decisions/0015).
	$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@$(PIP) check || { echo "$(VENV) does not fit the lock: make clean, then try again" >&2; exit 1; }
	@touch $@

$(TOOLS)/.installed: requirements/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r requirements/tools.txt
	@touch $@

LOCK := --universal --generate-hashes --python-version 3.11 --no-emit-find-links
lock: $(STAMP)  ## renew the locks (needs uv)
	uv pip compile setup.cfg $(LOCK) -o requirements/runtime.txt
	uv pip compile setup.cfg --extra dev $(LOCK) -o requirements/dev.txt
	for name in tools build node; do uv pip compile requirements/$$name.in $(LOCK) -o requirements/$$name.txt || exit; done

clean:  ## remove the virtual environments and what the tools keep
	rm -rf $(VENV) $(TOOLS) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage.json build *.egg-info
