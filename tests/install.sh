#!/usr/bin/env bash
# What the tests need besides `.venv`, each beside the others: they wait for the network. Only what is missing is fetched.
# Without CI=true that is a browser alone.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
jobs=()

install_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return; fi
  done
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing chromium for the browser tests…"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
  fi
}

# TGI's older client wants a huggingface_hub that the course is too new for.
install_text_generation() {
  local at=.venvs/text_generation
  if [ -e $at/complete ]; then return; fi
  "$python" -m venv $at
  $at/bin/python -m pip --disable-pip-version-check install --quiet "text-generation==0.7.0"
  touch $at/complete
}

install_chromium & jobs+=($!)
if [ "${CI:-}" = true ]; then
  .venv/bin/courselib install vllm & jobs+=($!)
  install_text_generation & jobs+=($!)
  .venv/bin/python -m tests.kernels.environments & jobs+=($!)
fi
# One by one: `wait` tells only the last one's status.
for job in "${jobs[@]}"; do wait "$job"; done
