# The commands of a working day; `make` alone lists them. Options go in ARGS: make demo ARGS="--workers 2"
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?=
ARGS ?=
# What a Python must be able to do: be of a version with wheels for every dependency, and make an environment with pip.
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
heading = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help setup demo lint types check test prove fuzz bench format lock sbom audit clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Make .venv with everything pinned in requirements.lock, and stream-app in it
	@echo 'Ready: $(BIN)/stream-app --help'

demo: setup ## Embedded Kafka and Redis, a demo stream, and who is taking off in it
	@$(BIN)/stream-app demo $(ARGS)

lint: setup ## ruff, its format, and who may import whom
	$(call heading,ruff check)
	@$(BIN)/ruff check
	$(call heading,ruff format --check)
	@$(BIN)/ruff format --check
	$(call heading,import-linter)
	@$(BIN)/lint-imports --no-logo

types: setup ## mypy --strict
	$(call heading,mypy --strict)
	@$(BIN)/mypy --strict

check: lint types ## Lint, types, unit tests and 40 seeds of the simulation, in under 2 minutes
	$(call heading,pytest -m unit)
	@$(BIN)/pytest -q -n 2 --dist worksteal -m unit $(ARGS)

test: lint types ## Lint, types and all tests
	$(call heading,pytest)
	@$(BIN)/pytest -n 2 --dist loadscope $(ARGS) # they wait more than they compute; a file's tests share what they started

prove: setup ## Kill, freeze and corrupt, and compare every count with the exact one; ARGS=--full for an hour of it
	@$(BIN)/pytest tests/proof -o python_files='prove_*.py' -p no:cacheprovider -q --tb=short -n 5 --maxschedchunk 1 --proof proof.json $(ARGS)

fuzz: setup ## Ten minutes of random inputs for all that reads what others write; ARGS="--seconds 60 --target batches"
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: setup ## Measure the tracker against an idiomatic Faust app
	@$(BIN)/python -m tests.benchmarks $(ARGS)

format: setup ## Mend what ruff can mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

LOCK := uv pip compile --universal --fork-strategy fewest --generate-hashes --no-emit-index-url \
	--no-header --no-annotate --quiet pyproject.toml

lock: ## Write the lock files anew from pyproject.toml (needs uv; ARGS=--upgrade for newer versions)
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	@$(LOCK) --all-extras $(ARGS) --output-file requirements.lock
	@$(LOCK) --extra alerts --extra otlp --constraints requirements.lock --output-file deploy/docker/requirements.lock # the image

sbom: setup ## Write sbom.json: the bill of materials of the image's packages (CycloneDX), which goes with a release
	@$(BIN)/python -m tests.tools.sbom sbom.json

audit: setup ## Look for known vulnerabilities in what is pinned; exit status 1: found, 2: could not be checked
	@$(BIN)/python -m tests.tools.audit

clean: ## Remove .venv and every cache
	@rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find stream_app tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@set -e -o pipefail; \
	if ! $(BIN)/python -c '$(USABLE); import pip' 2>/dev/null; then \
		for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
			if "$$python" -c '$(USABLE)' 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$${found:-}" ]; then \
			echo 'No usable Python: stream_app needs Python 3.11 to 3.14 with venv and pip$(if $(PYTHON), and $(PYTHON) is not one).' >&2; \
			echo 'Debian and Ubuntu: apt install python3 python3-venv. Or name one: make setup PYTHON=/path/to/python3.12' >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$found" --version)"; \
		"$$found" -m venv --clear $(VENV); \
	fi; \
	total=$$(grep -c '^[a-z0-9]' requirements.lock); \
	echo "Installing $$total pinned packages (about a minute the first time)"; \
	PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
		--require-hashes -r requirements.lock | while read -r word package _; do \
			case $$word in Collecting | Requirement) count=$$((count + 1));; esac; \
			if [ -t 2 ] && [ "$$word" = Collecting ]; then printf '\r\033[K  %s of %s  %s' "$$count" "$$total" "$${package%%=*}" >&2; fi; \
			if [ -t 2 ] && [ "$$word" = Installing ]; then printf '\r\033[K  unpacking' >&2; fi; \
		done; \
	if [ -t 2 ]; then printf '\r\033[K' >&2; fi; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .; \
	touch $@
