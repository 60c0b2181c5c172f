#!/usr/bin/env bash
# What only a GPU can say, in stages that can be called one by one and again: scripts/bench_gpu.sh [setup|tests|kernels|train|views]...
# Without a stage, all of them. Needs a python with torch for CUDA; no network, no data (demo-data is made on the spot).
#
#   setup    puts what scripts/pack_gpu.py packed into SITE, and says what the machine has
#   tests    tests/gpu and tests/ops
#   kernels  marching, encoding and layers alone
#   train    each method for SECONDS, steps timed by CUDA events
#   views    held-out pictures of what was trained
#
# RESULTS=outputs/bench_gpu  where each stage leaves its log, and what it measured as it goes
# SECONDS_A_METHOD=60        METHODS="nerf-hash-custom ..."        PACKS="pack_0 pack_1 ..."        SITE=/tmp/nerf_plugins_site
# A stage that fails stops no other; the exit status says how many failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=${RESULTS:-outputs/bench_gpu}
seconds=${SECONDS_A_METHOD:-60}
methods=${METHODS:-nerf-hash-custom neus-hash-custom vanilla-nerf-custom neus-custom}
site=${SITE:-/tmp/nerf_plugins_site}
export PYTHONPATH="$PWD:$PWD/scripts:$site${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$results"

# Runs a command and keeps its output; a failure is counted, and the rest goes on.
failed=0
measure() {
  local name=$1
  shift
  printf '\n[bench_gpu] %s: %s\n' "$name" "$*"
  if "$@" 2>&1 | tee "$results/$name.log"; then
    echo "$name ok" >>"$results/stages.txt"
  else
    echo "$name failed" | tee -a "$results/stages.txt"
    failed=$((failed + 1))
  fi
}

setup() {
  [ -z "${PACKS:-}" ] || measure unpack python scripts/pack_gpu.py unpack "$site" $PACKS
  measure doctor python -m nerf_plugins.cli doctor
}

tests() {
  measure tests python -m pytest -q -p no:cacheprovider tests/gpu tests/ops
}

kernels() {
  measure march python scripts/bench_march.py --rays 262144 --step-size 0.002
  measure encoding python scripts/bench_encoding.py --positions 262144
  measure layers python scripts/bench_layers.py --rows 262144
}

train() {
  for method in $methods; do
    measure "train_$method" python scripts/bench_steps.py train "$method" --seconds "$seconds" --output-dir "$results"
  done
}

views() {
  for method in $methods; do
    measure "views_$method" python scripts/bench_steps.py views "$method" --output-dir "$results"
  done
}

[ $# -gt 0 ] || set -- setup tests kernels train views
for stage in "$@"; do
  case $stage in
    setup | tests | kernels | train | views) "$stage" ;;
    *)
      echo "bench_gpu.sh: no stage $stage: give some of setup, tests, kernels, train, views" >&2
      exit 64
      ;;
  esac
done
exit "$failed"
