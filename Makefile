# The tasks of the project. CI runs `check` and then README's test command.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: format lint types docs check test fast
format:  ## rewrite the sources in the one format
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m cogapp -r README.md
lint:  ## format check and lint
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
types:  ## types and import contracts
	$(PYTHON) -m mypy
	$(BIN)lint-imports
docs:  ## README's generated parts are up to date
	$(PYTHON) -m cogapp --check --diff README.md
check: lint types docs
test:  ## all tests, those that need Ray beside the others
	$(PYTHON) -m pytest -n 3
fast:  ## the tests that need no Ray
	$(PYTHON) -m pytest -n 3 -m "not ray"
