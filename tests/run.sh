#!/usr/bin/env bash
# All tests: style, the notebooks against their lessons, the suite, and every notebook live under nbval.
# CI=true installs what is missing, vLLM's 3.5 GB included, and makes it an error if that fails; elsewhere tests and
# notebooks that need what is not there are left out and say so.
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

if [ "${CI:-}" = true ]; then
  $bin/courselib install vllm
  export COURSELIB_REQUIRE_VLLM=1
  # TGI's older client wants a huggingface_hub that the course is too new for.
  older=.venvs/text_generation
  [ -x $older/bin/python ] || "${PYTHON:-python3}" -m venv $older
  $older/bin/python -m pip --disable-pip-version-check install --quiet "text-generation==0.7.0"
  export COURSELIB_TEXT_GENERATION_PYTHON="$PWD/$older/bin/python"
fi

$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
$bin/courselib build --check
$bin/python -m pytest tests
$bin/python -m tests.notebooks.nbval
