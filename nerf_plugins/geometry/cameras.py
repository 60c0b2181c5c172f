"""Cameras for geometry: where a point is in an image (numpy only)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


class Camera(NamedTuple):
    """A perspective camera with nerfstudio's conventions.

    Attributes:
        pose: camera-to-world `(3, 4)`: x right, y up, looking along -z.
        fx, fy, cx, cy: focal lengths and principal point in pixels; the first pixel's centre is (0.5, 0.5).
        width, height: of the image, in pixels.
        distortion: `(k1, k2, k3, k4, p1, p2)`, as `project` says.
    """

    pose: Array
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = (0.0,) * 6


class Pixels(NamedTuple):
    """Where points are in an image: `column` and `row` `(n,)`, and whether they are in it, in front of the camera."""

    column: npt.NDArray[np.integer]
    row: npt.NDArray[np.integer]
    in_image: npt.NDArray[np.bool_]


def project(points: Array, camera: Camera) -> Pixels:
    """The pixels of points `(n, 3)`.

    With `(x, y)` the point on the plane at distance 1, y down, and `r² = x² + y²`, the lens takes it to

        x (1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸) + 2 p1 x y + p2 (r² + 2 x²), and y alike with p1 and p2 exchanged.
    """
    local = (points - camera.pose[:, 3]) @ (camera.pose[:, :3] * [1.0, -1.0, -1.0])  # x right, y down, looking along z
    in_front = local[:, 2] > 1e-6
    x, y = (local[:, :2] / np.where(in_front, local[:, 2], 1.0)[:, None]).T
    k1, k2, k3, k4, p1, p2 = camera.distortion
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4)))
    u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    v = y * radial + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y)
    column = np.floor(np.clip(camera.fx * u + camera.cx, -1.0, camera.width)).astype(np.int64)
    row = np.floor(np.clip(camera.fy * v + camera.cy, -1.0, camera.height)).astype(np.int64)
    in_image = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return Pixels(column, row, in_image)
