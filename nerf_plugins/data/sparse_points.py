"""The sparse points of a transforms.json, in training's units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from nerf_plugins.data.transforms import TransformsFile, frame_files, read_transforms
from nerf_plugins.errors import InputError


def points_file(config: object) -> tuple[TransformsFile, Path] | None:
    """The transforms.json that a dataparser reads, and the points that its ``ply_file_path`` names; None where there are none."""
    if not isinstance(config, NerfstudioDataParserConfig) or not (files := frame_files(config)):
        return None
    file = read_transforms(files[0])
    name = file.meta.get("ply_file_path")
    if not isinstance(name, str) or not (path := file.path.parent / name).is_file():
        return None
    return file, path


def sparse_points(config: object, outputs: DataparserOutputs) -> Float[np.ndarray, "m 6"]:
    """The points, with colours (0 to 255), in training's units, in the order of the file; none where there are none.

    Args:
        config: the dataparser's.
        outputs: what it gave.

    Raises:
        InputError: the file cannot be read.
    """
    found = points_file(config)
    if found is None:
        return np.zeros((0, 6))
    file, path = found
    points = _read_ply(path)
    applied = np.vstack([np.array(file.meta.get("applied_transform", np.eye(4)[:3]), np.float64)[:3], [0, 0, 0, 1]])
    transform = outputs.dataparser_transform.double().numpy() @ np.linalg.inv(applied)
    points[:, :3] = (points[:, :3] @ transform[:, :3].T + transform[:, 3]) * outputs.dataparser_scale
    return points


def _read_ply(path: Path) -> Float[np.ndarray, "m 6"]:
    try:
        cloud = trimesh.load(path, process=False)
    except Exception as e:
        raise InputError(f"{path}: the sparse points cannot be read ({e})") from e
    places = np.asarray(getattr(cloud, "vertices", np.zeros((0, 3))), np.float64)  # a scene without any has none
    colors = np.asarray(getattr(cloud, "colors", ()))
    if colors.ndim != 2 or len(colors) != len(places):
        colors = np.full((len(places), 3), 128.0)
    return np.concatenate([places, colors[:, :3]], axis=1)
