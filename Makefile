# Every habit of this project is one word; `make help` lists them. Everything else is made by itself.
#
# A setting may stand on the same line: `make run PORT=8001 DATA_DIR=/srv/paperplane`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-browser lint format bench lock create-user demo doctor reindex clean environment development

# The first Python that is new enough; name another with `make PYTHON=/path/to/python3`.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; break; fi; done)
IN_ENVIRONMENT := .venv/bin/python
# What `make test` and `make bench` are told besides: `make test ARGUMENTS="-k unread -x"`.
ARGUMENTS ?=

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: environment ## Start everything: API, worker, beat and, unless given, PostgreSQL and Valkey
	@$(IN_ENVIRONMENT) -m local.run --end-with-parent

test: development ## Run all tests, in parallel and in random order, on servers of their own
	@$(IN_ENVIRONMENT) -m pytest -n logical --maxprocesses 8 $(ARGUMENTS)

test-browser: development ## Have two browsers call each other (needs Chromium or Chrome)
	@$(IN_ENVIRONMENT) -m pytest tests/browser/check_calls.py $(ARGUMENTS)

lint: development ## Check style, types and the direction of imports
	@$(IN_ENVIRONMENT) -m ruff check .
	@$(IN_ENVIRONMENT) -m ruff format --check .
	@$(IN_ENVIRONMENT) -m mypy
	@.venv/bin/lint-imports

format: development ## Write the code in the one style
	@$(IN_ENVIRONMENT) -m ruff check --fix .
	@$(IN_ENVIRONMENT) -m ruff format .

bench: development ## Measure what can be measured in some minutes; prints ratios
	@$(IN_ENVIRONMENT) -m bench $(ARGUMENTS)

lock: ## Choose the newest allowed packages anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade --group dev --constraint requirements.lock -o requirements-dev.lock

create-user: environment ## Make an account without a one-time code
	@$(IN_ENVIRONMENT) -m app.commands create-user $(ARGUMENTS)

demo: environment ## Fill a running Paperplane with people and chats to try
	@$(IN_ENVIRONMENT) -m app.commands demo $(ARGUMENTS)

doctor: environment ## Say what is wrong with this installation, if anything
	@$(IN_ENVIRONMENT) -m app.commands doctor $(ARGUMENTS)

reindex: environment ## Make the index of search anew; goes on where it was stopped
	@$(IN_ENVIRONMENT) -m app.commands reindex $(ARGUMENTS)

clean: ## Remove what was made here, except data (var/) and settings (.env)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(if $(PYTHON),$(PYTHON) local/environment.py,$(NO_PYTHON))

development:
	@$(if $(PYTHON),$(PYTHON) local/environment.py --development,$(NO_PYTHON))

NO_PYTHON = echo "Paperplane needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3." >&2; exit 1
