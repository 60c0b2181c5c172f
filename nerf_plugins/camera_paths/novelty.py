"""How new a view is: how far it is from what the model was trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Novelty(NamedTuple):
    """Of ``n`` views, against the ``k`` nearest training cameras of each, the nearest first.

    Attributes:
        nearest: indices of these training cameras.
        distances: between the positions, in the model's unit.
        angles: between the directions of view, in degrees.
        least_angle: to the training camera, of all, that looks most nearly the same way, in degrees.
    """

    nearest: Int[np.ndarray, "n k"]
    distances: Float[np.ndarray, "n k"]
    angles: Float[np.ndarray, "n k"]
    least_angle: Float[np.ndarray, "n"]

    @property
    def distance(self) -> Float[np.ndarray, "n"]:
        """To the nearest training camera."""
        return self.distances[:, 0]


def view_novelty(views: Float[np.ndarray, "n 4 4"], training: Float[np.ndarray, "m 4 4"], k: int) -> Novelty:
    """The novelty of views.

    Args:
        views: camera-to-world matrices.
        training: those of the training cameras, one or more.
        k: number of nearest cameras; m where there are fewer.
    """
    distances, angles = _differences(views, training)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    chosen = (np.take_along_axis(values, nearest, axis=1) for values in (distances, angles))
    return Novelty(nearest, *chosen, least_angle=angles.min(axis=1))


def spacing(training: Float[np.ndarray, "m 4 4"]) -> tuple[float, float] | None:
    """How near training cameras are to each other: the median over them of the distance to the nearest other and of the angle
    to the one that looks most nearly the same way. None for a single one."""
    if len(training) < 2:
        return None
    distances, angles = _differences(training, training)
    for values in (distances, angles):
        np.fill_diagonal(values, np.inf)
    return float(np.median(distances.min(axis=1))), float(np.median(angles.min(axis=1)))


def _differences(
    views: Float[np.ndarray, "n 4 4"], others: Float[np.ndarray, "m 4 4"]
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
    """Distances between positions and angles between directions of view."""
    distances = np.linalg.norm(views[:, None, :3, 3] - others[None, :, :3, 3], axis=2)
    a, b = (poses[:, :3, 2] / np.linalg.norm(poses[:, :3, 2], axis=1, keepdims=True) for poses in (views, others))
    # Exact for small angles, where the arc cosine of a rounded product is not.
    chords = np.linalg.norm(a[:, None] - b[None], axis=2)
    return distances, np.degrees(2.0 * np.arcsin(np.clip(0.5 * chords, 0.0, 1.0)))
