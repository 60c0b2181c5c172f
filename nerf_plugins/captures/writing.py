"""A reconstruction as a dataset: transforms.json, sparse_pc.ply, images at 1/2, 1/4 and 1/8, as `nerfstudio-data` reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nerf_plugins.captures.files import finished, save_picture
from nerf_plugins.captures.job import Posed, Reconstruction
from nerf_plugins.captures.masks import shrunk, write_mask

FACTORS = (2, 4, 8)
POINTS, VIEWS = "sparse_pc.ply", "sparse_views.npz"
_SMALLEST = 32
"""Pixels that the shorter side of a downscaled copy must have."""


def write_transforms(
    reconstruction: Reconstruction, folder: Path, with_masks: bool, seconds: Mapping[str, float]
) -> Path:
    """`transforms.json`, the last file to be written: where it is, the dataset is whole.

    Poses are camera-to-world, x right, y up, z backward, in the reconstruction's upright frame, which nerfstudio is told to keep.

    Args:
        reconstruction: the images that have poses.
        folder: of the dataset.
        with_masks: each image has a mask.
        seconds: when each image was taken, by its name; becomes its ``time``, from 0 of the first image that has a pose to 1 of the last.
            Empty: no times.
    """
    times = _times({name: seconds[name] for name in reconstruction.posed}) if seconds else {}
    cameras = {key: _camera(reconstruction, key) for key in reconstruction.cameras}
    shared = len(cameras) == 1
    frames = []
    for name, image in reconstruction.posed.items():
        frame: dict[str, Any] = {"file_path": f"images/{name}", "transform_matrix": nerfstudio_pose(image)}
        if times:
            frame["time"] = times[name]
        if with_masks:
            frame["mask_path"] = f"masks/{name}.png"
        frames.append(frame if shared else {**frame, **cameras[image.camera]})
    values = {
        "camera_model": "OPENCV",
        **(next(iter(cameras.values())) if shared else {}),
        "orientation_override": "none",
        "applied_transform": np.eye(4)[:3].tolist(),
        "ply_file_path": POINTS,
        "sparse_views_path": VIEWS,
        "frames": frames,
    }
    return write_json(values, folder / "transforms.json")


def _times(seconds: Mapping[str, float]) -> dict[str, float]:
    """In [0, 1]."""
    first, last = min(seconds.values()), max(seconds.values())
    return {name: (second - first) / max(last - first, 1e-9) for name, second in seconds.items()}


def nerfstudio_pose(image: Posed) -> list[list[float]]:
    """(4, 4), of OpenCV's axes to OpenGL's."""
    pose = np.eye(4)
    pose[:3] = image.pose
    pose[:, 1:3] *= -1.0
    return pose.tolist()


def _camera(reconstruction: Reconstruction, key: int) -> dict[str, Any]:
    values = asdict(reconstruction.cameras[key])
    return {{"width": "w", "height": "h", "fx": "fl_x", "fy": "fl_y"}.get(name, name): v for name, v in values.items()}


def write_json(values: Any, path: Path) -> Path:
    """Whole or not there."""
    with finished(path) as part:
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return path


def write_points(reconstruction: Reconstruction, path: Path) -> None:
    """The sparse points with their colours, as binary PLY."""
    points = reconstruction.points
    columns = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    rows = np.zeros(len(points), dtype=columns)
    for k, (name, _) in enumerate(columns):
        rows[name] = points[:, k]
    kinds = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property {kinds[kind]} {name}" for name, kind in columns] + ["end_header\n"]
    with finished(path) as part:
        part.write_bytes("\n".join(header).encode("ascii") + rows.tobytes())


def write_views(reconstruction: Reconstruction, path: Path) -> None:
    """Which image sees which sparse point, and where, as `data/sparse_depths.py` reads it."""
    images, points, places = np.split(reconstruction.views, [1, 2], axis=1)
    names = [f"images/{name}" for name in reconstruction.posed]
    values = {
        "names": np.array(names),
        "images": images[:, 0].astype(np.int32),
        "points": points[:, 0].astype(np.int32),
    }
    with finished(path) as part, part.open("wb") as file:
        np.savez(file, **values, places=places.astype(np.float32))


def write_smaller(
    reconstruction: Reconstruction, folder: Path, with_masks: bool, on_progress: Callable[[int, int], None]
) -> None:
    """`images_2`, `images_4`, `images_8` (and masks) of the registered images: means over squares of pixels.

    A remainder at the right and lower edge is cut off, so that a copy's pixels are exactly those that its scaled intrinsics say.
    """
    shortest = min(min(camera.width, camera.height) for camera in reconstruction.cameras.values())
    factors = [factor for factor in FACTORS if shortest // factor >= _SMALLEST]
    names = list(reconstruction.posed)
    for done, name in enumerate(names, start=1):
        _write_smaller_image(folder, name, factors)
        if with_masks:
            _write_smaller_masks(folder, f"{name}.png", factors)
        on_progress(done, len(names))


def _write_smaller_image(folder: Path, name: str, factors: list[int]) -> None:
    missing = [factor for factor in factors if not (folder / f"images_{factor}" / name).exists()]
    if not missing:
        return
    with Image.open(folder / "images" / name) as image:
        image.load()
    for factor in missing:
        width, height = (side // factor for side in image.size)
        small = image.reduce(factor, box=(0, 0, width * factor, height * factor))
        path = folder / f"images_{factor}" / name
        path.parent.mkdir(exist_ok=True)
        save_picture(small, path)


def _write_smaller_masks(folder: Path, name: str, factors: list[int]) -> None:
    mask = None
    for factor in factors:
        path = folder / f"masks_{factor}" / name
        if not path.exists():
            mask = np.asarray(Image.open(folder / "masks" / name)) > 127 if mask is None else mask
            path.parent.mkdir(exist_ok=True)
            write_mask(shrunk(mask, factor), path)
