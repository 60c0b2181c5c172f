"""How cameras stand around a point: what the shapes take their sizes and directions from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerf_plugins.errors import InputError

Array = npt.NDArray[np.floating]

ALL_AROUND = 0.1
"""Cameras are all around where the mean of their unit directions is shorter than this."""
SPREAD_PERCENTILE = 90.0


class Layout(NamedTuple):
    """Cameras seen from a point.

    Attributes:
        point: `(3,)`.
        up: unit vector.
        axis: unit vector towards the cameras' middle; `up` where they are all around.
        front: unit vector, level: the side on which the cameras are, or the first of them if they are all around.
        distance: median, from the point.
        elevation: median, in degrees over the point's level.
        spread: angle to the axis, in degrees, that 9 of 10 cameras keep within.
    """

    point: Array
    up: Array
    axis: Array
    front: Array
    distance: float
    elevation: float
    spread: float


def describe_layout(poses: Array, point: Array, up: Array) -> Layout:
    """The layout of cameras with camera-to-world matrices `(n, 4, 4)`; those that stand at the point are left out.

    Raises:
        InputError: all stand there.
    """
    offsets = poses[:, :3, 3] - point
    distances = np.linalg.norm(offsets, axis=1)
    away = distances > 1e-6 * max(1.0, float(np.abs(point).max()))
    if not away.any():
        raise InputError(
            f"point of interest {format_vector(point)}: is where the camera itself stands; give another --point"
        )
    distances, directions = distances[away], offsets[away] / distances[away, None]
    mean = directions.mean(axis=0)
    axis = unit(mean) if np.linalg.norm(mean) >= ALL_AROUND else up
    level = across(mean, up)
    front = unit(level) if np.linalg.norm(level) >= ALL_AROUND else perpendicular(up, directions[0])
    angles = np.degrees(np.arccos(np.clip(directions @ axis, -1.0, 1.0)))
    return Layout(
        point,
        up,
        axis,
        front,
        distance=float(np.median(distances)),
        elevation=float(np.median(np.degrees(np.arcsin(np.clip(directions @ up, -1.0, 1.0))))),
        spread=float(np.percentile(angles, SPREAD_PERCENTILE)),
    )


def nearest_axis(direction: Array) -> Array:
    """The coordinate axis, positive or negative, nearest to a direction; z where the direction is 0."""
    if np.linalg.norm(direction) < 1e-6:
        return np.array([0.0, 0.0, 1.0])
    largest = int(np.abs(direction).argmax())
    axis = np.zeros(3)
    axis[largest] = np.sign(direction[largest])
    return axis


def unit(vector: Array) -> Array:
    """A vector of length 1, or vectors along the last axis."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def across(vector: Array, axis: Array) -> Array:
    """The part of a vector that is perpendicular to a unit vector."""
    return vector - (vector @ axis) * axis


def perpendicular(axis: Array, *hints: Array) -> Array:
    """The unit vector perpendicular to a unit vector that is nearest to the first hint not parallel to it, or else to x or y."""
    for hint in (*hints, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])):
        part = across(hint, axis)
        if np.linalg.norm(part) > 1e-3 * np.linalg.norm(hint):
            return unit(part)
    raise AssertionError("x and y are not both parallel to one axis")


def format_vector(vector: Array) -> str:
    """Short, for messages."""
    return "(" + ", ".join(f"{round(x, 6) + 0.0:.3g}" for x in vector) + ")"
