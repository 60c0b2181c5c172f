"""Sweeps of real, tiny runs, as processes: killed, failing, and by Ray."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

TINY = {
    "methods": ["nerf-hash-custom"],
    "dataparser": "demo-data",
    "dataparser_options": ["resolution=16", "num_train=6", "num_val=1", "num_test=1"],
    "options": {
        "pipeline.model.field.encoding.log2_table_size": 10,
        "pipeline.model.occupancy.grid.resolution": 16,
        "pipeline.model.occupancy.grid.warmup_steps": 4,
        "pipeline.model.occupancy.budget.samples_per_batch": 256,
    },
}


def command(folder: Path, *arguments: str, **recipe) -> list[str]:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, "output_dir": str(folder / "out"), **recipe}))
    return [str(Path(sys.executable).with_name("nerf-plugins")), "sweep", str(path), *arguments]


def rows(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "out" / "tiny" / "sweep.csv").open() as file:
        return [tuple(row[k] for k in ("run", "n_images", "seed", "steps", "state")) for row in csv.DictReader(file)]


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for child in children for c in (child, *descendants(int(child)))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds: float = 200.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError("it did not come about")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_sweep_leaves_no_process_and_goes_on_where_it_was(tmp_path):
    grid = {"n_images": [2, 3, 4], "seeds": [0, 1], "steps": [5, 60]}
    arguments = command(tmp_path, **grid)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        second = wait_for(
            lambda: list(tmp_path.glob("out/tiny/*/n_images=2-seed1-*/nerfstudio_models/step-000000004.ckpt"))
        )
        children = descendants(process.pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert children
    wait_for(lambda: not any(map(is_alive, children)), 10)
    assert [path.name for path in second[0].parent.iterdir()] == ["step-000000004.ckpt"]
    assert [row[-1] for row in rows(tmp_path)][:4] != ["done"] * 4

    first = next(tmp_path.glob("out/tiny/*/n_images=2-seed0-*/nerfstudio_models/step-000000059.ckpt"))
    written = first.stat().st_mtime_ns
    again = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stdout + again.stderr
    wanted = [(str(n), str(seed), str(steps), "done") for n in (2, 3, 4) for seed in (0, 1) for steps in (5, 60)]
    assert [row[1:] for row in rows(tmp_path)] == wanted
    assert first.stat().st_mtime_ns == written  # finished before
    run = second[0].parent.parent
    assert "training goes on with step 5" in " ".join((run / "train-001.log").read_text().split())
    assert sorted(path.name for path in second[0].parent.iterdir()) == ["step-000000004.ckpt", "step-000000059.ckpt"]


FAILING = {"n_images": [2, 3, 99], "seeds": [0], "steps": [4, 8]}  # there are 6 images
FAILING_STATES = [("2", "done"), ("2", "done"), ("3", "done"), ("3", "done"), ("99", "failed"), ("99", "failed")]


@pytest.fixture(scope="module")
def local_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    result = subprocess.run(command(folder, "--jobs", "2", **FAILING), capture_output=True, text=True, timeout=300)
    assert result.returncode == 1, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("failed"))
    assert "n_images=99-seed0" in line
    assert "99" in line.split("exit code", 1)[1]  # the last line of its log
    return rows(folder)


def test_a_failed_run_does_not_stop_the_rest(local_rows):
    assert [(row[1], row[-1]) for row in local_rows] == FAILING_STATES
