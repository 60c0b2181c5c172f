"""What is read of a run's folder."""

import os
import zipfile
from pathlib import Path

import pytest

from nerf_plugins.runs.folder import RunFolder


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
