# Two commands: `make lab` opens the course, `make test` passes the tests. Without make (Windows), see the README.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: lab native test quick lint build check bench clean

lab: $(VENV)/.lab
	@$(BIN)/courselib lab

# Installed once; again when what is to be installed has changed.
$(VENV)/.lab: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; name one with PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[lab]'
	$(BIN)/courselib models get smollm2-135m
	@touch $@

# llama.cpp as a library. A native build would use whatever the processor announces, and some machines announce
# instructions (AMX) that they do not grant: it would crash at its first token. What is for pictures is left out, and
# what is for llama.cpp's own programs.
native_flags := -DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF '-DCMAKE_PROJECT_INCLUDE=$(CURDIR)/native.cmake'
native: $(VENV)/.native

$(VENV)/.native: $(VENV)/.lab
	CMAKE_ARGS="$(native_flags)" $(PIP) install --constraint constraints.txt --editable '.[native]'
	@touch $@

$(VENV)/.test: $(VENV)/.lab
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

test: $(VENV)/.lab
	@PYTHON=$(PYTHON) tests/run.sh

quick: $(VENV)/.test
	$(BIN)/python -m pytest -q -m 'not slow and not browser'

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

build: $(VENV)/.test
	$(BIN)/courselib build

check: $(VENV)/.test
	$(BIN)/courselib build --check

bench: $(VENV)/.test
	$(BIN)/python benchmarks/start.py

clean:
	rm -rf $(VENV) .venvs build *.egg-info
