"""The cameras that decide what of a truth could be known: those that a model was trained with, in the input data's world."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from nerf_plugins.dataparsers.demo import FIELD_OF_VIEW, DemoDataParserConfig, split_cameras
from nerf_plugins.export.masks import to_camera
from nerf_plugins.runs.loading import config_file, read_config
from nerf_plugins.scenes import Camera


def demo_cameras(views: int) -> list[Camera]:
    """The training cameras of demo-data; the pictures' resolution does not matter for what they see."""
    size = 1024
    focal = 0.5 * size / np.tan(0.5 * FIELD_OF_VIEW)
    poses = split_cameras(DemoDataParserConfig(num_train=views))["train"]
    return [Camera.centred(pose, focal, size, size) for pose in poses]


def training_cameras(load_config: Path) -> list[Camera]:
    """Those of a run's dataset; its checkpoint is not looked at.

    Raises:
        InputError: the run's file or its data cannot be read, or a camera is no perspective one.
    """
    manager: Any = read_config(config_file(load_config)).pipeline.datamanager
    if manager.data is not None:
        manager.dataparser.data = manager.data
    with redirect_stdout(sys.stderr):  # what is read is said there, beside a program's JSON
        outputs = manager.dataparser.setup().get_dataparser_outputs("train")
    cameras = outputs.cameras
    cameras.camera_to_worlds = outputs.transform_poses_to_original_space(cameras.camera_to_worlds, "opengl")
    return [to_camera(cameras[i]) for i in range(len(cameras))]
