"""``llff-data``: forward-facing captures in LLFF's layout, ``poses_bounds.npy`` and a folder of images, for NDC rays.

Poses. A row of ``poses_bounds.npy`` is a 3x5 matrix ``[R | t | (height, width, focal)]``, then the nearest and farthest
depth that the view sees. LLFF's camera axes, the columns of ``R``, are (down, right, back); nerfstudio's (right, up,
back) are columns ``(1, -0, 2)``. As in the NeRF paper's code, the world is scaled by ``1 / (0.75 min near)``, so that the
nearest depth is 4/3 and a near plane at depth 1 lies before it, and turned and shifted so that the average camera is
the identity.

NDC (the paper's appendix C). With ``a_x = focal / (width / 2)``, ``a_y = focal / (height / 2)`` and the near plane at
``z = -n``, a point goes to

    (-a_x x / z,  -a_y y / z,  1 + 2 n / z),

which takes what the average camera sees from ``z = -n`` to infinity to the cube [-1, 1]³.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerf_plugins.dataparsers.images import (
    check_holdout,
    choose_factor,
    common_size,
    list_images,
    order_for_cameras,
    split_indices,
)
from nerf_plugins.errors import InputError
from nerf_plugins.images.reading import check_readable
from nerf_plugins.wording import counted

NEAR_PLANE = 1.0
"""Depth of NDC's near plane after scaling."""
BOUNDS_FACTOR = 0.75
"""The nearest depth of the capture becomes 1 over this: the paper's ``bd_factor``."""


@dataclass
class LLFFDataParserConfig(DataParserConfig):
    """Forward-facing scenes in LLFF's layout (poses_bounds.npy), for NDC rays."""

    _target: type = field(default_factory=lambda: LLFFDataParser, kw_only=True)
    """target class to instantiate"""
    data: Path = Path("data/nerf_llff_data/fern")
    """Folder with poses_bounds.npy and images/, images_4/ or images_8/."""
    downscale_factor: int | None = None
    """1 for images/, 4 for images_4/ and so on.
    None: the largest of those present that is at most 1600 pixels wide and high, or the smallest if all are larger."""
    image_order: Literal["natural", "strings"] = "natural"
    """How the poses count the images where these are not numbered from 0: natural: 2.png before 10.png. strings: after it."""
    holdout_every: int = 8
    """Views 0, N, 2N ... are held out of training, for validation and test."""


@dataclass
class LLFFDataParser(DataParser):
    """Reads poses and images of an LLFF scene and says what the NDC transform of its rays needs."""

    config: LLFFDataParserConfig
    layout_files: ClassVar[tuple[str, ...]] = ("poses_bounds.npy",)
    """Files of which one tells the layout, for whoever advises which dataparser to use."""

    def __init__(self, config: LLFFDataParserConfig):
        super().__init__(config=config)
        check_holdout(config.holdout_every)

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        data = self.config.data.expanduser()
        capture = read_poses_bounds(data / "poses_bounds.npy")
        images = list_images(_image_folder(data, self.config.downscale_factor))
        _check_count(images, capture, data)
        images = order_for_cameras(images, len(images), self.config.image_order == "strings")
        width, height = common_size(images, capture.width / capture.height)
        fx, fy = _scaled_focal(capture, width, height, images[0])
        capture, transform, scale = normalise(capture)
        ndc = {"focal_x": fx / (0.5 * width), "focal_y": fy / (0.5 * height), "near": NEAR_PLANE}
        box = ndc_box(capture.poses, ndc)
        chosen = split_indices(len(images), self.config.holdout_every, split)
        for i in chosen:
            check_readable(images[i])
        cameras = Cameras(
            camera_to_worlds=torch.from_numpy(capture.poses[chosen].astype(np.float32)),
            fx=fx,
            fy=fy,
            cx=0.5 * width,
            cy=0.5 * height,
            width=width,
            height=height,
            camera_type=CameraType.PERSPECTIVE,
        )
        return DataparserOutputs(
            image_filenames=[images[i] for i in chosen],
            cameras=cameras,
            scene_box=SceneBox(aabb=torch.from_numpy(box.astype(np.float32))),
            metadata={"ndc": ndc},
            dataparser_transform=torch.from_numpy(transform.astype(np.float32)),
            dataparser_scale=scale,
        )


