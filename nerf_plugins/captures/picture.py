"""Cameras and sparse points from above and from the side: `capture.png`, and other such pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from nerf_plugins.captures.files import finished
from nerf_plugins.captures.job import Intrinsics, Reconstruction

_MOST_POINTS = 20_000
_FRUSTUM = 0.06
"""Length of a camera's frustum, over the radius of the part shown."""


class View(NamedTuple):
    """A camera of the picture.

    Attributes:
        pose: camera-to-world, x right, y down, z forward.
        camera: what makes the frustum's shape.
        is_marked: red.
    """

    pose: Float[np.ndarray, "3 4"]
    camera: Intrinsics
    is_marked: bool


def draw_capture(reconstruction: Reconstruction, doubtful: Collection[str], path: Path) -> None:
    """Writes the picture of a reconstruction, doubtful cameras red."""
    views = [
        View(np.array(image.pose), reconstruction.cameras[image.camera], name in doubtful)
        for name, image in reconstruction.posed.items()
    ]
    count, total = len(reconstruction.posed), len(reconstruction.matched)
    title = f"{count} of {total} photos, {len(reconstruction.points)} points, {reconstruction.error:.2f} px"
    title += f"; red: {len(doubtful)} doubtful" if doubtful else ""
    with finished(path) as part:
        draw_views(views, reconstruction.points[:, :6], title, part)


def draw_views(views: Sequence[View], points: Float[np.ndarray, "m 6"], title: str, path: Path) -> None:
    """Writes a PNG of cameras and points (position, and colour in 0 ... 255) around the origin; z is up. Cameras are blue or, where
    marked, red."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 6.5), layout="constrained")
    points = points[:: max(len(points) // _MOST_POINTS, 1)]
    radius = _radius(np.stack([view.pose[:, 3] for view in views]), points[:, :3])
    for axes, (i, j), name in zip(panels, [(0, 1), (0, 2)], ["from above", "from the side (up is up)"]):
        shown = points[np.abs(points[:, [i, j]]).max(axis=1) < radius]
        axes.scatter(shown[:, i], shown[:, j], s=2, c=shown[:, 3:6] / 255.0, linewidths=0)
        _draw_cameras(axes, views, (i, j), _FRUSTUM * radius)
        axes.set(
            aspect="equal",
            xlim=(-radius, radius),
            ylim=(-radius, radius),
            title=name,
            xlabel="xyz"[i],
            ylabel="xyz"[j],
        )
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def _radius(positions: Float[np.ndarray, "n 3"], points: Float[np.ndarray, "m 3"]) -> float:
    """Of the part shown: all cameras, and most points unless they are far off."""
    cameras = max(float(np.abs(positions).max()), 1e-6)
    reach = np.quantile(np.abs(points), 0.95) if len(points) else 0.0
    return float(np.clip(1.05 * reach, 1.15 * cameras, 2.5 * cameras))


def _draw_cameras(axes: Axes, views: Sequence[View], plane: tuple[int, int], length: float) -> None:
    for marked, color in ((False, "tab:blue"), (True, "tab:red")):
        lines = [
            line[:, list(plane)]
            for view in views
            if view.is_marked == marked
            for line in frustum(view.pose, view.camera, length)
        ]
        axes.add_collection(LineCollection(lines, colors=color, linewidths=0.8))


def frustum(pose: Float[np.ndarray, "3 4"], camera: Intrinsics, length: float) -> Float[np.ndarray, "8 2 3"]:
    """The edges of a camera's pyramid, `length` high: from its centre to the corners of the picture, and around them."""
    x = np.array([-camera.cx, camera.width - camera.cx]) / camera.fx
    y = np.array([-camera.cy, camera.height - camera.cy]) / camera.fy
    corners = np.array([[x[0], y[0], 1], [x[1], y[0], 1], [x[1], y[1], 1], [x[0], y[1], 1]]) * length
    corners = corners @ pose[:, :3].T + pose[:, 3]
    around = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    rays = np.stack([np.broadcast_to(pose[:, 3], corners.shape), corners], axis=1)
    return np.concatenate([rays, around])
