"""What a camera path looks at: where cameras' axes meet, or where the surface that they see is densest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras
from scipy.spatial import KDTree

from nerf_plugins.axes import meeting, share_in_front
from nerf_plugins.errors import InputError

Track = Callable[[Sequence[Any]], Iterable[Any]]

CAMERAS = 16
PIXELS = 32
"""The surface is looked at from this many cameras, evenly chosen, through this many columns and rows of each image:
16,384 rays, fewer than a picture of 200 pixels has."""
NEIGHBOURHOOD = 0.3
"""Radius within which surface points are counted, in units of their median distance from their middle."""

# There is nothing to fall back on, so a point is refused only where it means nothing: one that most cameras see is what was asked for.
PARALLEL = 1e-6
IN_FRONT = 0.5


def axes_meet(poses: Float[np.ndarray, "n 4 4"]) -> Float[np.ndarray, "3"]:
    """The point nearest to the optical axes of cameras, in the least-squares sense.

    Raises:
        InputError: there are fewer than two cameras, their axes are parallel, or the point is behind most of the cameras.
    """
    advice = "give --point: three numbers, or surface"
    if len(poses) < 2:
        raise InputError(f"point of interest: the axis of {len(poses)} training camera meets no other; {advice}")
    positions, views = poses[:, :3, 3], -poses[:, :3, 2]
    found = meeting(positions, views)
    if found.spread < PARALLEL:
        raise InputError(f"point of interest: the training cameras' axes are parallel and meet nowhere; {advice}")
    if share_in_front(found.point, positions, views) < IN_FRONT:
        raise InputError(f"point of interest: the training cameras' axes meet behind most of the cameras; {advice}")
    return found.point


def surface_points(model: Any, cameras: Cameras, track: Track = iter) -> Float[np.ndarray, "n 3"]:
    """Where rays of some pixels of some cameras meet the surface.

    Args:
        model: a nerfstudio model of rays, for evaluation; ``depth`` is the distance along the ray.
        cameras: on the model's device.
        track: passes the list of cameras on, as a progress bar does.

    Returns:
        Points of the rays that are at least half absorbed.

    Raises:
        InputError: the model gives no depth.
    """
    chosen = np.unique(np.linspace(0, len(cameras) - 1, CAMERAS).round().astype(int)).tolist()
    return np.concatenate([_points_of_camera(model, cameras, i) for i in track(chosen)])


@torch.no_grad()
def _points_of_camera(model: Any, cameras: Cameras, index: int) -> Float[np.ndarray, "n 3"]:
    height, width = int(cameras.height[index]), int(cameras.width[index])
    rows, columns = ((torch.arange(PIXELS, device=cameras.device) + 0.5) * (side / PIXELS) for side in (height, width))
    coords = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)
    rays = cameras.generate_rays(camera_indices=index, coords=coords)
    outputs = model(rays)
    if "depth" not in outputs or "accumulation" not in outputs:
        raise InputError(f"point of interest: a {type(model).__name__} gives no depth of rays; give another --point")
    seen = outputs["accumulation"].reshape(-1) > 0.5
    points = rays.origins + rays.directions * outputs["depth"].reshape(-1, 1)
    return points[seen].double().cpu().numpy()


def densest_point(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3"]:
    """The one of the points that has most others around it.

    Raises:
        InputError: there are none.
    """
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        raise InputError(
            "point of interest: the model has no surface before its cameras; train longer or give another --point"
        )
    scale = np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1))
    counts = KDTree(points).query_ball_point(points, NEIGHBOURHOOD * scale, return_length=True)
    return points[int(np.argmax(counts))]
