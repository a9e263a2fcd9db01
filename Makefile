# Seg-Zero: everything runs from a virtual environment that make builds once.
#
#   make demo     install, then serve the page on http://127.0.0.1:7860
#   make test     install what the tests need as well, then run them all
#   make lint     check style, format and who imports whom
#   make clean    remove the environment and the caches
#
# PYTHON=python3.12 picks the interpreter of a new environment; VENV=path puts it elsewhere.

VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)

# The page looks nothing up and reports nothing; neither do the libraries under it.
export GRADIO_ANALYTICS_ENABLED := False
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: demo test lint format clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/python app.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .gradio
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: installed once, and again when the list of requirements is newer.
$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(call install,requirements.txt)
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(BIN)/python
	$(call install,requirements-dev.txt)
	touch $@ $(VENV)/.installed

# --clear also removes the stamps of an environment whose interpreter has gone.
$(BIN)/python:
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || { \
		echo "Seg-Zero needs Python 3.10 to 3.13; none found$(if $(PYTHON), ($(PYTHON) is another version))." \
		     "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
ifdef UV
	$(UV) venv --clear --python "$(PYTHON)" $(VENV)
else
	$(PYTHON) -m venv --clear $(VENV)
endif

ifdef UV
install = $(UV) pip install --python $(BIN)/python -r $(1)
else
install = $(BIN)/python -m pip install --disable-pip-version-check -r $(1)
endif
