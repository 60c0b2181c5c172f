"""How cameras stand around a point: what the shapes take their sizes and directions from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nerf_plugins.camera_paths.shapes.base import Layout
from nerf_plugins.errors import InputError

ALL_AROUND = 0.1
"""Cameras are all around where the mean of their unit directions is shorter than this; that of 100 random ones is about as long."""
SPREAD_PERCENTILE = 90.0
"""Not the largest angle, which one stray camera would make."""


def describe_layout(
    poses: Float[np.ndarray, "n 4 4"],
    point: Float[np.ndarray, "3"],
    up: Float[np.ndarray, "3"],
    paths: Sequence[Path] = (),
) -> Layout:
    """The layout of cameras with these camera-to-world matrices; those that stand at the point are left out of its measures.

    Raises:
        InputError: all stand there.
    """
    offsets = poses[:, :3, 3] - point
    distances = np.linalg.norm(offsets, axis=1)
    # Some roundings of single precision, in which datasets hold their cameras.
    away = distances > 1e-6 * max(1.0, float(np.abs(point).max()))
    if not away.any():
        raise InputError(
            f"point of interest {format_vector(point)}: is where the camera itself stands; give another --point"
        )
    directions = offsets[away] / distances[away, None]
    mean = directions.mean(axis=0)
    axis = unit(mean) if np.linalg.norm(mean) >= ALL_AROUND else up
    level = across(mean, up)
    front = unit(level) if np.linalg.norm(level) >= ALL_AROUND else perpendicular(up, directions[0])
    angles = np.degrees(np.arccos(np.clip(directions @ axis, -1.0, 1.0)))
    return Layout(
        *(tuple(vector.tolist()) for vector in (point, up, axis, front)),
        distance=float(np.median(distances[away])),
        elevation=float(np.median(np.degrees(np.arcsin(np.clip(directions @ up, -1.0, 1.0))))),
        spread=float(np.percentile(angles, SPREAD_PERCENTILE)),
        offsets=[tuple(offset) for offset in offsets.tolist()],
        paths=paths,
    )


def nearest_axis(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The coordinate axis, positive or negative, nearest to a direction; z where the direction is 0."""
    if np.linalg.norm(direction) < 1e-6:
        return np.array([0.0, 0.0, 1.0])
    largest = int(np.abs(direction).argmax())
    axis = np.zeros(3)
    axis[largest] = np.sign(direction[largest])
    return axis


def unit(vector: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """The vectors, made 1 long."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def across(vector: Float[np.ndarray, "3"], axis: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The part of a vector that is perpendicular to a unit vector."""
    return vector - (vector @ axis) * axis


def perpendicular(axis: Float[np.ndarray, "3"], *hints: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The unit vector perpendicular to a unit vector that is nearest to the first hint not parallel to it, or else to x or y."""
    for hint in (*hints, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])):
        part = across(hint, axis)
        if np.linalg.norm(part) > 1e-3 * np.linalg.norm(hint):
            return unit(part)
    raise AssertionError("x and y are not both parallel to one axis")


def format_vector(vector: Sequence[float] | Float[np.ndarray, "3"]) -> str:
    """Short, for messages."""
    return "(" + ", ".join(f"{round(x, 6) + 0.0:.3g}" for x in vector) + ")"
