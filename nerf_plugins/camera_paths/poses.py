"""From what a shape says of its views to camera-to-world matrices, float64, with nerfstudio's axes (x right, y up, looking along -z).

Around a point ``p``, with an axis ``a`` and two directions ``e``, ``f`` that make a right-handed frame ``(e, f, a)``, a view of distance
``d``, angle ``θ`` and azimuth ``φ`` stands at

    p + d (cos θ a + sin θ (cos φ e + sin φ f))

and looks at ``p``. Angles are in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from nerf_plugins.camera_paths.layout import perpendicular, unit
from nerf_plugins.camera_paths.shapes.base import Around, Layout


def poses_around(layout: Layout, around: Around) -> Float[np.ndarray, "n 4 4"]:
    """The views of the module's docstring; ``e`` is the direction across the axis nearest to up, or to the front if the axis is up."""
    point, up, front = (np.array(vector) for vector in (layout.point, layout.up, layout.front))
    axis = unit(np.array(around.axis, dtype=np.float64))
    first = perpendicular(axis, up, front)
    angles, azimuths, distances = np.array(around.views, dtype=np.float64).T
    theta, phi = np.radians(angles)[:, None], np.radians(azimuths)[:, None]
    sideways = np.cos(phi) * first + np.sin(phi) * np.cross(axis, first)
    offsets = distances[:, None] * (np.cos(theta) * axis + np.sin(theta) * sideways)
    # On the up axis a view keeps the roll that it has beside it.
    return look_at(point + offsets, point, up, spare=-sideways)


def poses_through(
    poses: Float[np.ndarray, "m 4 4"], fovs: Float[np.ndarray, "m"], times: Sequence[float], closed: bool
) -> tuple[Float[np.ndarray, "n 4 4"], Float[np.ndarray, "n"]]:
    """Poses and fields of view at some times on the way through given ones, exact at each of them.

    Positions and fields of view follow monotone cubic splines (no overshoot: Fritsch and Carlson, 1980), rotations a spline with
    continuous angular acceleration.

    Args:
        poses: camera-to-world matrices, two or more.
        fovs: their fields of view.
        times: 0 at the first pose, 1 at the second and so on.
        closed: after the last pose comes the first again.
    """
    m = len(poses)
    # A closed path is wound on at both ends, so that it is smooth where it closes.
    knots = np.arange(-3, m + 4) if closed else np.arange(m)
    path = np.tile(np.eye(4), (len(times), 1, 1))
    path[:, :3, :3] = RotationSpline(knots, Rotation.from_matrix(poses[knots % m, :3, :3]))(times).as_matrix()
    path[:, :3, 3] = PchipInterpolator(knots, poses[knots % m, :3, 3])(times)
    return path, PchipInterpolator(knots, fovs[knots % m])(times)


def order_by_nearest(positions: Float[np.ndarray, "n 3"]) -> list[int]:
    """Indices of positions: the first, then always the nearest one that is left."""
    order, left = [0], list(range(1, len(positions)))
    while left:
        distances = np.linalg.norm(positions[left] - positions[order[-1]], axis=1)
        order.append(left.pop(int(distances.argmin())))
    return order


def look_at(
    positions: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "3"],
    up: Float[np.ndarray, "3"],
    spare: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 4 4"]:
    """Views from positions to a target, their y axes turned towards ``up``.

    Args:
        positions: none of them the target.
        target: what all look at.
        up: what is up in the pictures.
        spare: in the place of ``up`` for a view along it.
    """
    back = unit(positions - target)
    upward = np.where(np.linalg.norm(np.cross(up, back), axis=1, keepdims=True) > 1e-6, up, spare)
    right = unit(np.cross(upward, back))
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3] = np.stack([right, np.cross(back, right), back, positions], axis=2)
    return poses
