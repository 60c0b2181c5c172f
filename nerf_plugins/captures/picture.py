"""`capture.png`: the cameras and the sparse points from above and from the side."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

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
_FRUSTUM = 0.07
"""Length of a camera's frustum, over the farthest camera's distance from the focus."""


def draw_capture(reconstruction: Reconstruction, doubtful: Collection[str], path: Path) -> None:
    """Writes the picture: cameras blue, doubtful ones red, the points in their own colours."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 6.5), layout="constrained")
    points = reconstruction.points[:: max(len(reconstruction.points) // _MOST_POINTS, 1)]
    radius = _radius(reconstruction, points[:, :3])
    for axes, (i, j), title in zip(panels, [(0, 1), (0, 2)], ["from above", "from the side (up is up)"]):
        inside = np.abs(points[:, [i, j]]).max(axis=1) < radius
        shown = points[inside]
        axes.scatter(shown[:, i], shown[:, j], s=2, c=shown[:, 3:6] / 255.0, linewidths=0)
        _draw_cameras(axes, reconstruction, doubtful, (i, j))
        axes.set(
            aspect="equal",
            xlim=(-radius, radius),
            ylim=(-radius, radius),
            title=title,
            xlabel="xyz"[i],
            ylabel="xyz"[j],
        )
        axes.grid(alpha=0.3)
    count, total = len(reconstruction.posed), len(reconstruction.matched)
    figure.suptitle(
        f"{count} of {total} photos, {len(reconstruction.points)} points, {reconstruction.error:.2f} px"
        + (f"; red: {len(doubtful)} with few points" if doubtful else "")
    )
    with finished(path) as part:
        figure.savefig(part, dpi=110, format="png")
    plt.close(figure)


def _radius(reconstruction: Reconstruction, points: Float[np.ndarray, "m 3"]) -> float:
    """Of the part shown: all cameras, and most points unless they are far off."""
    cameras = float(np.abs(reconstruction.poses[:, :, 3]).max())
    return float(np.clip(1.05 * np.quantile(np.abs(points), 0.95), 1.15 * cameras, 2.5 * cameras))


def _draw_cameras(
    axes: Axes, reconstruction: Reconstruction, doubtful: Collection[str], plane: tuple[int, int]
) -> None:
    for wrong, color in ((False, "tab:blue"), (True, "tab:red")):
        lines = [
            line[:, list(plane)]
            for name, image in reconstruction.posed.items()
            if (name in doubtful) == wrong
            for line in frustum(np.array(image.pose), reconstruction.cameras[image.camera], _FRUSTUM)
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
