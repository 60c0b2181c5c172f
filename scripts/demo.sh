#!/usr/bin/env bash
# scripts/demo.sh               trains nerf-hash-custom on the built-in scene, evaluates it and renders an orbit; no data is needed
# scripts/demo.sh --photos X    does so on a folder of photos or a video, whose camera poses it finds first, as nerf-plugins doctor advises;
#                               the video is a spiral, which stays near the photos
#
# On the GPU or else on the CPU. METHOD=vanilla-nerf-custom STEPS=6500 RESOLUTION=100 scripts/demo.sh trains the MLP of the paper, which takes
# several times as long; further arguments go to ns-train.
# Called again with the same photos, it takes the poses that it found. METHOD and DOWNSCALE (1, 2, 4 or 8: the copies of the photos to train
# on) choose otherwise than the doctor.
set -euo pipefail

photos=""
if [ "${1:-}" = --photos ]; then
  [ -e "${2:-}" ] || { printf '[demo] error: --photos %s: does not exist; give a folder of photos or a video\n' "${2:-}" >&2 && exit 1; }
  photos="$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")"
  shift 2
fi

if [ -n "$photos" ]; then
  path=spiral # an orbit would show the far side of what was photographed from one
  STEPS="${STEPS:-3000}" # training steps
  RESOLUTION="${RESOLUTION:-240}"
else
  path=orbit
  METHOD="${METHOD:-nerf-hash-custom}"
  STEPS="${STEPS:-2000}"
  RESOLUTION="${RESOLUTION:-200}" # width and height of the pictures, in pixels
fi
FRAMES="${FRAMES:-48}" # pictures of the video

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
"$root/scripts/setup.sh" ${photos:+process}
cd "$root"
export PATH="$root/.venv/bin:$PATH" PYTHONWARNINGS="${PYTHONWARNINGS:-ignore}"

timestamp="$(date +%Y-%m-%d_%H%M%S)" # a run of its own each time: nothing is overwritten
step() { printf '\n[demo] %s\n' "$*"; }
begin=$SECONDS

if [ -n "$photos" ]; then
  name="$(basename "${photos%.*}")"
  dataset="outputs/photos/$name"
  step "poses of $photos"
  nerf-plugins process-data "$photos" --output-dir "$dataset"
  advice="$(nerf-plugins doctor "$dataset" --json | python -c \
    'import json, shlex, sys
commands = (advice["command"] for advice in json.load(sys.stdin)["advice"])
print(*shlex.split(next(command for command in commands if command.startswith("ns-train"))), sep="\n")')"
  words=() # ns-train METHOD --data DATASET DATAPARSER OPTIONS
  while IFS= read -r word; do words+=("$word"); done <<<"$advice"
  METHOD="${METHOD:-${words[1]}}"
  options=("$@" "${words[@]:2}" ${DOWNSCALE:+--downscale-factor "$DOWNSCALE"})
else
  name=demo
  options=("$@" demo-data --resolution "$RESOLUTION")
fi
run="outputs/$name/$METHOD/$timestamp"

step "1/3 training: $STEPS steps"
ns-train "$METHOD" --output-dir outputs --experiment-name "$name" --timestamp "$timestamp" --vis tensorboard \
  --max-num-iterations "$STEPS" --steps-per-eval-batch "$STEPS" --steps-per-eval-image "$STEPS" \
  "${options[@]}" </dev/null

step "2/3 evaluation on the test views"
ns-eval --load-config "$run/config.yml" --output-path "$run/eval.json" </dev/null

step "3/3 $path: $FRAMES pictures"
nerf-plugins camera-path "$path" --load-config "$run/config.yml" --output-path "$run/$path.json" \
  --frames "$FRAMES" --height "$RESOLUTION"
ns-render camera-path --load-config "$run/config.yml" --camera-path-filename "$run/$path.json" \
  --output-path "$run/$path.mp4" </dev/null

psnr="$(python -c 'import json, sys; print("%.2f" % json.load(open(sys.argv[1]))["results"]["psnr"])' "$run/eval.json")"
step "done in $((SECONDS - begin)) s"
printf 'PSNR        %s dB on the test views\n' "$psnr"
[ -z "$photos" ] || printf 'dataset     %s (look at capture.png)\n' "$root/$dataset"
printf 'checkpoint  %s\n' "$root/$run"/nerfstudio_models/*.ckpt
printf 'metrics     %s\n' "$root/$run/eval.json"
printf 'video       %s\n' "$root/$run/$path.mp4"
