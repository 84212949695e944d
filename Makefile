# Two commands are all you need:
#
#   make demo                   judge the images of samples/ and write a report
#   make demo IMAGES=path       the same with your own: a file, a folder or a quoted pattern
#   make test                   everything that must pass before a change goes in
#
# Both make a virtual environment in .venv first. Another place or another Python:
#
#   make test VENV=/somewhere/else PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
IMAGES ?= samples

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
MAKEFLAGS += --no-print-directory

# The shell reads it as a variable, so that a name with spaces or quotes stays one name.
export IMAGES

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs regress browser clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@echo
	@echo "Parts of make test: make lint, make docs, make regress. What they made is removed by: make clean"

# --- what people run ------------------------------------------------------------------------------

# Exit code 1 means that some files could not be opened. The report says which; it is no failure.
demo: $(VENV)/.installed
	@rm -rf demo-output/heatmaps && mkdir -p demo-output/heatmaps
	@echo "aligngemini detect \"$$IMAGES\" --report demo-output/report.html --heatmaps demo-output/heatmaps"
	@$(BIN)/aligngemini detect "$$IMAGES" --report demo-output/report.html \
	  --heatmaps demo-output/heatmaps || test $$? -eq 1
	@echo
	@echo "Open this file in a browser to see every image and why: $(CURDIR)/demo-output/report.html"

# One thread: PyTorch's idle threads spin and would take the cores from each other.
test: export OMP_NUM_THREADS = 1
test: lint docs browser
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The theme advertises its successor on every build unless told not to.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict

# Part of the tests too. A change that is meant is recorded by: python tools/regress.py --accept WHY
regress: $(VENV)/.installed-dev
	$(BIN)/python tools/regress.py

# Tests of the pages skip themselves where there is no Chromium; where we may, it is brought.
browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get > /dev/null && \
	  apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium; } > /dev/null 2>&1 || \
	  echo "There is no Chromium and none could be installed: the tests of the pages will be skipped"

clean:
	rm -rf .venv demo-output site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: each step leaves a mark in $(VENV), and is done again when pyproject.toml changes -----

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing aligngemini into $(VENV) (the first time takes a minute)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what development needs into $(VENV) (the first time takes some minutes)"
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.10 or newer first."; exit 1; }
	@$(PYTHON) tools/check_python.py
	@$(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/.installed $(VENV)/.installed-dev