specification = DataParserSpecification(
    config=LLFFDataParserConfig(),
    description="Forward-facing scenes in LLFF's layout (poses_bounds.npy, images_4, ...).",
)


class Capture(NamedTuple):
    """What ``poses_bounds.npy`` says of V views.

    Attributes:
        poses: camera-to-world, nerfstudio's axes: x right, y up, looking along -z.
        bounds: nearest and farthest depth, in the unit of the poses.
        height, width, focal: of the full-size images, in pixels.
    """

    poses: Float[np.ndarray, "n_views 3 4"]
    bounds: Float[np.ndarray, "n_views 2"]
    height: float
    width: float
    focal: float


def read_poses_bounds(path: Path) -> Capture:
    """Read and check an LLFF ``poses_bounds.npy``."""
    rows = _load_rows(path)
    matrices, bounds = rows[:, :15].reshape(-1, 3, 5), rows[:, 15:]
    for i, row in enumerate(rows):
        _check_row(f"{path}: row {i}", row, matrices[i], bounds[i])
    hwf = matrices[:, :, 4]
    other = np.flatnonzero(np.abs(hwf / hwf[0] - 1.0).max(axis=1) > 1e-3)
    if other.size:
        raise InputError(
            f"{path}: row {other[0]} has (height, width, focal) {_numbers(hwf[other[0]])}, row 0 {_numbers(hwf[0])}; "
            "NDC needs one camera for all views"
        )
    down, right, back, position = (matrices[:, :, k] for k in range(4))
    poses = np.stack([right, -down, back, position], axis=-1)
    height, width, focal = (float(v) for v in hwf[0])
    return Capture(poses, bounds, height, width, focal)


def normalise(capture: Capture) -> tuple[Capture, Float[np.ndarray, "3 4"], float]:
    """Scale and turn the world as the module docstring says.

    Returns:
        The new capture, and the transform ``T`` and scale ``s`` that gave it: a pose with rotation and position
        ``(R, c)`` becomes ``(T_R R, s (T_R c + T_t))``.
    """
    average = np.eye(4)
    average[:3] = average_pose(capture.poses)
    transform = np.linalg.inv(average)[:3]
    scale = 1.0 / (float(capture.bounds.min()) * BOUNDS_FACTOR)
    poses = transform[:, :3] @ capture.poses
    poses[:, :, 3] = scale * (poses[:, :, 3] + transform[:, 3])
    return capture._replace(poses=poses, bounds=scale * capture.bounds), transform, scale


def average_pose(poses: Float[np.ndarray, "n_views 3 4"]) -> Float[np.ndarray, "3 4"]:
    """The average camera: mean position, mean backward axis, and a right axis square to the mean up axis."""
    back = _unit(poses[:, :, 2].sum(axis=0), "viewing directions")
    right = _unit(np.cross(poses[:, :, 1].sum(axis=0), back), "upward directions")
    return np.stack([right, np.cross(back, right), back, poses[:, :, 3].mean(axis=0)], axis=1)


def ndc_box(poses: Float[np.ndarray, "n_views 3 4"], ndc: dict[str, float]) -> Float[np.ndarray, "2 3"]:
    """The box that all pixels' rays cross in NDC: ``z`` in [-1, 1], ``x`` and ``y`` at least that.

    A ray is a straight segment in NDC, so that the extremes are at the image's corners, on the near plane and at
    infinity.
    """
    a, n = np.array([ndc["focal_x"], ndc["focal_y"]]), ndc["near"]
    corners = np.array([[u, v, -1.0] for u in (-1.0, 1.0) for v in (-1.0, 1.0)]) / [a[0], a[1], 1.0]
    d = np.einsum("vij,cj->vci", poses[:, :, :3], corners)
    o = poses[:, None, :, 3]
    _check_forward_facing(d, o, n)
    t = -(n + o[..., 2:]) / d[..., 2:]
    at_near = a * (o + t * d)[..., :2] / n
    at_infinity = -a * d[..., :2] / d[..., 2:]
    xy = np.concatenate([at_near.reshape(-1, 2), at_infinity.reshape(-1, 2), [[-1.0, -1.0], [1.0, 1.0]]])
    return np.stack([[*xy.min(axis=0), -1.0], [*xy.max(axis=0), 1.0]])


