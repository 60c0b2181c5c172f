"""Cameras of Nerfies' layout: ``camera/ID.json``.

A point X of the world has the local coordinates :math:`R (X - c)` with the rows of ``orientation`` R (right, down, forward) and the
``position`` c. With :math:`x, y` its first two through the third, :math:`r^2 = x^2 + y^2` and :math:`d = 1 + k_1 r^2 + k_2 r^4 + k_3 r^6`,

    x' = x d + 2 p_1 x y + p_2 (r^2 + 2 x^2),   y' = y d + 2 p_2 x y + p_1 (r^2 + 2 y^2),

and its pixel is (f x' + s y' + c_x, f a y' + c_y) with the focal length f, the skew s, the aspect ratio a and the principal point; the
first pixel's centre is (0.5, 0.5), as nerfstudio has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_utils import radial_and_tangential_undistort
from nerfstudio.cameras.cameras import Cameras, CameraType
from torch import Tensor

from nerf_plugins.errors import InputError

_MOST_SKEW = 1.0
"""Pixels by which it may move the edge of an image: nerfstudio's cameras have none."""
_MOST_MISSED = 0.5
"""Pixels by which a distortion that was taken out and put in again may miss."""
_ROTATION_TOLERANCE = 1e-2


class NerfiesCamera(NamedTuple):
    """A camera of the file as it is written, checked."""

    orientation: Float[np.ndarray, "3 3"]
    position: Float[np.ndarray, "3"]
    focal_length: float
    principal_point: Float[np.ndarray, "2"]
    skew: float
    pixel_aspect_ratio: float
    radial_distortion: Float[np.ndarray, "3"]
    tangential_distortion: Float[np.ndarray, "2"]
    image_size: Float[np.ndarray, "2"]

    @property
    def distortion(self) -> list[float]:
        """As nerfstudio has it: k1, k2, k3, k4, p1, p2."""
        return [*self.radial_distortion.tolist(), 0.0, *self.tangential_distortion.tolist()]

    @property
    def focal_lengths(self) -> Float[np.ndarray, "2"]:
        """Across and down, in pixels."""
        return self.focal_length * np.array([1.0, self.pixel_aspect_ratio])


def read_camera(path: Path) -> NerfiesCamera:
    """Reads and checks a camera.

    Raises:
        InputError: it is missing or no JSON, a value is missing or not finite, the orientation is no rotation, the skew is more than
            nerfstudio's cameras can leave out, or the distortion cannot be inverted in the image.
    """
    values = read_json(path)
    if "tangential" in values:  # of the first datasets
        values = {"tangential_distortion": values["tangential"], **values}
    values = {
        "skew": 0.0,
        "pixel_aspect_ratio": 1.0,
        "radial_distortion": [0.0] * 3,
        "tangential_distortion": [0.0] * 2,
        **values,
    }
    camera = NerfiesCamera(
        orientation=numbers(values, "orientation", (3, 3), path),
        position=numbers(values, "position", (3,), path),
        focal_length=float(numbers(values, "focal_length", (), path)),
        principal_point=numbers(values, "principal_point", (2,), path),
        skew=float(numbers(values, "skew", (), path)),
        pixel_aspect_ratio=float(numbers(values, "pixel_aspect_ratio", (), path)),
        radial_distortion=numbers(values, "radial_distortion", (3,), path),
        tangential_distortion=numbers(values, "tangential_distortion", (2,), path),
        image_size=numbers(values, "image_size", (2,), path),
    )
    _check(camera, path)
    return camera


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises:
        InputError: it is missing, or no such thing.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; --data must be a folder in Nerfies' layout") from None
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: cannot be read as JSON ({e}): write it again") from e
    if not isinstance(values, dict):
        raise InputError(f"{path}: must be an object with names, is a {type(values).__name__}")
    return values


def numbers(values: dict[str, Any], name: str, shape: tuple[int, ...], path: Path) -> Float[np.ndarray, "..."]:
    """Numbers of a file, of a shape.

    Raises:
        InputError: they are missing, of another shape, or not finite.
    """
    if name not in values:
        raise InputError(f"{path}: has no {name}")
    try:
        found = np.asarray(values[name], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name} is {values[name]!r}: it must be numbers") from None
    if found.shape != shape or not np.isfinite(found).all():
        wanted = " x ".join(map(str, shape)) or "a number"
        raise InputError(f"{path}: {name} is {values[name]!r}: it must be {wanted}, finite")
    return found


