"""What `nerf-plugins process-data` says at its end: the training that the doctor names. Datasets are written, none is found here."""

import shlex
from pathlib import Path

import pytest

from nerf_plugins import cli
from nerf_plugins.checkup import report
from nerf_plugins.process_data import command
from tests.data.datasets import rewrite, write_transforms
from tests.test_docs import check_ns_train


def end_of(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The last line on stderr of a call that has made the folder."""
    monkeypatch.setattr(command, "process_data", lambda _: folder)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["process-data", "photos", "--output-dir", str(folder), *options])
    said = capsys.readouterr()
    assert exit_.value.code == 0
    assert said.out == f"{folder}\n"
    lines = said.err.splitlines()
    assert lines[-2] == f"Look at {folder / 'capture.png'}; then"
    check_ns_train(shlex.split(lines[-1])[1:])
    return lines[-1].strip()


def large(folder: Path) -> None:
    """Photos that a CPU takes smaller copies of."""
    meta = write_transforms(folder)
    rewrite(folder, meta | {"w": 960, "h": 720, "cx": 480, "cy": 360})
    for factor in (2, 4):
        (folder / f"images_{factor}").mkdir()


def moving(folder: Path) -> None:
    meta = write_transforms(folder)
    for k, frame in enumerate(meta["frames"]):
        frame["time"] = k / 11
    rewrite(folder, meta)


@pytest.mark.parametrize(
    ("write", "method", "options"),
    [
        (large, "photos-nerf-custom", "nerfstudio-data --center-method focus --downscale-factor 4"),
        (moving, "moving-nerf-custom", "timed-data --center-method focus"),
    ],
)
def test_it_is_the_command_that_the_doctor_names(tmp_path, monkeypatch, capsys, write, method: str, options: str):
    monkeypatch.setattr("nerf_plugins.checkup.advice.default_device", lambda: "cpu")
    data = tmp_path / "été [x]"
    write(data)
    said = end_of(data, monkeypatch, capsys)
    assert said == report.examine(data, tmp_path / "cameras.png").advice[0].command
    assert said == f"ns-train {method} --data {shlex.quote(str(data))} {options}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "ns-train photos-nerf-custom --data {} nerfstudio-data"),
        (("--moving",), "ns-train moving-nerf-custom --data {} timed-data"),
    ],
)
def test_what_cannot_be_read_still_has_a_command(tmp_path, monkeypatch, capsys, options, expected: str):
    (tmp_path / "transforms.json").write_text("{")
    assert end_of(tmp_path, monkeypatch, capsys, *options) == expected.format(tmp_path)


def test_a_dry_run_names_no_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "process_data", lambda _: tmp_path / "out")
    with pytest.raises(SystemExit) as exit_:
        cli.main(["process-data", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--dry-run"])
    assert exit_.value.code == 0
    assert capsys.readouterr() == ("", "")