def _load_rows(path: Path) -> Float[np.ndarray, "n_views 17"]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; --data must be the folder of an LLFF scene")
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise InputError(f"{path}: not a readable numpy file ({e}); write it again with LLFF's imgs2poses.py") from e
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu":
        shape = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else "an archive"
        raise InputError(f"{path}: has {shape}; it must hold 17 numbers for each view")
    if len(rows) < 2:
        raise InputError(
            f"{path}: has {counted(len(rows), 'view')}; at least 2 are needed, one to train on and one to test"
        )
    return rows.astype(np.float64)


def _check_row(
    where: str, row: Float[np.ndarray, "17"], matrix: Float[np.ndarray, "3 5"], bounds: Float[np.ndarray, "2"]
) -> None:
    if not np.isfinite(row).all():
        raise InputError(
            f"{where} has a value that is not finite; leave this view and its image out or compute it again"
        )
    rotation = matrix[:, :3]
    error = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if error > 1e-3 or np.linalg.det(rotation) < 0.0:
        problem = f"off from orthonormal by {error:.3g}" if error > 1e-3 else "a reflection"
        raise InputError(f"{where}: its 3x3 part is no rotation ({problem}); compute the poses again")
    if (matrix[:, 4] <= 0.0).any():
        raise InputError(f"{where}: (height, width, focal) is {_numbers(matrix[:, 4])}; all must be above 0")
    if not 0.0 < bounds[0] < bounds[1]:
        raise InputError(f"{where}: near and far bound are {_numbers(bounds)}; 0 < near < far is needed")


def _image_folder(data: Path, factor: int | None) -> Path:
    """The folder with the images of the wanted downscale factor, or the best of those present."""
    present = _present_factors(data)
    return present[choose_factor(data, present, factor, lambda n: "images" if n == 1 else f"images_{n}")]


def _present_factors(data: Path) -> dict[int, Path]:
    """Downscale factor -> folder of those that exist."""
    return {int(f.name[7:] or 1): f for f in data.glob("images*") if f.is_dir() and _is_factor(f.name[6:])}


def _is_factor(ending: str) -> bool:
    return ending == "" or (ending[0] == "_" and ending[1:].isdecimal())


def _check_count(images: list[Path], capture: Capture, data: Path) -> None:
    views = len(capture.poses)
    if len(images) != views:
        raise InputError(
            f"{images[0].parent}: {counted(len(images), 'image')}, but {data / 'poses_bounds.npy'} has {counted(views, 'view')}; "
            "each view needs its image, in the order of the names"
        )


def _scaled_focal(capture: Capture, width: int, height: int, image: Path) -> tuple[float, float]:
    """Focal lengths (fx, fy) in pixels of the images as they are."""
    x, y = width / capture.width, height / capture.height
    if abs(x / y - 1.0) > 0.05:
        raise InputError(
            f"{image}: is {width}x{height} pixels, but the poses are of a camera with "
            f"{capture.width:g}x{capture.height:g}; use images of that shape"
        )
    return capture.focal * x, capture.focal * y


def _check_forward_facing(
    d: Float[np.ndarray, "n_views n_corners 3"], o: Float[np.ndarray, "n_views 1 3"], near: float
) -> None:
    """NDC has room only for rays that go towards -z from before the near plane."""
    bad = np.flatnonzero((d[..., 2].max(axis=1) >= 0.0) | (o[:, 0, 2] <= -near))
    if bad.size:
        raise InputError(
            f"poses_bounds.npy: view {bad[0]} looks away from the others or stands beyond the near plane; "
            "this dataparser is for captures that face one way"
        )


def _unit(v: Float[np.ndarray, "3"], name: str) -> Float[np.ndarray, "3"]:
    length = float(np.linalg.norm(v))
    if length < 1e-6:
        raise InputError(f"poses_bounds.npy: the {name} of the views cancel out; this dataparser needs one facing")
    return v / length


def _numbers(values: Float[np.ndarray, "n"]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"
