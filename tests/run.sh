#!/usr/bin/env bash
# All tests: style, the notebooks against their lessons, the suite, and every notebook live under nbval.
# CI=true installs what is missing, vLLM's 3.5 GB included, and makes it an error if that fails; elsewhere tests and
# notebooks that need what is not there are left out and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

tests/install.sh
if [ "${CI:-}" = true ]; then
  export COURSELIB_REQUIRE_VLLM=1
  export COURSELIB_TEXT_GENERATION_PYTHON="$PWD/.venvs/text_generation/bin/python"
fi

$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
$bin/courselib build --check
$bin/python -m pytest tests
$bin/python -m tests.notebooks.nbval
