"""Checks of transforms.json and its like as they are written, before a dataparser sorts, orients, centres and scales them: one bad pose
spreads over all images then, and the first one would be named."""

from __future__ import annotations

import difflib
import json
import math
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nerfstudio.cameras.cameras import CAMERA_MODEL_TO_TYPE
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.dnerf_dataparser import DNeRFDataParserConfig
from nerfstudio.data.dataparsers.instant_ngp_dataparser import InstantNGPDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from nerf_plugins.console import warn
from nerf_plugins.data.checks import check_poses, check_spread
from nerf_plugins.errors import InputError
from nerf_plugins.wording import counted

SPLITS = ("train", "val", "test")
_N_DISTORTION = 6
_POSITIVE = ("fl_x", "fl_y", "w", "h")
ORIENTATIONS = ("none", "up", "vertical", "pca")
"""nerfstudio's ways to turn a scene upright."""
_READ_WITH_K4 = ("k1", "k2", "k3", "p1", "p2", "distortion_params")
"""Without one of them nerfstudio-data looks for distortion in the frames only."""
_FINITE = ("cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2")


@dataclass(frozen=True)
class TransformsFile:
    """A file of frames.

    Attributes:
        path: of the file.
        meta: its content.
        names: each frame's ``file_path``.
    """

    path: Path
    meta: dict[str, Any]
    names: list[str]

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames, as many as ``names``."""
        return self.meta["frames"]

    @property
    def lists(self) -> dict[str, list[str]]:
        """By split, the images that the file lists for it."""
        return {split: self.meta[f"{split}_filenames"] for split in SPLITS if f"{split}_filenames" in self.meta}


def check_files(config: DataParserConfig) -> None:
    """Checks the files of frames that a dataparser of nerfstudio's will read; those of other dataparsers are left to them.

    Raises:
        InputError: naming file, frame and value.
    """
    files = [read_transforms(path) for path in frame_files(config)]
    for file in files:
        check_frames(file, needs_square=isinstance(config, NerfstudioDataParserConfig))
        if isinstance(config, (NerfstudioDataParserConfig, InstantNGPDataParserConfig)):
            _check_masks(file)
        if isinstance(config, NerfstudioDataParserConfig):
            check_lists(file)
            _check_whole(file)
    poses = [np.asarray(frame["transform_matrix"], np.float64)[:3] for file in files for frame in file.frames]
    if poses:
        check_spread(torch.from_numpy(np.stack(poses)), str(files[0].path))


def frame_files(config: DataParserConfig) -> list[Path]:
    """The files of frames that a dataparser will read, of those that are there."""
    return [path for path in wanted_files(config) if path.is_file()]


def wanted_files(config: DataParserConfig) -> list[Path]:
    """The files of frames that a dataparser of nerfstudio's reads, there or not; of other dataparsers none."""
    data = config.data
    if isinstance(config, (NerfstudioDataParserConfig, InstantNGPDataParserConfig)):
        return [data if data.suffix == ".json" else data / "transforms.json"]
    if isinstance(config, (BlenderDataParserConfig, DNeRFDataParserConfig)):
        return [data / f"transforms_{split}.json" for split in SPLITS]
    return []


def read_transforms(path: Path) -> TransformsFile:
    """Reads a file of frames.

    Raises:
        InputError: it is no JSON, or has no list of frames with ``file_path`` and ``transform_matrix``.
    """
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror or e})") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: is not written in UTF-8 ({_first_line(e)}): save it as UTF-8") from e
    except ValueError as e:
        if "BOM" in str(e):
            raise InputError(f"{path}: begins with a byte order mark: save it as UTF-8 without one") from e
        raise InputError(f"{path}: is no JSON ({_first_line(e)}): write it again") from e
    if not isinstance(meta, dict) or not isinstance(meta.get("frames"), list):
        raise InputError(f'{path}: has no list "frames": it must name the images and their poses')
    if not meta["frames"]:
        raise InputError(f'{path}: "frames" is empty: it must name the images and their poses')
    names = []
    for i, frame in enumerate(meta["frames"]):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str) or not frame["file_path"]:
            raise InputError(f"{path}: frame {i} has no file_path: each frame must name its image")
        names.append(frame["file_path"])
    return TransformsFile(path, meta, names)


def check_frames(file: TransformsFile, needs_square: bool = False) -> None:
    """Checks each frame's pose and camera.

    Args:
        file: as it was read.
        needs_square: refuse 3x4 matrices.

    Raises:
        InputError: naming the frame and the value.
    """
    seen: dict[str, int] = {}
    for i, (frame, name) in enumerate(zip(file.frames, file.names)):
        matrix = _matrix(file, frame, name, needs_square)
        earlier = seen.setdefault(posixpath.normpath(name), i)
        if earlier != i and not np.array_equal(matrix[:3], _matrix(file, file.frames[earlier], name, needs_square)[:3]):
            raise InputError(
                f"{file.path}: {name} is listed twice (frames {earlier} and {i}) with two poses: keep one of them"
            )
        _check_camera(frame, f"{file.path}: {name}")
    _check_camera(file.meta, str(file.path))


