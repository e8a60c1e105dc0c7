# Two commands: `make lab` opens the course, `make test` passes the tests. Without make (Windows), see the README.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: lab native test quick lint build check site bench colab clean

lab: $(VENV)/.lab
	@$(BIN)/courselib lab

# Debian and Ubuntu leave this part of Python to a package. An environment made without it has a Python and no pip.
can_make_venv := { $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "$(PYTHON) cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2; false; }; }

# Installed once; again when what is to be installed has changed.
$(VENV)/.lab: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; name one with PYTHON=…")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(can_make_venv) && $(PYTHON) -m venv $(VENV); }
	$(PIP) install --quiet --constraint constraints.txt --editable '.[lab]'
	$(BIN)/courselib models get smollm2-135m
	@touch $@

# llama.cpp as a library. A native build would use whatever the processor announces, and some machines announce
# instructions (AMX) that they do not grant: it would crash at its first token. What is for pictures is left out, and
# what is for llama.cpp's own programs.
native_flags := -DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF '-DCMAKE_PROJECT_INCLUDE=$(CURDIR)/native.cmake'
native: $(VENV)/.native

$(VENV)/.native: $(VENV)/.lab
	@command -v "$${CXX:-c++}" >/dev/null \
		|| { echo "llama.cpp as a library is compiled, and there is no C++ compiler. Install one, such as g++." >&2; false; }
	CMAKE_ARGS="$(native_flags)" $(PIP) install --constraint constraints.txt --editable '.[native]'
	@touch $@

$(VENV)/.test: $(VENV)/.lab
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

test: $(VENV)/.lab
	@PYTHON=$(PYTHON) tests/run.sh

quick: $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto --dist loadfile -m 'not slow and not engine and not elsewhere and not browser'

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@if command -v npx >/dev/null; then npx --yes @biomejs/biome@2.3.8 lint --error-on-warnings; \
	else echo "There is no node here: the panels' scripts are left out."; fi

build: $(VENV)/.test
	$(BIN)/courselib build

check: $(VENV)/.test
	$(BIN)/courselib build --check

# The website has an environment of its own: Sphinx is no dependency of the course.
site: .venvs/site/complete
	.venvs/site/bin/python website/build.py build/site

.venvs/site/complete: website/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sphinx needs Python 3.11 or newer; name one with PYTHON=…")'
	@$(can_make_venv) && $(PYTHON) -m venv .venvs/site
	.venvs/site/bin/python -m pip --disable-pip-version-check install --quiet --requirement website/requirements.txt
	@touch $@

bench: $(VENV)/.test
	$(BIN)/python benchmarks/start.py

# All lessons and solutions in the stand-in for Colab: half an hour, for a nightly run.
colab: $(VENV)/.test
	$(BIN)/python -m tests.kernels.lessons colab

clean:
	rm -rf $(VENV) .venvs build *.egg-info
