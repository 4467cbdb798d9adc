# `make dashboard` and `make test` do everything on a fresh machine, set-up included; the second time they are quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
# MALLOC_ARENA_MAX below: twenty sessions have many threads, and take a fifth less memory so (benchmarks/load.py).

.PHONY: dashboard test faults lint install assets clean

dashboard: $(VENV)/.installed  ## open the app with finished models
	MALLOC_ARENA_MAX=2 $(BIN)/sagvae dashboard --port $(PORT) $(ARGS)

test: $(VENV)/.installed-dev  ## unit, page and browser tests, with coverage of the core
	@$(BIN)/python tests/find_browser.py
	$(BIN)/python -m pytest --cov=sagvae_core --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

faults: $(VENV)/.installed-dev  ## all of the fault suite: kills, full disks, damaged and hostile files (CI runs a part)
	SAGVAE_FAULTS=full $(BIN)/python -m pytest tests/faults $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .

install: $(VENV)/.installed-dev  ## everything, tests included

assets: $(VENV)/.installed  ## make the shipped runs again (more than an hour on two cores)
	$(BIN)/python -m sagvae_core.studies.shipped

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version). Use make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing (the first time a few minutes: PyTorch is large) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing (the first time a few minutes: PyTorch is large) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage
