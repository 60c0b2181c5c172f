"""``nerfies-data``: captures of moving scenes in the layout of Nerfies and HyperNeRF.

``dataset.json`` (which photos train and which validate), ``metadata.json`` (when each was taken and by which camera), ``scene.json``
(centre and scale of the scene, near and far), ``camera/ID.json`` (:mod:`nerf_plugins.dataparsers.nerfies_cameras`), ``rgb/1x/ID.png``,
``rgb/2x/``, ... and ``points.npy``, points of what does not move.

The scene is :math:`\\text{scale}\\,(X - \\text{center})` of the world, as the authors have it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerf_plugins.console import warn
from nerf_plugins.dataparsers.background import read_background
from nerf_plugins.dataparsers.images import choose_factor, image_size
from nerf_plugins.dataparsers.nerfies_cameras import (
    NerfiesCamera,
    frustum,
    make_cameras,
    numbers,
    read_camera,
    read_json,
)
from nerf_plugins.errors import InputError


@dataclass
class NerfiesDataParserConfig(DataParserConfig):
    """Moving scenes in the layout of Nerfies and HyperNeRF."""

    _target: type = field(default_factory=lambda: NerfiesDataParser, kw_only=True)
    """target class to instantiate"""
    data: Path = Path("data/vrig-chicken")
    """Folder with dataset.json, metadata.json, scene.json, camera/ and rgb/."""
    downscale_factor: int | None = None
    """1 for rgb/1x, 4 for rgb/4x and so on.
    None: the largest of those present that is at most 1600 pixels wide and high, or the smallest if all are larger."""
    split: Literal["listed", "interpolation"] = "listed"
    """listed: train_ids and val_ids of dataset.json, as of a rig whose other camera validates.
    interpolation: every interval-th of all ids is trained on, and the one in the middle between two of these validates."""
    interval: int = 4
    """Of the interpolation split; even."""


class Capture(NamedTuple):
    """What the files say of all photos."""

    data: Path
    train_ids: list[str]
    val_ids: list[str]
    metadata: dict[str, dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        """Of all photos that are used."""
        return [*self.train_ids, *self.val_ids]


@dataclass
class NerfiesDataParser(DataParser):
    """Reads photos, cameras and times."""

    config: NerfiesDataParserConfig
    includes_time: bool = True
    layout_files: ClassVar[tuple[str, ...]] = ("dataset.json",)
    """Files of which one tells the layout, for whoever advises which dataparser to use."""

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        data = self.config.data.expanduser()
        capture = read_capture(data, self.config.split, self.config.interval)
        times = times_of(capture)
        ids = capture.train_ids if split == "train" else capture.val_ids
        if split == "train":
            _remark_on_cameras(capture)
        scene = read_json(data / "scene.json")
        center = numbers(scene, "center", (3,), data / "scene.json")
        scale, far = (float(numbers(scene, name, (), data / "scene.json")) for name in ("scale", "far"))
        if scale <= 0 or far <= 0:
            raise InputError(f"{data / 'scene.json'}: scale {scale:g} and far {far:g} must be above 0")
        cameras = {name: read_camera(data / "camera" / f"{name}.json") for name in capture.ids}
        photos, sizes = self._photos(data, ids, cameras)
        points = read_background(data / "points.npy")
        metadata: dict[str, Any] = {"is_bounded": True}
        if points is not None:
            metadata["background_points"] = torch.from_numpy(scale * (points - center)).float()
        return DataparserOutputs(
            image_filenames=photos,
            cameras=make_cameras([cameras[i] for i in ids], sizes, [times[i] for i in ids], center, scale),
            scene_box=_box(list(cameras.values()), center, scale, far),
            dataparser_transform=torch.from_numpy(np.concatenate([np.eye(3), -center[:, None]], axis=1)).float(),
            dataparser_scale=scale,
            metadata=metadata,
        )

    def _photos(
        self, data: Path, ids: Sequence[str], cameras: dict[str, NerfiesCamera]
    ) -> tuple[list[Path], list[tuple[int, int]]]:
        """The photos' files and sizes."""
        folder, factor = _image_folder(data, self.config.downscale_factor)
        photos = [folder / f"{name}.png" for name in ids]
        missing = [path for path in photos if not path.is_file()]
        if missing:
            raise InputError(
                f"{missing[0]}: there is no such photo, but dataset.json lists it ({len(missing)} of {len(photos)} are missing): "
                "remove it from the lists of dataset.json"
            )
        sizes = [image_size(path) for path in photos]
        for path, size in zip(photos, sizes):
            wanted = cameras[path.stem].image_size / factor
            if np.abs(np.array(size) - wanted).max() > 1.0:
                raise InputError(
                    f"{path}: is {size[0]}x{size[1]} pixels, but its camera's photo has {wanted[0]:g}x{wanted[1]:g} in {folder.name}: "
                    "scale it again, or correct image_size"
                )
        return photos, sizes


