"""A run whose data are refused leaves no folder; nothing else is ever taken away."""

import copy
from pathlib import Path

import pytest
from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.scripts.train import main

from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.engine.new_runs import new_run, taken_back_if_refused
from nerf_plugins.engine.trainer import PluginTrainerConfig
from nerf_plugins.methods import nerf_hash


def config_of(folder: Path, data: Path) -> PluginTrainerConfig:
    config = copy.deepcopy(nerf_hash.method.config)
    assert isinstance(config, PluginTrainerConfig)
    config.output_dir, config.experiment_name, config.timestamp = folder, "e", "t"
    config.vis, config.machine.device_type, config.data = "tensorboard", "cpu", data
    config.pipeline.datamanager.dataparser = copy.deepcopy(all_dataparsers["nerfstudio-data"])
    return config


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "transforms.json").write_text("{")
    return tmp_path / "data"


def test_wrong_data_leave_no_run(tmp_path: Path, unreadable: Path):
    """As ns-train goes."""
    for data in (tmp_path / "nowhere", unreadable):
        with pytest.raises(SystemExit, match=r"^nerf-plugins: "):
            main(config_of(tmp_path / "out", data))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_with_its_list_of_images_and_beside_other_runs(tmp_path: Path, unreadable: Path):
    config = config_of(tmp_path / "out", unreadable)
    (tmp_path / "split.json").write_text('{"train": [0]}')
    config.pipeline.datamanager.subset = SubsetConfig(split_file=tmp_path / "split.json")
    other = config.get_base_dir().with_name("other")
    other.mkdir(parents=True)
    with pytest.raises(SystemExit):
        main(config)
    assert list(other.parent.iterdir()) == [other]
    assert (tmp_path / "split.json").exists()


def test_a_folder_that_was_there_stays(tmp_path: Path, unreadable: Path):
    config = config_of(tmp_path / "out", unreadable)
    config.get_base_dir().mkdir(parents=True)
    with pytest.raises(SystemExit):
        main(config)
    assert (config.get_base_dir() / "config.yml").exists()


def begun(folder: Path) -> Path:
    run = folder / "e" / "m" / "t"
    with new_run(run):
        run.mkdir(parents=True)
        (run / "config.yml").write_text("a: 1")
    return run


def add(run: Path) -> None:
    (run / "notes.txt").touch()


def change(run: Path) -> None:
    (run / "config.yml").write_text("a: 2")


def make_models(run: Path) -> None:
    (run / "nerfstudio_models").mkdir()


@pytest.mark.parametrize("do", [add, change, make_models])
def test_what_came_to_it_keeps_it(tmp_path: Path, do):
    run = begun(tmp_path)
    do(run)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(SystemExit), taken_back_if_refused(run):
        raise SystemExit("refused")
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_another_end_keeps_it(tmp_path: Path, error: type[BaseException]):
    run = begun(tmp_path)
    with pytest.raises(error), taken_back_if_refused(run):
        raise error
    assert (run / "config.yml").exists()


def test_a_training_that_began_keeps_it(tmp_path: Path):
    run = begun(tmp_path)
    with taken_back_if_refused(run):
        pass
    with pytest.raises(SystemExit), taken_back_if_refused(run):
        raise SystemExit("another one, of the same name")
    assert (run / "config.yml").exists()


def test_what_another_process_wrote_stays(tmp_path: Path):
    (tmp_path / "config.yml").touch()
    with pytest.raises(SystemExit), taken_back_if_refused(tmp_path):
        raise SystemExit("refused")
    assert (tmp_path / "config.yml").exists()
