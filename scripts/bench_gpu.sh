#!/usr/bin/env bash
# Everything that only a GPU can say, in one go: scripts/bench_gpu.sh LEGO [FERN] [DTU_SCAN24]   (folders of the full-size data sets)
# Runs with the python on PATH: the tests in tests/gpu, marching beside nerfacc, encoding and layers beside tiny-cuda-nn, training beside nerfstudio's own methods.
# RESULTS=folder keeps tables, plots and pictures there.
set -euo pipefail

lego="$(realpath "${1:?usage: scripts/bench_gpu.sh LEGO [FERN] [DTU_SCAN24]}")"
fern="${2:+$(realpath "$2")}"
dtu="${3:+$(realpath "$3")}"
results="${RESULTS:-outputs/bench_gpu}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python -m pytest -q tests/gpu
python scripts/bench_march.py --rays 262144 --step-size 0.002
python scripts/bench_encoding.py --positions 262144
python scripts/bench_layers.py --rows 262144
python scripts/bench_scaling.py --output-dir "$results/scaling"
bench() { python scripts/bench_train.py --recipe "configs/$1.yaml" --data "$2" --output-dir "$results/$1"; }
bench lego800 "$lego"
[ -z "$fern" ] || bench fern4 "$fern"
[ -z "$dtu" ] || bench dtu24 "$dtu"
