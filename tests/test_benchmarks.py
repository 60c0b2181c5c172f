"""The benchmark scripts run: their output is looked at, their times are not."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_bench_march():
    output = run("bench_march.py", "--rays=1000", "--resolution=32", "--step-size=0.05", "--repeats=2")
    assert "ours (Warp)" in output
    assert "composite + backward" in output


def test_bench_train(tmp_path: Path):
    output = run(
        "bench_train.py",
        "--dataparser=demo-data",
        f"--data={tmp_path}",
        "--dataparser-options",
        "resolution=16",
        "num_train=4",
        "num_test=1",
        "num_val=1",
        "--methods",
        "vanilla-nerf-custom",
        "--seconds=1",
        "--eval-images=1",
        "--set",
        "model.field.W=32",
        "model.occupancy.grid.resolution=16",
    )
    assert "vanilla-nerf-custom" in output
    assert "PSNR" in output
