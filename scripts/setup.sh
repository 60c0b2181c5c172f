#!/usr/bin/env bash
# Makes .venv at the root of the repository and installs the package into it, with pip, without compiler or sudo.
#
#   scripts/setup.sh          the package
#   scripts/setup.sh dev      and what the tests need
#
# It is quick when the last install succeeded and pyproject.toml is still the same; else it installs, or mends what is there.
# PYTHON=/path/to/python chooses the interpreter of a new .venv.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$root/.venv"
stamp="$venv/installed" # written after a successful install: the checksum of pyproject.toml, the place, the extras
extras="${1:-}"

say() { printf '[setup] %s\n' "$*"; }
fail() {
  printf '[setup] error: %s\n' "$*" >&2
  exit 1
}

checksum() { cksum <"$root/pyproject.toml"; }
is_supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }
pip() { "$venv/bin/python" -m pip "$@"; }
has_pip() {
  pip --version >/dev/null 2>&1 || { "$venv/bin/python" -m ensurepip >/dev/null 2>&1 && pip --version >/dev/null 2>&1; }
}

# The packages whose installation was cut short: pip takes them for installed, but files of theirs are missing.
incomplete() {
  "$venv/bin/python" - <<'END'
from importlib.metadata import distributions

for package in distributions():
    files, name = package.files, package.metadata["Name"]
    cut = files is None or any(file.suffix != ".pyc" and not file.locate().exists() for file in files)
    if name and cut and name != "nerf-plugins":
        print(f"{name}=={package.version}")
END
}

find_python() {
  local candidate without_venv=""
  # nerfstudio's dependencies have wheels for the first four; whatever python3 is comes last.
  local candidates=(python3.12 python3.11 python3.10 python3.13 python3 python)
  if [ -n "${PYTHON:-}" ]; then
    is_supported "$PYTHON" || fail "PYTHON=$PYTHON is no Python >= 3.10"
    candidates=("$PYTHON")
  fi
  for candidate in "${candidates[@]}"; do
    is_supported "$candidate" || continue
    if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
    without_venv="${without_venv:-$candidate}"
  done
  [ -z "$without_venv" ] || fail "$without_venv lacks the venv module (Debian, Ubuntu: apt-get install python3-venv)"
  fail "no Python >= 3.10 found: install one, or name it with PYTHON=/path/to/python"
}

is_installed() {
  [ -f "$stamp" ] && [ -x "$venv/bin/ns-train" ] && [ -x "$venv/bin/nerf-plugins" ] || return 1
  local sum place have
  { read -r sum && read -r place && read -r have; } <"$stamp" || return 1
  [ "$sum" = "$(checksum)" ] && [ "$place" = "$root" ] || return 1
  [ -z "$extras" ] || [ "$have" = "[$extras]" ]
}

# Two runs at once would install over each other. The lock is on the directory, so no file is left behind.
if command -v flock >/dev/null 2>&1; then
  exec 9<"$root"
  flock -n 9 || { say "waiting for another set-up of this directory" && flock 9; }
fi

if is_installed; then
  exit 0
fi

moved=no # an environment cannot be moved: its commands name their interpreter
if [ -f "$stamp" ] && [ "$(sed -n 2p "$stamp")" != "$root" ]; then
  moved=yes
fi
if [ "$moved" = yes ] || ! has_pip; then
  if [ -L "$venv" ] && [ -n "$(ls -A "$venv/" 2>/dev/null)" ]; then # making it anew would empty what may be another checkout's
    fail "$venv is a link to $(readlink "$venv"), which was not made for this checkout: remove the link"
  fi
  python="$(find_python)"
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi
rm -f "$stamp"

cut="$(incomplete | tr '\n' ' ')"
if [ -n "$cut" ]; then
  say "mending $cut"
  # shellcheck disable=SC2086 # one word each
  pip install --no-deps --ignore-installed $cut
fi

target="$root${extras:+[$extras]}"
say "pip install -e ${target/#"$root"/.} (the first time torch and nerfstudio are downloaded: several minutes)"
pip install -e "$target"
"$venv/bin/python" -c 'from nerf_plugins.doctor.libraries import print_missing_libraries; print_missing_libraries()' || true
printf '%s\n' "$(checksum)" "$root" "[$extras]" >"$stamp"
say "done"
