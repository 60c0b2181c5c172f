"""What is read of a run's folder and shown of it."""

import os
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nerf_plugins.errors import InputError
from nerf_plugins.runs.folder import RunFolder
from nerf_plugins.sweep.command import Sweep
from nerf_plugins.sweep.planned_runs import plan
from nerf_plugins.sweep.recipe import read_recipe
from nerf_plugins.sweep.workers import find_ns_train


def write_checkpoint(folder: RunFolder, steps: int) -> Path:
    path = folder.checkpoint(steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    zipfile.ZipFile(path, "w").close()
    return path


def write_log(folder: RunFolder, text: str, ended: float) -> None:
    path = folder.next_log()
    path.write_text(text)
    os.utime(path, (ended, ended))


def test_a_log_without_a_beginning_counts_nothing(tmp_path: Path):
    folder = RunFolder(tmp_path)
    os.utime(write_checkpoint(folder, 10), (1000.0, 1000.0))
    write_log(folder, "900.000: ns-train x\n", 930.0)
    write_log(folder, "", 940.0)
    write_log(folder, "95", 950.0)
    write_log(folder, "960.000: ns-train x\nmore\n", 1100.0)
    assert folder.seconds(10) == pytest.approx(30.0 + 40.0)
    assert folder.seconds(20) is None
    write_log(folder, "", 1200.0)
    assert folder.last_line() == "its process left no log"


def test_the_end_of_a_long_log_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = RunFolder(tmp_path)
    write_log(
        folder,
        "1.000: ns-train x\n" + "9999 (99.00%)  early\n" * 100_000 + "\x1b[1m70 (70.00%)\x1b[0m  ü\n│ why │\n\n",
        2.0,
    )
    monkeypatch.setattr(Path, "read_text", None)
    assert folder.last_line() == "why"
    write_log(folder, "1.000: ns-train x\n60 (60.00%)\r" + "x" * 100 + "\n\x1b[1m70 (70.00%)\x1b[0m  1 s\nend\n", 2.0)
    assert folder.last_step() == 70


def test_the_table_looks_again_only_at_active_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = tmp_path / "x.yaml"
    values = {"methods": ["nerf-hash-custom"], "steps": [10], "seeds": [0, 1], "output_dir": str(tmp_path / "out")}
    recipe.write_text(yaml.safe_dump(values))
    runs = plan(read_recipe(recipe))
    sweep = Sweep(read_recipe(recipe), runs, Console(quiet=True))
    sweep.active = {runs[0].label}

    def states() -> list[str]:
        return list(sweep.table().columns[-2].cells)  # type: ignore[arg-type]

    assert states() == ["waiting", "missing"]
    read, reached = [], RunFolder.reached
    monkeypatch.setattr(RunFolder, "reached", lambda folder: read.append(folder) or reached(folder))
    write_checkpoint(runs[0].folder, 10)
    assert states() == ["done", "missing"]
    sweep.active.clear()
    assert states() == states() == ["done", "missing"]
    assert runs[1].folder not in read


def test_ns_train_is_looked_for_beside_python_and_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = tmp_path / "bin" / "ns-train"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert find_ns_train() == str(Path(sys.executable).with_name("ns-train"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_ns_train() == str(other)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"ns-train is neither in .* nor on the PATH"):
        find_ns_train()
