#!/usr/bin/env bash
# What the tests need besides `.venv`, each beside the others: they wait for the network. Only what is missing is fetched.
# Without CI=true that is a browser alone.
set -euo pipefail
set -m # each job in a group of its own, so that it can be ended with all it has started
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
jobs=() names=()

begin() { # COMMAND...
  "$@" &
  jobs+=($!)
  names+=("$*")
}

# By bash's own list: a signal may come before a job that has just begun is in ours.
end_jobs() {
  local job
  for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done
}
trap end_jobs EXIT
trap 'exit 130' INT TERM

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

install_bubblewrap() {
  if command -v bwrap >/dev/null; then return; fi
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing bubblewrap for the tests of grading…"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null
  fi
}

# On a machine with systemd the package starts a Prometheus of its own; containers, in which CI runs, have none.
install_prometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return; fi
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ ! -d /run/systemd/system ]; then
    echo "Installing prometheus for the tests of metrics…"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus >/dev/null
  fi
}

# Where nothing prevents it, the package starts a HAProxy of its own, which is ended at once; with systemd, see above.
install_haproxy() {
  if command -v haproxy >/dev/null && command -v openssl >/dev/null; then return; fi
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ ! -d /run/systemd/system ]; then
    echo "Installing haproxy for the tests of what stands in front of an engine…"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends haproxy openssl >/dev/null
    /etc/init.d/haproxy stop >/dev/null 2>&1 || true
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

# Ray's workers run the course, so what the course needs is in its environment, too. The course itself is not: it is being
# installed elsewhere at this moment, and two would write its egg-info.
install_ray() {
  local at=.venvs/ray needs
  if [ -e $at/complete ]; then return; fi
  "$python" -m venv $at
  needs='import importlib.metadata as m; print(*(each for each in m.requires("courselib") if "extra ==" not in each), sep="\n")'
  .venv/bin/python -c "$needs" >$at/needs.txt
  $at/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --requirement $at/needs.txt "ray==2.60.0"
  touch $at/complete
}

# The graders that take the exported exercises: they bring a JupyterLab and 700 MB that the course has no use for.
install_graders() {
  local at=.venvs/graders
  if [ -e $at/complete ]; then return; fi
  "$python" -m venv $at
  $at/bin/python -m pip --disable-pip-version-check install --quiet "nbgrader==0.9.6" "otter-grader==7.0.0"
  touch $at/complete
}

# Sphinx, for the website (`make site`).
install_site() {
  local at=.venvs/site
  if [ -e $at/complete ]; then return; fi
  "$python" -m venv $at
  $at/bin/python -m pip --disable-pip-version-check install --quiet --requirement website/requirements.txt
  touch $at/complete
}

install_programs() { # one after the other, since apt-get locks its lists
  install_bubblewrap
  install_chromium
  install_prometheus
  install_haproxy
}

begin install_programs
if [ "${CI:-}" = true ]; then
  begin .venv/bin/courselib install vllm
  begin .venv/bin/python -m tests.gemma
  begin install_text_generation
  begin install_ray
  begin install_graders
  begin install_site
  begin .venv/bin/python -m tests.kernels.environments
fi
# One by one: `wait` tells only the last one's status. One that fails hides none of the others.
status=0
for i in "${!jobs[@]}"; do
  wait "${jobs[i]}" || {
    echo "FAILED: ${names[i]}"
    status=1
  }
done
exit $status
