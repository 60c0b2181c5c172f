"""What messages on a path that does not exist say may have been meant, wherever a path is given."""

from pathlib import Path

import pytest

from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.processing import process_data
from nerf_plugins.checkup.source import open_source
from nerf_plugins.engine.pipeline import NerfPipelineConfig
from nerf_plugins.errors import near_path
from nerf_plugins.runs.loading import read_config
from nerf_plugins.runs.search import find_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Stump photos" / "images").mkdir(parents=True)
    (tmp_path / "fern").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Stump photo", "Stump photos"),
        ("stump_photos", "Stump photos"),
        ("Stump phtos/images", "Stump photos/images"),
        ("Stump photos/image", "Stump photos/images"),
        ("Stump phtos/masks", None),  # not there either
        ("lego", None),
        ("lego/images/x", None),
    ],
)
def test_the_nearest_name_that_is_there(folder: Path, given: str, meant: str | None):
    assert near_path(folder / given) == ("" if meant is None else f" (did you mean {folder / meant}?)")


def test_relative_paths_stay_so(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    assert near_path(Path("ferm")) == " (did you mean fern?)"


def test_a_link_that_leads_nowhere_is_not_meant(folder: Path):
    (folder / "lego").symlink_to(folder / "away")
    assert near_path(folder / "lego") == ""
    assert near_path(folder / "legos") == ""


def train(data: Path) -> None:
    config = NerfPipelineConfig()
    config.datamanager.data = data
    config.setup(device="cpu")


@pytest.mark.parametrize(
    "take",
    [
        open_source,
        lambda path: process_data(ProcessDataOptions(data=path, output_dir=path.parent / "out")),
        train,
        lambda path: find_runs([path]),
        lambda path: read_config(path),
    ],
    ids=["doctor", "process-data", "ns-train --data", "metrics", "--load-config"],
)
def test_every_command_names_it(folder: Path, take):
    with pytest.raises((ValueError, SystemExit), match=r"\(did you mean .*fern\?\)") as error:
        take(folder / "ferm")
    assert "\n" not in str(error.value)