def make_cameras(
    cameras: Sequence[NerfiesCamera],
    sizes: Sequence[tuple[int, int]],
    times: Sequence[float],
    center: Float[np.ndarray, "3"],
    scale: float,
) -> Cameras:
    """nerfstudio's cameras, in the scene :math:`\\text{scale}\\,(X - \\text{center})`.

    Args:
        cameras: as they were read.
        sizes: (width, height) of their photos.
        times: of the photos.
        center: of the scene, in the world.
        scale: of the scene.
    """
    shrunk = np.array(sizes) / np.stack([camera.image_size for camera in cameras])
    focal = np.stack([camera.focal_lengths for camera in cameras]) * shrunk
    principal = np.stack([camera.principal_point for camera in cameras]) * shrunk
    fx, fy, cx, cy = torch.from_numpy(np.concatenate([focal, principal], axis=1)).float().T
    width, height = torch.tensor(sizes).T
    distortion = torch.tensor([camera.distortion for camera in cameras])
    return Cameras(
        camera_to_worlds=torch.from_numpy(np.stack([_pose(c, center, scale) for c in cameras])).float(),
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        width=width,
        height=height,
        distortion_params=distortion if bool(distortion.any()) else None,
        camera_type=CameraType.PERSPECTIVE,
        times=torch.tensor(times, dtype=torch.float32)[:, None],
    )


def _pose(camera: NerfiesCamera, center: Float[np.ndarray, "3"], scale: float) -> Float[np.ndarray, "3 4"]:
    """Camera-to-world in nerfstudio's axes: right, up, back."""
    axes = camera.orientation.T * [1.0, -1.0, -1.0]
    return np.concatenate([axes, scale * (camera.position - center)[:, None]], axis=1)


def frustum(camera: NerfiesCamera, far: float) -> Float[np.ndarray, "5 3"]:
    """The corners of what a camera sees up to a distance, and its position, in the world; without the lens's distortion."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * camera.image_size
    local = np.ones((5, 3))
    local[:4, :2] = (corners - camera.principal_point) / camera.focal_lengths
    local = far * local / np.linalg.norm(local, axis=1, keepdims=True)
    local[4] = 0.0
    return local @ camera.orientation + camera.position


def _check(camera: NerfiesCamera, path: Path) -> None:
    rotation = camera.orientation
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise InputError(
            f"{path}: orientation is no rotation (R R^T differs from 1 by {error:.3g}): compute the camera again"
        )
    for name in ("focal_length", "pixel_aspect_ratio"):
        if getattr(camera, name) <= 0:
            raise InputError(f"{path}: {name} is {getattr(camera, name):g}: it must be above 0")
    if (camera.image_size < 1).any():
        raise InputError(f"{path}: image_size is {camera.image_size.tolist()}: it must be at least 1 x 1")
    moved = abs(camera.skew) * 0.5 * camera.image_size[1] / camera.focal_lengths[1]
    if moved > _MOST_SKEW:
        raise InputError(
            f"{path}: has a skew of {moved:.3g} pixels at the image's edge; nerfstudio's cameras have none: undistort the photos first"
        )
    _check_distortion(camera, path)


def _check_distortion(camera: NerfiesCamera, path: Path) -> None:
    """Takes the distortion out, as will be done for rays, and puts it in again, all over the image."""
    if not any(camera.distortion):
        return
    across = np.linspace(0.0, 1.0, 17)
    pixels = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2) * camera.image_size
    seen = torch.from_numpy((pixels - camera.principal_point) / camera.focal_lengths)
    plain = radial_and_tangential_undistort(seen, torch.tensor(camera.distortion, dtype=torch.float64))
    missed = (_distort(plain, camera) - seen).norm(dim=-1) * camera.focal_length
    folded = (missed > _MOST_MISSED) | ~missed.isfinite() | (_stretch(plain, camera) <= 0)
    if bool(folded.any()):
        x, y = pixels[int(folded.nonzero()[0])]
        raise InputError(
            f"{path}: the distortion {camera.distortion} (k1, k2, k3, k4, p1, p2) cannot be inverted at pixel ({x:.0f}, {y:.0f}): "
            "undistort the photos first, or compute the camera again"
        )


def _distort(plain: Float[Tensor, "n 2"], camera: NerfiesCamera) -> Float[Tensor, "n 2"]:
    """The formula at the head of the file."""
    k, (p1, p2) = camera.radial_distortion, camera.tangential_distortion
    x, y = plain.unbind(-1)
    r2 = x * x + y * y
    d = 1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))
    return torch.stack(
        [x * d + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * d + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)], dim=-1
    )


def _stretch(plain: Float[Tensor, "n 2"], camera: NerfiesCamera) -> Float[Tensor, "n"]:
    """The radial distortion's derivative along the radius: where it is not above 0 the image is folded."""
    k, r2 = camera.radial_distortion, plain.square().sum(-1)
    return 1.0 + r2 * (3 * k[0] + r2 * (5 * k[1] + r2 * 7 * k[2]))
