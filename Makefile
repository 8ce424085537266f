# What a developer types. `make` lists it; every target sets up what it needs and says so.

SHELL := /bin/sh
.DEFAULT_GOAL := help
unexport PYTHONPATH PYTHONHOME

# The first Python that is new enough; name another with make PYTHON=…
PYTHON ?= $(shell for it in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$it -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$it && exit; done; echo python3)
BIN := .venv/bin
CONTROLPLANE := PYTHONPATH=tests $(BIN)/python -m controlplane
# More words for pytest: make test ARGS='-k quota -x'
ARGS ?=
# Processes that run tests, each with an API server of its own (1 GB)
WORKERS ?= 2

.PHONY: help
help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

.PHONY: demo
demo: venv ## A real API server, the EVS simulator and the operator: watch EvsJobs run to their end.
	@$(if $(DEMO_KUBECONFIG),,$(CONTROLPLANE) build controlplane >/dev/null)
	@PYTHONPATH=tests $(BIN)/python -m examples.demo

.PHONY: test
test: venv ## All tests, also against a real API server; it and helm are built once.
	@$(CONTROLPLANE) build >/dev/null
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m 'not image' $(ARGS)

.PHONY: test-fast
test-fast: venv ## The tests that need no API server, on all cores.
	$(BIN)/pytest -n auto -m 'not controlplane and not image' $(ARGS)

.PHONY: test-image
test-image: venv ## Build the image and run it: needs root, buildah and mmdebstrap (Debian packages), 2 to 4 minutes.
	@$(CONTROLPLANE) build >/dev/null
	$(BIN)/pytest -m image $(ARGS)

.PHONY: lint
lint: venv ## Style, types, layers, dependencies, workflows.
	$(BIN)/ruff check --output-format concise
	$(BIN)/ruff format --check
	$(BIN)/zizmor --quiet --offline .github
	$(BIN)/mypy
	$(BIN)/mypy -p controlplane
	@PYTHONPATH=tests $(BIN)/python -m support.body_reading
	$(BIN)/deptry --no-ansi operator
	@PYTHONWARNINGS=ignore $(BIN)/deptry --no-ansi --config requirements/deptry.toml tests benchmarks examples charts deploy requirements
	@if test -f .importlinter || grep -q '^\[tool\.importlinter' pyproject.toml; then $(BIN)/lint-imports --no-logo; fi

.PHONY: chart
chart: venv ## Write what the chart and deploy/ take from elsewhere: CRDs, version, table of values, manifests.
	@PYTHONPATH=tests $(BIN)/python charts/generate.py

.PHONY: plugin
plugin: venv ## Build kubectl evsjob as one file, dist/kubectl-evsjob.pyz, and its manifest for krew.
	@$(BIN)/python deploy/krew/build.py

.PHONY: dashboard-picture
dashboard-picture: venv ## Draw docs/images/dashboard.svg anew from a real operator: five minutes, needs Prometheus.
	@$(CONTROLPLANE) build controlplane >/dev/null
	@PYTHONPATH=tests:docs/tools $(BIN)/python -m dashboard_picture docs/images/dashboard.svg

.PHONY: venv
venv: ## The virtual environment .venv from the locked requirements.
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Python >= 3.11 is needed, and $(PYTHON) is not it; name one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) requirements/install.py

.PHONY: lock
lock: venv ## Lock requirements/*.in anew with hashes; UPGRADE=1 takes the newest versions.
	for name in run dev go; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    $(if $(UPGRADE),--upgrade) --output-file requirements/$$name.txt requirements/$$name.in || exit; done
