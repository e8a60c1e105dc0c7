#!/usr/bin/env bash
# All tests: style, the notebooks against their lessons, the suite, and every notebook live under nbval.
# CI=true makes a missing browser an error; elsewhere the browser tests are skipped and say why.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }
if [ -z "$(find_chromium)" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing chromium for the browser tests…"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
fi
COURSELIB_CHROMIUM="${COURSELIB_CHROMIUM:-$(find_chromium)}"
export COURSELIB_CHROMIUM

# CI also makes a Hugging Face directory from a GGUF, with torch in an environment of its own. Elsewhere these tests run
# where COURSELIB_CONVERT_PYTHON names an interpreter that has what they need, and say so where they are skipped.
if [ "${CI:-}" = true ] && [ -z "${COURSELIB_CONVERT_PYTHON:-}" ]; then
  [ -x .venvs/convert/bin/python ] || "${PYTHON:-python3}" -m venv .venvs/convert
  .venvs/convert/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
    torch transformers gguf accelerate
  export COURSELIB_CONVERT_PYTHON="$PWD/.venvs/convert/bin/python"
fi

# Plotly's and widgets' outputs are compared as plain data; a hub that cannot be reached must not be waited for.
export PLOTLY_RENDERER=plotly_mimetype PYTHONHASHSEED=0

$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
$bin/courselib build --check
$bin/python -m pytest tests
# One worker: the engines of two notebooks at once would wait for each other on a small machine.
$bin/python -m pytest --nbval-lax --nbval-cell-timeout=120 --nbval-kernel-name=python3 -p no:cacheprovider notebooks
