"""The shapes of camera paths: camera-to-world matrices `(n, 4, 4)`, float64, with nerfstudio's axes (x right, y up, looking along -z).

Around a point `p`, with an axis `a` and two directions `e`, `f` that make a right-handed frame `(e, f, a)`, a view of distance `d`,
angle `θ` and azimuth `φ` stands at

    p + d (cos θ a + sin θ (cos φ e + sin φ f))

and looks at `p`. Angles are in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from nerf_plugins.camera_paths.layout import Layout, perpendicular, unit

Array = npt.NDArray[np.floating]


def orbit(layout: Layout, frames: int, distance: float, elevation: float, start: float, arc: float) -> Array:
    """A circle around the up axis, or an arc of it.

    Args:
        layout: gives point, up, and the front that azimuths count from.
        frames: number of views.
        distance: of the views from the point.
        elevation: of the views over the point's level.
        start: first azimuth.
        arc: azimuths to go; a whole circle ends one view before its beginning, an arc at its end.
    """
    azimuths = start + arc * _shares(frames, closed=is_closed(arc))
    return _around(
        layout, layout.up, layout.front, np.full(frames, 90.0 - elevation), azimuths, np.full(frames, distance)
    )


def is_closed(arc: float) -> bool:
    """Whether an arc is of whole circles."""
    return arc != 0.0 and abs(arc) % 360.0 == 0.0


def spiral(
    layout: Layout,
    frames: int,
    axis: Array,
    turns: float,
    angles: tuple[float, float],
    distances: tuple[float, float],
) -> Array:
    """Turns around an axis, while angle and distance go evenly from their first to their last value."""
    shares = _shares(frames, closed=False)
    first = perpendicular(axis, layout.up, layout.front)
    angle, distance = (a + (b - a) * shares for a, b in (angles, distances))
    return _around(layout, axis, first, angle, 360.0 * turns * shares, distance)


def cone(layout: Layout, frames: int, axis: Array, angles: Sequence[float], distances: Sequence[float]) -> Array:
    """A circle around an axis for each angle and distance, one after the other, with `frames` in all; the first ones get what is left
    over."""
    counts = [frames // len(angles) + (i < frames % len(angles)) for i in range(len(angles))]
    azimuths = np.concatenate([360.0 * _shares(count, closed=True) for count in counts])
    first = perpendicular(axis, layout.up, layout.front)
    return _around(layout, axis, first, np.repeat(angles, counts), azimuths, np.repeat(distances, counts))


def dolly(layout: Layout, frames: int, direction: Array, distances: tuple[float, float]) -> Array:
    """A straight line along a direction, with even steps from the first to the last distance."""
    distance = distances[0] + (distances[1] - distances[0]) * _shares(frames, closed=False)
    spare = np.broadcast_to(layout.front, (frames, 3))
    return look_at(layout.point + distance[:, None] * unit(direction), layout.point, layout.up, spare)


def interpolate(poses: Array, fovs: Array, steps: int, closed: bool) -> tuple[Array, Array]:
    """A path through poses, exact at each of them.

    Positions and fields of view follow monotone cubic splines (no overshoot: Fritsch and Carlson, 1980), rotations a spline with
    continuous angular acceleration; the path moves from each pose to the next in the same number of steps.

    Args:
        poses: camera-to-world matrices `(n, 4, 4)`, n >= 2.
        fovs: fields of view `(n,)`.
        steps: views from a pose to the next.
        closed: return to the first pose, which is not repeated at the end.

    Returns:
        Poses `(m, 4, 4)` and fields of view `(m,)`, m = n steps if closed, else (n - 1) steps + 1.
    """
    n = len(poses)
    # A closed path is wound on at both ends, so that it is smooth where it closes.
    knots = np.arange(-3, n + 4) if closed else np.arange(n)
    times = np.arange(n * steps if closed else (n - 1) * steps + 1) / steps
    path = np.tile(np.eye(4), (len(times), 1, 1))
    path[:, :3, :3] = RotationSpline(knots, Rotation.from_matrix(poses[knots % n, :3, :3]))(times).as_matrix()
    path[:, :3, 3] = PchipInterpolator(knots, poses[knots % n, :3, 3])(times)
    return path, PchipInterpolator(knots, fovs[knots % n])(times)


def order_by_nearest(positions: Array) -> list[int]:
    """Indices of positions `(n, 3)`: the first, then always the nearest one that is left."""
    order, left = [0], list(range(1, len(positions)))
    while left:
        distances = np.linalg.norm(positions[left] - positions[order[-1]], axis=1)
        order.append(left.pop(int(distances.argmin())))
    return order


def look_at(positions: Array, target: Array, up: Array, spare: Array) -> Array:
    """Views from `positions` `(n, 3)` to a target, their y axes turned towards `up`.

    Args:
        positions: none of them the target.
        target: `(3,)`.
        up: `(3,)`.
        spare: `(n, 3)`, in the place of `up` for a view along it.
    """
    back = unit(positions - target)
    upward = np.where(np.linalg.norm(np.cross(up, back), axis=1, keepdims=True) > 1e-6, up, spare)
    right = unit(np.cross(upward, back))
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3] = np.stack([right, np.cross(back, right), back, positions], axis=2)
    return poses


def _around(layout: Layout, axis: Array, first: Array, angles: Array, azimuths: Array, distances: Array) -> Array:
    """The views of the module's docstring, with `first` as `e`; all `(n,)`."""
    theta, phi = np.radians(angles)[:, None], np.radians(azimuths)[:, None]
    sideways = np.cos(phi) * first + np.sin(phi) * np.cross(axis, first)
    offsets = distances[:, None] * (np.cos(theta) * axis + np.sin(theta) * sideways)
    # On the up axis a view keeps the roll that it has beside it.
    return look_at(layout.point + offsets, layout.point, layout.up, spare=-sideways)


def _shares(count: int, closed: bool) -> Array:
    """Even steps from 0 to 1, without the 1 if closed."""
    return np.arange(count) / max(count if closed else count - 1, 1)