def check_lists(file: TransformsFile) -> None:
    """Checks the lists of images of all splits, where the file has any.

    Raises:
        InputError: train or val is missing or empty, or an entry is no frame. Without a list for test, val's stands in; see `splits`.
    """
    lists = file.lists
    if not lists:
        return
    for split in ("train", "val"):
        if split not in lists:
            raise InputError(
                f"{file.path}: has lists of images ({', '.join(f'{s}_filenames' for s in lists)}), but no {split}_filenames: "
                "add it, or remove the lists"
            )
    known = {Path(name) for name in file.names}
    for split, entries in lists.items():
        if not isinstance(entries, list) or not entries:
            raise InputError(f"{file.path}: {split}_filenames must be a list with at least one image")
        for entry in entries:
            if not isinstance(entry, str) or Path(entry) not in known:
                close = difflib.get_close_matches(str(entry), file.names, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise InputError(f"{file.path}: {split}_filenames lists {entry!r}, which is no frame's file_path{hint}")
    both = {Path(name) for name in lists["train"]} & {
        Path(name) for split in ("val", "test") for name in lists.get(split, [])
    }
    if both:
        warn(
            f"{file.path}: {counted(len(both), 'image is', 'images are')} listed to be trained and evaluated on ({min(both)}): "
            "figures will be too good."
        )


def _matrix(file: TransformsFile, frame: dict[str, Any], name: str, needs_square: bool) -> np.ndarray:
    where = f"{file.path}: the pose of {name}"
    try:
        matrix = np.asarray(frame["transform_matrix"], np.float64)
    except KeyError:
        raise InputError(f"{file.path}: {name} has no transform_matrix: compute its pose or remove the frame") from None
    except (TypeError, ValueError) as e:
        raise InputError(f"{where} is no matrix of numbers ({_first_line(e)})") from e
    if matrix.shape != (4, 4) and (needs_square or matrix.shape != (3, 4)):
        raise InputError(f"{where} has the shape {matrix.shape}: it must be a 4x4 matrix, camera to world")
    if np.isfinite(matrix).all() and matrix.shape == (4, 4) and np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-3:
        hint = ": transpose it" if np.abs(matrix[:, 3] - [0, 0, 0, 1]).max() < 1e-3 else ""
        raise InputError(f"{where} has the last row {matrix[3].tolist()} instead of 0 0 0 1{hint}")
    check_poses(torch.from_numpy(matrix[None, :3]), [name], f"{file.path}: ")
    return matrix


def _check_camera(values: dict[str, Any], where: str) -> None:
    distortion = values.get("distortion_params")
    if distortion is not None and not (isinstance(distortion, list) and len(distortion) == _N_DISTORTION):
        raise InputError(
            f"{where}: distortion_params is {distortion!r}: it must be {_N_DISTORTION} numbers, k1 k2 k3 k4 p1 p2"
        )
    for key in (*_POSITIVE, *_FINITE, "camera_angle_x"):
        if key not in values:
            continue
        value = values[key]
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{where}: {key} is {value!r}: it must be a number") from None
        if not math.isfinite(number) or (key in _POSITIVE and number <= 0):
            raise InputError(
                f"{where}: {key} is {number:g}: it must be {'above 0' if key in _POSITIVE else 'a finite number'}"
            )
        if key == "camera_angle_x" and not 0 < number < math.pi:
            raise InputError(f"{where}: camera_angle_x is {number:g}: it must be in radians, between 0 and 3.14")


def _check_whole(file: TransformsFile) -> None:
    """Checks what the file says of all frames together."""
    _check_camera_model(file)
    scale = file.meta.get("applied_scale", 1.0)
    if not isinstance(scale, (int, float)) or not 0 < scale < math.inf:
        raise InputError(f"{file.path}: applied_scale is {scale!r}: it must be a number above 0")
    try:
        shape = np.asarray(file.meta.get("applied_transform", np.eye(4)[:3]), np.float64).shape
    except (TypeError, ValueError):
        shape = None
    if shape not in ((3, 4), (4, 4)):
        raise InputError(f"{file.path}: applied_transform must be a 3x4 matrix of numbers, or be left out")
    if file.meta.get("k4") and not any(key in file.meta for key in _READ_WITH_K4):
        raise InputError(
            f"{file.path}: k4 is there without k1: nerfstudio-data would ignore it; write k1, k2, k3 too, as 0 if they are"
        )
    orientation = file.meta.get("orientation_override", "none")
    if orientation not in ORIENTATIONS:
        raise InputError(f"{file.path}: orientation_override is {orientation!r}: give one of {', '.join(ORIENTATIONS)}")


def missing_camera_value(file: TransformsFile) -> str | None:
    """What nerfstudio-data needs of each frame's camera and the file does not say, in words; None where all is said."""
    for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        if key not in file.meta:
            lacking = [name for name, frame in zip(file.names, file.frames) if key not in frame]
            if lacking:
                return f"{lacking[0]} has no {key}, and the file none for all frames"
    return None


def _check_camera_model(file: TransformsFile) -> None:
    model = file.meta.get("camera_model", "OPENCV")
    if model not in CAMERA_MODEL_TO_TYPE:
        known = ", ".join(CAMERA_MODEL_TO_TYPE)
        raise InputError(f"{file.path}: camera_model {model!r} is unknown: it must be one of {known}")


def _check_masks(file: TransformsFile) -> None:
    """A mask for each frame or for none; instant-ngp's dataparser would give masks to the wrong images."""
    without = [name for name, frame in zip(file.names, file.frames) if not frame.get("mask_path")]
    for name, frame in zip(file.names, file.frames):
        if "mask_path" in frame and not isinstance(frame["mask_path"], str):
            raise InputError(f"{file.path}: {name} has the mask_path {frame['mask_path']!r}: it must be a file's name")
    n_with = len(file.names) - len(without)
    if without and n_with:
        raise InputError(
            f"{file.path}: {without[0]} has no mask_path, {n_with} of {len(file.names)} frames have one: give each frame a mask (one "
            "that is all white keeps the whole photo) or none"
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
