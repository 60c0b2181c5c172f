"""A sweep on a Ray cluster of two machines of one core each; both are this one."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ray = pytest.importorskip("ray", reason="the extra sweep-ray is not installed")

BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
RECIPE = {
    "methods": ["nerf-hash-custom"],
    "dataparser": "demo-data",
    "dataparser_options": ["resolution=16", "num_train=6", "num_val=1", "num_test=1"],
    "options": {
        "pipeline.model.field.encoding.log2_table_size": 10,
        "pipeline.model.occupancy.grid.resolution": 16,
        "pipeline.model.occupancy.grid.warmup_steps": 4,
        "pipeline.model.occupancy.budget.samples_per_batch": 256,
    },
    "n_images": [4],
    "seeds": [0, 1],
    "steps": [4],
}


@contextmanager
def machine(log: Path, *arguments: str) -> Iterator[None]:
    """A machine of the cluster, once it has started; gone with the block."""
    common = ["--num-cpus=1", "--num-gpus=0", "--object-store-memory=100000000", "--block"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [BIN / "ray", "start", *arguments, *common],
            env=ENVIRONMENT,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 120.0
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)  # it ends the processes that it started
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster of two machines."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    address = f"{ray.util.get_node_ip_address()}:{port}"
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    with machine(tmp_path / "head.log", *head), machine(tmp_path / "second.log", f"--address={address}"):
        yield address


def test_runs_are_trained_on_both_machines_at_the_same_time(cluster: str, tmp_path: Path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "output_dir": str(tmp_path / "out")}))
    command = [BIN / "nerf-plugins", "sweep", recipe, "--workers=ray", f"--ray-address={cluster}"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    with (tmp_path / "out" / "tiny" / "sweep.csv").open() as file:
        assert [(row["seed"], row["state"]) for row in csv.DictReader(file)] == [("0", "done"), ("1", "done")]

    logs = list(tmp_path.glob("out/tiny/nerf-hash-custom/*/train-*.log"))
    first, second = sorted((float(log.read_text().split(":", 1)[0]), log.stat().st_mtime) for log in logs)
    assert second[0] < first[1]  # a run takes one core, and each machine has one
