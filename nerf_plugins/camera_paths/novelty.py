"""How new a view is: how far it is from what the model was trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


class Novelty(NamedTuple):
    """Of `n` views, against the `k` nearest training cameras of each, the nearest first.

    Attributes:
        nearest: indices of these training cameras `(n, k)`.
        distances: between the positions `(n, k)`, in the model's unit.
        angles: between the directions of view `(n, k)`, in degrees.
        least_angle: to the training camera, of all, that looks most nearly the same way `(n,)`, in degrees.
    """

    nearest: npt.NDArray[np.integer]
    distances: Array
    angles: Array
    least_angle: Array

    @property
    def distance(self) -> Array:
        """To the nearest training camera `(n,)`."""
        return self.distances[:, 0]


def view_novelty(views: Array, training: Array, k: int) -> Novelty:
    """The novelty of views.

    Args:
        views: camera-to-world matrices `(n, 4, 4)`.
        training: those of the training cameras `(m, 4, 4)`, m >= 1.
        k: number of nearest cameras; m where there are fewer.
    """
    distances, angles = _differences(views, training)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    chosen = (np.take_along_axis(values, nearest, axis=1) for values in (distances, angles))
    return Novelty(nearest, *chosen, least_angle=angles.min(axis=1))


def spacing(training: Array) -> tuple[float, float] | None:
    """How near training cameras `(m, 4, 4)` are to each other: the median over them of the distance to the nearest other and of the angle
    to the one that looks most nearly the same way. None for a single one."""
    if len(training) < 2:
        return None
    distances, angles = _differences(training, training)
    for values in (distances, angles):
        np.fill_diagonal(values, np.inf)
    return float(np.median(distances.min(axis=1))), float(np.median(angles.min(axis=1)))


def _differences(views: Array, others: Array) -> tuple[Array, Array]:
    """Distances between positions and angles between directions of view, each `(n, m)`."""
    distances = np.linalg.norm(views[:, None, :3, 3] - others[None, :, :3, 3], axis=2)
    a, b = (poses[:, :3, 2] / np.linalg.norm(poses[:, :3, 2], axis=1, keepdims=True) for poses in (views, others))
    # Exact for small angles, where the arc cosine of a rounded product is not.
    chords = np.linalg.norm(a[:, None] - b[None], axis=2)
    return distances, np.degrees(2.0 * np.arcsin(np.clip(0.5 * chords, 0.0, 1.0)))
