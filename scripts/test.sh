#!/usr/bin/env bash
# Sets up .venv and runs every check: ruff, pyright, pytest. Arguments go to pytest: scripts/test.sh -k march
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
"$root/scripts/setup.sh" dev
cd "$root"
export PATH="$root/.venv/bin:$PATH"

failed=()
check() {
  printf '\n[test] %s\n' "$*"
  "$@" </dev/null || failed+=("$*")
}

check ruff check .
check ruff format --check .
check pyright
[ ${#failed[@]} -eq 0 ] || printf '\n[test] failed: %s\n' "${failed[@]}" >&2

# Last, so that its summary, with what was skipped and why, is the end of the output.
check pytest -rs "$@"
[ ${#failed[@]} -eq 0 ]
