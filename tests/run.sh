#!/usr/bin/env bash
# All tests, phase by phase: what is known soonest comes first. A phase that fails hides none after it: the summary at the
# end has the result and time of each, and the slowest tests of all.
# CI=true installs what is missing, vLLM's 3.5 GB included, and makes it an error if that fails; elsewhere tests and
# notebooks that need what is not there are left out and say so.
set -uo pipefail
exec </dev/null # in the background, a program that reads the terminal would be stopped
cd "$(dirname "$0")/.." || exit
bin=.venv/bin
scratch=$(mktemp -d)
chmod 755 "$scratch" # some tests ask as another user
export TMPDIR="$scratch" IPYTHONDIR="$scratch/ipython"
failed=0
summary=()

if [ "${CI:-}" = true ]; then
  export COURSELIB_REQUIRE_VLLM=1
  export COURSELIB_REQUIRE_GEMMA=1
  export COURSELIB_TEXT_GENERATION_PYTHON="$PWD/.venvs/text_generation/bin/python"
  export COURSELIB_RAY="$PWD/.venvs/ray/bin"
  export COURSELIB_GRADERS="$PWD/.venvs/graders/bin"
  export COURSELIB_SITE="$PWD/.venvs/site/bin"
fi

# Runs a command, and notes how it ended and how long it took.
phase() { # NAME COMMAND...
  local name=$1 began=$SECONDS result=passed
  shift
  printf '\n=== %s\n' "$name"
  "$@" || result="FAILED ($?)"
  if [ "$result" != passed ]; then failed=$((failed + 1)); fi
  summary+=("$(printf '%-44s %5d s  %s' "$name" $((SECONDS - began)) "$result")")
}

test_phase() { # NAME ARGUMENTS... of pytest
  local name=$1
  shift
  phase "$name" $bin/python -m "$@" --durations=10 --durations-min=1 --junitxml="$scratch/${#summary[@]}.xml"
}

finish_installing() {
  wait $installing
  local status=$?
  installing=
  cat "$scratch/install.log"
  return $status
}

install_native() {
  make .venv/.native && return
  if [ "${CI:-}" = true ]; then return 1; fi
  echo "llama.cpp as a library cannot be compiled here: what needs it is left out."
}

clean_up() {
  if [ -n "$installing" ]; then
    # Its group: what it has started must end, too.
    kill -- "-$installing" 2>/dev/null
    wait "$installing" 2>/dev/null
  fi
  rm -rf "$scratch"
}

installing=
trap clean_up EXIT
trap 'exit 130' INT TERM # pytest ends at Ctrl-C, and its next phase must not begin
make .venv/.test || exit

# Most of it waits for the network: meanwhile, what needs none of it is tested.
set -m
tests/install.sh >"$scratch/install.log" 2>&1 &
installing=$!
set +m

phase "ruff" $bin/ruff check .
phase "format" $bin/ruff format --check .
phase "mypy" $bin/mypy
phase "notebooks are built from their lessons" $bin/courselib build --check
test_phase "tests without an engine" pytest tests -m "not engine and not elsewhere and not browser" -n auto --dist loadfile
phase "llama.cpp as a library" install_native
# Two at a time: servers of llama.cpp, and browsers, leave half of two cores idle. vLLM uses all it gets.
test_phase "tests with llama.cpp" pytest tests -m "engine and not elsewhere and not browser" -n 2 --dist loadfile
phase "installing vLLM, a browser, other kernels" finish_installing
test_phase "tests in other environments" pytest tests -m "elsewhere and not vllm and not browser" -n 2 --dist loadfile
test_phase "notebooks" tests.notebooks.nbval without-vllm -n 2 --dist loadfile
test_phase "tests with vLLM" pytest tests -m "vllm and not browser" -n 2 --dist loadfile --cores-apart
test_phase "notebooks with vLLM" tests.notebooks.nbval with-vllm
test_phase "tests in a browser" pytest tests -m "browser" -n 2 --dist loadfile

printf '\n=== The slowest of all\n'
$bin/python -m tests.slowest "$scratch"/*.xml
printf '\n=== Summary\n'
printf '%s\n' "${summary[@]}"
printf '%-44s %5d s  %s\n' "all" $SECONDS "$([ $failed = 0 ] && echo passed || echo "FAILED: $failed")"
exit $((failed > 0))
