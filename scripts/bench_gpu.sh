#!/usr/bin/env bash
# Everything that only a GPU can say, in one go: scripts/bench_gpu.sh LEGO [FERN]   (folders of the full-size data sets)
# Runs with the python on PATH: the tests in tests/gpu, marching beside nerfacc, training to the paper's numbers.
set -euo pipefail

lego="${1:?usage: scripts/bench_gpu.sh LEGO [FERN]}"
fern="${2:-}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python -m pytest -q tests/gpu
python scripts/bench_march.py --rays 262144 --step-size 0.002
python scripts/bench_train.py --data "$lego" --dataparser blender-data --methods vanilla-nerf-custom \
  --seconds 120 --checkpoints 15 30 60
if [ -n "$fern" ]; then
  python scripts/bench_train.py --data "$fern" --dataparser llff-data --methods vanilla-nerf-custom \
    --seconds 120 --checkpoints 30 60
fi