specification = DataParserSpecification(
    config=NerfiesDataParserConfig(),
    description="Moving scenes in the layout of Nerfies and HyperNeRF (dataset.json, metadata.json, scene.json, camera/, rgb/).",
)


def read_capture(data: Path, split: Literal["listed", "interpolation"], interval: int) -> Capture:
    """Which photos train and which validate, and what is known of each.

    Raises:
        InputError: a list is missing or empty, an id is listed twice or has no metadata, or the interval does not suit.
    """
    lists = read_json(data / "dataset.json")
    if split == "interpolation":
        train, val = interpolation_split(_ids(lists, "ids", data), interval, data)
    else:
        train, val = _ids(lists, "train_ids", data), _ids(lists, "val_ids", data)
    twice = [name for name, n in Counter([*train, *val]).items() if n > 1]
    if twice:
        raise InputError(
            f"{data / 'dataset.json'}: {twice[0]} is listed twice: a photo is either trained on or validates; list it once"
        )
    metadata = read_json(data / "metadata.json")
    lost = [name for name in [*train, *val] if not isinstance(metadata.get(name), dict)]
    if lost:
        raise InputError(f"{data / 'metadata.json'}: has nothing of {lost[0]}, which dataset.json lists: add it there")
    return Capture(data, train, val, metadata)


def interpolation_split(ids: Sequence[str], interval: int, data: Path) -> tuple[list[str], list[str]]:
    """HyperNeRF's: ids 0, n, 2n, ... and those in the middle between two of them.

    Raises:
        InputError: the interval is odd, below 2, or longer than the list.
    """
    if interval < 2 or interval % 2 or interval >= len(ids):
        raise InputError(
            f"interval {interval}: must be even, at least 2 and below the number of photos in {data / 'dataset.json'}, {len(ids)}"
        )
    train = list(range(0, len(ids), interval))
    return [ids[i] for i in train], [ids[i + interval // 2] for i in train[:-1]]


def times_of(capture: Capture) -> dict[str, float]:
    """The time of each photo in [0, 1]: its ``time_id``, in older datasets its ``warp_id``, between the first and the last of them.

    Photos that are all of one id have the time 0.

    Raises:
        InputError: an id is missing or no number.
    """
    path = capture.data / "metadata.json"
    name = "time_id" if all("time_id" in capture.metadata[i] for i in capture.ids) else "warp_id"
    ids = {i: _number(capture.metadata[i], name, f"{path}: {i}") for i in capture.ids}
    first, last = min(ids.values()), max(ids.values())
    return {i: (value - first) / (last - first) if last > first else 0.0 for i, value in ids.items()}


def _number(values: dict[str, Any], name: str, where: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{where} has the {name} {value}: give each photo a whole number, by the time it was taken")
    return float(value)


def _ids(lists: dict[str, Any], name: str, data: Path) -> list[str]:
    ids = lists.get(name)
    if not isinstance(ids, list) or not ids:
        advice = "" if name == "ids" else "; or give --split interpolation"
        raise InputError(f"{data / 'dataset.json'}: {name} is {ids}: it must list photos{advice}")
    return [str(i) for i in ids]


def _remark_on_cameras(capture: Capture) -> None:
    """A word on captures whose photos are all of one camera and of different times."""
    cameras = {capture.metadata[i].get("camera_id") for i in capture.train_ids}
    times = [times_of(capture)[i] for i in capture.train_ids]
    if len(cameras) == 1 and len(set(times)) == len(times) > 1:
        warn(
            f"{capture.data}: each time is seen in one photo, all by one camera: depth and motion can be told apart by the camera's own "
            "motion only. What moves as fast as it may get a wrong depth; the validation camera shows that."
        )


def _image_folder(data: Path, factor: int | None) -> tuple[Path, int]:
    """The folder of the wanted downscale factor, or the best of those present; and its factor."""
    present = {int(f.name[:-1]): f for f in (data / "rgb").glob("*x") if f.is_dir() and re.fullmatch(r"\d+x", f.name)}
    chosen = choose_factor(data, present, factor, lambda n: f"rgb/{n}x", (".png",))
    return present[chosen], chosen


def _box(cameras: Sequence[NerfiesCamera], center: Float[np.ndarray, "3"], scale: float, far: float) -> SceneBox:
    """The cube, so that turns in it stay turns, around all that the cameras see up to ``far``."""
    seen = scale * (np.concatenate([frustum(camera, far / scale) for camera in cameras]) - center)
    low, high = seen.min(axis=0), seen.max(axis=0)
    middle, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    return SceneBox(aabb=torch.from_numpy(np.stack([middle - half, middle + half])).float())
