"""Cameras for geometry: where a point is in an image (numpy only)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from nerf_plugins.scenes import Camera

NEAREST = 1e-6
"""Depth from which on a point is in front of a camera."""


class Pixels(NamedTuple):
    """Where points are in an image: ``column`` and ``row``, and whether they are in it, in front of the camera."""

    column: Int[np.ndarray, "n"]
    row: Int[np.ndarray, "n"]
    in_image: Bool[np.ndarray, "n"]


class Placed(NamedTuple):
    """Where points are on the plane of an image that has no sides: ``x`` to the right and ``y`` down in pixels, the first one's centre at
    (1/2, 1/2); and ``depth``, the distance along the camera's axis, in front of it above 0."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    depth: Float[np.ndarray, "n"]


def place(points: Float[np.ndarray, "n 3"], camera: Camera) -> Placed:
    """Where points are in an image; of those that are not in front of the camera only the depth means anything.

    With ``(x, y)`` the point on the plane at distance 1, y down, and ``r² = x² + y²``, the lens takes it to

        x (1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸) + 2 p1 x y + p2 (r² + 2 x²), and y alike with p1 and p2 exchanged.
    """
    local = (points - camera.pose[:, 3]) @ (camera.pose[:, :3] * [1.0, -1.0, -1.0])  # x right, y down, looking along z
    in_front = local[:, 2] > NEAREST
    x, y = (local[:, :2] / np.where(in_front, local[:, 2], 1.0)[:, None]).T
    k1, k2, k3, k4, p1, p2 = camera.distortion
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4)))
    u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    v = y * radial + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y)
    return Placed(camera.fx * u + camera.cx, camera.fy * v + camera.cy, local[:, 2])


def project(points: Float[np.ndarray, "n 3"], camera: Camera) -> Pixels:
    """The pixels of points."""
    x, y, depth = place(points, camera)
    in_front = depth > NEAREST
    column = np.floor(np.clip(x, -1.0, camera.width)).astype(np.int64)
    row = np.floor(np.clip(y, -1.0, camera.height)).astype(np.int64)
    in_image = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return Pixels(column, row, in_image)
