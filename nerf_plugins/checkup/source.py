"""What a path holds: a dataset that some dataparser reads, photos without poses, or a video."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerfstudio.configs.dataparser_configs import all_dataparsers

from nerf_plugins.captures.folders import refuse_dataset
from nerf_plugins.captures.photos import Photo, read_folder
from nerf_plugins.captures.video import Footage, is_video, read_footage
from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.data.layouts import layouts
from nerf_plugins.data.transforms import read_transforms
from nerf_plugins.errors import InputError, near_path

_WITH_TIMES = {"nerfstudio-data": "timed-data", "blender-data": "dnerf-data"}
"""Who reads the times that the frames of a layout may have."""
_LAST = "instant-ngp-data"
"""Reads the same file as nerfstudio-data, but leaves out the images that it does not find."""


class UnreadDataset(NerfDataManager):
    """Training's data manager, with all of its checks, before it reads the images into memory."""

    def setup_train(self) -> None:
        """Nothing: the images are looked at one by one."""

    def setup_eval(self) -> None:
        """Nothing."""

    def _warn_of_cameras(self) -> None:
        """Nothing: the report says it."""


@dataclass(frozen=True)
class Posed:
    """A dataset.

    Attributes:
        data: where it is.
        dataparser: that reads it.
        manager: with the training images and those held out.
    """

    data: Path
    dataparser: str
    manager: UnreadDataset


@dataclass(frozen=True)
class Unposed:
    """Photos without poses."""

    data: Path
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Video:
    """A video, and what its header says."""

    data: Path
    footage: Footage


def open_source(data: Path) -> Posed | Unposed | Video:
    """Finds out what there is and reads all but the pixels.

    Raises:
        InputError: training would refuse it, or there is nothing that is known.
    """
    if not _there(data):
        raise InputError(
            f"{data}: does not exist{near_path(data)}; give a dataset's folder, a folder of photos or a video"
        )
    dataparser = find_dataparser(data)
    if dataparser is not None:
        return Posed(data, dataparser, open_dataset(data, dataparser))
    if data.is_file():
        if not is_video(data):
            raise InputError(f"{data}: is neither a dataset's .json nor a video; give a folder")
        return Video(data, read_footage(data))
    if find_dataparser(data.parent) is not None:
        raise InputError(f"{data}: are the photos of a dataset; give its folder {data.parent}")
    refuse_dataset(data)
    return Unposed(data, read_folder(data))


def _there(data: Path) -> bool:
    """Whether a path exists and may be looked into.

    Raises:
        InputError: it may not.
    """
    try:
        if data.is_dir():
            next(data.iterdir(), None)
        return data.exists()
    except OSError as e:
        raise InputError(f"{data}: cannot be read ({e.strerror or e})") from e


def find_dataparser(data: Path) -> str | None:
    """The dataparser whose layout the data have, by their files; the one that reads times where the frames have some.

    Raises:
        InputError: a file of frames is broken.
    """
    if data.suffix == ".json" and data.is_file():
        return _timed("nerfstudio-data", data)
    found = {name: data / mark for name, marks in layouts().items() for mark in marks if os.path.lexists(data / mark)}
    for name in sorted(found, key=lambda name: name == _LAST):
        if not found[name].is_file():
            raise InputError(f"{found[name]}: is a folder, or a link that leads to no file")
        return _timed(name, found[name])
    return None


def _timed(dataparser: str, frames: Path) -> str:
    if dataparser in _WITH_TIMES and any("time" in frame for frame in read_transforms(frames).frames):
        return _WITH_TIMES[dataparser]
    return dataparser


def open_dataset(data: Path, dataparser: str) -> UnreadDataset:
    """As training opens it.

    Raises:
        InputError: training would refuse it.
    """
    config: Any = type(all_dataparsers[dataparser])(data=data)
    try:
        return UnreadDataset(NerfDataManagerConfig(dataparser=config), device="cpu")
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as e:
        line = next(iter(str(e).splitlines()), "")
        raise InputError(f"{data}: {dataparser} cannot read it ({type(e).__name__}: {line})") from e
