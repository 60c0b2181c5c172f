"""Data that the chosen dataparser cannot read: the message says which one can, or which file is at fault."""

import json
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.data.layouts import LAYOUTS
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.errors import InputError

POSE = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 1.0]]


def load(config: DataParserConfig) -> NerfDataManager:
    return NerfDataManager(NerfDataManagerConfig(dataparser=config))


def config_of(name: str, data: Path) -> DataParserConfig:
    return type(all_dataparsers[name])(data=data)


def write_images(folder: Path, names: list[str]) -> list[dict]:
    for name in names:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(path)
    return [{"file_path": name, "transform_matrix": POSE} for name in names]


def write_blender(folder: Path) -> Path:
    for split in ("train", "val", "test"):
        frames = write_images(folder, [f"./{split}/r_{i}" for i in range(3)])
        (folder / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))
    return folder


def write_nerfstudio(folder: Path) -> Path:
    frames = write_images(folder, [f"images/{i:02d}" for i in range(12)])
    for i, frame in enumerate(frames):
        frame["file_path"] += ".png"
        frame["transform_matrix"] = [*POSE[:2], [0.0, 0.0, 1.0, 4.0 + i], POSE[3]]
    size = {"fl_x": 40.0, "fl_y": 40.0, "cx": 16.0, "cy": 16.0, "w": 32, "h": 32}
    (folder / "transforms.json").write_text(json.dumps({**size, "frames": frames}))
    return folder


@pytest.mark.parametrize("given", LAYOUTS)
@pytest.mark.parametrize(
    ("there", "mark"), [(name, mark) for name, marks in LAYOUTS.items() for mark in marks], ids=lambda value: value
)
def test_the_dataparser_that_fits_is_named(tmp_path: Path, given: str, there: str, mark: str):
    (tmp_path / mark).touch()
    with pytest.raises(Exception) as error:  # noqa: PT011 - of the right dataparser too: the file is empty
        load(config_of(given, tmp_path))
    is_hinted = f"{mark} is there: give {there} instead" in str(error.value)
    assert is_hinted == (given != there)
    if given != there:
        assert isinstance(error.value, InputError)
        assert f"{given} finds no {LAYOUTS[given][0]}" in str(error.value)


@pytest.mark.parametrize("given", ["colmap", "dnerf-data", "instant-ngp-data"])
def test_a_dataparser_whose_layout_we_do_not_know_is_heard_first(tmp_path: Path, given: str):
    write_blender(tmp_path)
    with pytest.raises(
        InputError, match=rf"{given} fails \(.+\), but transforms_train.json is there: give blender-data"
    ):
        load(config_of(given, tmp_path))


def test_two_that_fit_are_both_named(tmp_path: Path):
    for mark in ("transforms.json", "poses_bounds.npy"):
        (tmp_path / mark).touch()
    with pytest.raises(InputError, match="give nerfstudio-data or llff-data instead"):
        load(config_of("blender-data", tmp_path))


def test_what_demo_data_says_itself_stays(tmp_path: Path):
    write_blender(tmp_path)
    with pytest.raises(InputError, match="resolution 1"):
        load(DemoDataParserConfig(data=tmp_path, resolution=1))


def test_an_error_after_reading_says_nothing_of_layouts(tmp_path: Path):
    write_blender(tmp_path)
    train = json.loads((tmp_path / "transforms_train.json").read_text())
    for frame in train["frames"]:
        frame["time"] = 0.0
    (tmp_path / "transforms_train.json").write_text(json.dumps(train))
    (tmp_path / "transforms_val.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"transforms_val\.json"):
        load(config_of("dnerf-data", tmp_path))


def test_a_folder_that_nothing_fits_keeps_its_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load(BlenderDataParserConfig(data=tmp_path))


@pytest.mark.parametrize("name", ["blender-data", "nerfstudio-data", "colmap"])
def test_a_folder_that_is_not_there(tmp_path: Path, name: str):
    with pytest.raises(InputError, match=r"--data .*nowhere does not exist"):
        load(config_of(name, tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frames": [', "Expecting value"),
        ('{"frames": []}', "IndexError"),
        ('{"camera_angle_x": 0.7}', "KeyError 'frames'"),
    ],
    ids=["no JSON", "no frames", "no list"],
)
def test_a_file_that_says_too_little(tmp_path: Path, text: str, message: str):
    write_blender(tmp_path)
    (tmp_path / "transforms_train.json").write_text(text)
    with pytest.raises(InputError, match=f"blender-data cannot read it.*{message}"):
        load(BlenderDataParserConfig(data=tmp_path))


def spoil(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "a header": whole[:10], "empty": b"", "text": b"x" * 99}[kind]
    )


@pytest.mark.parametrize("kind", ["truncated", "a header", "empty", "text"])
@pytest.mark.parametrize("image", ["train/r_0", "train/r_1", "val/r_0"])
def test_a_broken_image_of_blenders_is_named(tmp_path: Path, image: str, kind: str):
    spoil(write_blender(tmp_path) / f"{image}.png", kind)
    with pytest.raises(InputError, match=rf"image .*{image}\.png cannot be read"):
        read_all(BlenderDataParserConfig(data=tmp_path))


@pytest.mark.parametrize("image", ["train/r_0", "train/r_1"])
def test_a_missing_image_of_blenders_is_named(tmp_path: Path, image: str):
    (write_blender(tmp_path) / f"{image}.png").unlink()
    with pytest.raises(InputError, match=rf"image .*{image}\.png .*does not exist"):
        load(BlenderDataParserConfig(data=tmp_path))


@pytest.mark.parametrize("kind", ["truncated", "a header", "empty", "text"])
@pytest.mark.parametrize("image", ["images/00", "images/01"])
def test_a_broken_image_of_nerfstudios_is_named(tmp_path: Path, image: str, kind: str):
    spoil(write_nerfstudio(tmp_path) / f"{image}.png", kind)
    with pytest.raises(InputError, match=rf"image .*{image}\.png.*: replace it or remove its frame"):
        read_all(NerfstudioDataParserConfig(data=tmp_path))


def read_all(config: DataParserConfig) -> None:
    manager = load(config)
    for dataset in (manager.train_dataset, manager.eval_dataset):
        for i in range(len(dataset)):
            dataset[i]
