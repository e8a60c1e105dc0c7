#!/usr/bin/env bash
# All tests: style, the notebooks against their lessons, the suite, and every notebook live under nbval.
# CI=true installs what is missing, vLLM's 3.5 GB included, and makes it an error if that fails; elsewhere tests and
# notebooks that need what is not there are left out and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

if [ "${CI:-}" = true ]; then
  export COURSELIB_REQUIRE_VLLM=1
  export COURSELIB_TEXT_GENERATION_PYTHON="$PWD/.venvs/text_generation/bin/python"
fi

# Much of it waits for the network: meanwhile llama.cpp is compiled, and tested is what needs none of it.
tests/install.sh &
installing=$!
trap wait EXIT
make .venv/.native .venv/.test

$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
$bin/courselib build --check
# llama.cpp's servers leave half of two cores idle; vLLM and a browser want a machine for themselves.
$bin/python -m pytest tests -m "not elsewhere and not browser" -n 2 --dist loadfile
wait $installing
$bin/python -m pytest tests -m "elsewhere or browser"
$bin/python -m tests.notebooks.nbval
