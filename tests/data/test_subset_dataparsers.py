"""Subsets of what nerfstudio's own dataparser finds: all of it follows the images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.data.subset import SubsetConfig

N = 10


def write_dataset(folder: Path) -> Path:
    """nerfstudio's format with masks, a focal length for each image, and pixels that say which image it is."""
    frames = []
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for i in range(N):
        Image.fromarray(np.full((6, 8, 3), 10 * i, np.uint8)).save(folder / "images" / f"f_{i}.png")
        Image.fromarray(np.full((6, 8), 255, np.uint8)).save(folder / "masks" / f"f_{i}.png")
        angle = 2 * np.pi * i / N
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[:3, 3] = 3.0 * pose[:3, 2] + [0, 0.01 * i, 0]
        names = {"file_path": f"images/f_{i}.png", "mask_path": f"masks/f_{i}.png"}
        intrinsics = {"fl_x": 10.0 + i, "fl_y": 10.0, "cx": 4.0, "cy": 3.0, "w": 8, "h": 6}
        frames.append({**names, **intrinsics, "transform_matrix": pose.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    return folder


def make_manager(folder: Path, subset: SubsetConfig) -> NerfDataManager:
    parser = NerfstudioDataParserConfig(data=folder, eval_mode="interval", eval_interval=3)  # 0, 3, 6, 9 are held out
    return NerfDataManagerConfig(dataparser=parser, subset=subset).setup(device="cpu", test_mode="val")


def numbers(dataset) -> list[int]:
    found = [int(path.stem[2:]) for path in dataset.image_filenames]
    assert [int(f) - 10 for f in dataset.cameras.fx] == found
    assert [int(path.stem[2:]) for path in dataset._dataparser_outputs.mask_filenames] == found
    assert [round(float(dataset[i]["image"][0, 0, 0]) * 25.5) for i in range(len(found))] == found
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("nerfstudio"))


def test_a_number_of_images(folder: Path):
    manager = make_manager(folder, SubsetConfig(n_images=3))
    assert (numbers(manager.train_dataset), numbers(manager.eval_dataset)) == ([1, 5, 8], [0, 3, 6, 9])
    assert manager.train_image_names == ["images/f_1.png", "images/f_5.png", "images/f_8.png"]


def test_names_of_images_where_the_data_are_a_file(folder: Path):
    assert make_manager(folder / "transforms.json", SubsetConfig(n_images=3)).train_image_names[0] == "images/f_1.png"


def test_lists_exchange_images_between_splits_in_one_world(folder: Path, tmp_path: Path):
    path = tmp_path / "lists.json"
    path.write_text(json.dumps({"train": ["f_9", 0, "images/f_4.png"], "test": [1]}))
    whole, listed = make_manager(folder, SubsetConfig()), make_manager(folder, SubsetConfig(split_file=path))
    assert (numbers(listed.train_dataset), numbers(listed.eval_dataset)) == ([9, 0, 4], [1])
    poses = listed.train_dataset.cameras.camera_to_worlds
    assert torch.equal(poses[1], whole.eval_dataset.cameras.camera_to_worlds[0])
    assert torch.equal(listed.scene_from_world, whole.scene_from_world)
