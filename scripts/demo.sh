#!/usr/bin/env bash
# Trains vanilla-nerf-custom on the built-in scene, evaluates it and renders an orbit, on the GPU or else on the CPU.
# No data set is needed. STEPS=10000 SAMPLES=400 RESOLUTION=200 scripts/demo.sh is a longer run; arguments go to ns-train.
set -euo pipefail

STEPS="${STEPS:-6500}"          # training steps
SAMPLES="${SAMPLES:-200}"       # steps of a ray along the diagonal of the scene; enough for pixels of this size
RESOLUTION="${RESOLUTION:-100}" # width and height of the pictures, in pixels
FRAMES="${FRAMES:-48}"          # pictures of the orbit

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
"$root/scripts/setup.sh"
cd "$root"
export PATH="$root/.venv/bin:$PATH" PYTHONWARNINGS="${PYTHONWARNINGS:-ignore}"

method=vanilla-nerf-custom
timestamp="$(date +%Y-%m-%d_%H%M%S)" # a run of its own each time: nothing is overwritten
run="outputs/demo/$method/$timestamp"

step() { printf '\n[demo] %s\n' "$*"; }
begin=$SECONDS

step "1/3 training: $STEPS steps, $RESOLUTION x $RESOLUTION pixels"
ns-train "$method" --output-dir outputs --experiment-name demo --timestamp "$timestamp" --vis tensorboard \
  --max-num-iterations "$STEPS" --steps-per-eval-batch "$STEPS" --steps-per-eval-image "$STEPS" \
  --pipeline.model.occupancy.steps-per-diagonal "$SAMPLES" \
  "$@" demo-data --resolution "$RESOLUTION" </dev/null

step "2/3 evaluation on the test views"
ns-eval --load-config "$run/config.yml" --output-path "$run/eval.json" </dev/null

step "3/3 orbit: $FRAMES pictures"
nerf-plugins camera-path orbit --load-config "$run/config.yml" --output-path "$run/orbit.json" \
  --frames "$FRAMES" --height "$RESOLUTION"
ns-render camera-path --load-config "$run/config.yml" --camera-path-filename "$run/orbit.json" \
  --output-path "$run/orbit.mp4" </dev/null

psnr="$(python -c 'import json, sys; print("%.2f" % json.load(open(sys.argv[1]))["results"]["psnr"])' "$run/eval.json")"
step "done in $((SECONDS - begin)) s"
printf 'PSNR        %s dB on the test views\n' "$psnr"
printf 'checkpoint  %s\n' "$root/$run"/nerfstudio_models/*.ckpt
printf 'metrics     %s\n' "$root/$run/eval.json"
printf 'video       %s\n' "$root/$run/orbit.mp4"
