"""Known motion: the file that it comes in, and how far tracks are from it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nerf_plugins.errors import InputError

NEAR = 0.05
"""Share of the object's size within which a point counts as followed."""


class Motion(NamedTuple):
    """The same material points at several times."""

    times: Float[np.ndarray, "t"]
    """Ascending, in [0, 1]."""
    points: Float[np.ndarray, "t n 3"]

    @property
    def size(self) -> float:
        """Of the object: the diagonal of its bounding box at the first time."""
        return float(np.linalg.norm(np.ptp(self.points[0], axis=0)))


class Errors(NamedTuple):
    """How far tracks are from known motion, as shares of the object's size; the first time, at which they start, does not count."""

    median: float
    near: float
    """Share of all points at all times that are within :data:`NEAR`."""
    medians: Float[np.ndarray, "t-1"]
    """Of each time."""


def read_motion(path: Path) -> Motion:
    """Reads and checks a file of known motion.

    Raises:
        InputError: it cannot be read, or is not what :class:`Motion` says.
    """
    try:
        with np.load(path) as content:
            times, points = (np.asarray(content[name], dtype=np.float64) for name in ("times", "points"))
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f'--truth {path}: cannot be read ({e}): give an npz file with "times" and "points"') from e
    if times.ndim != 1 or points.ndim != 3 or points.shape[::2] != (len(times), 3) or 0 in points.shape:
        raise InputError(
            f'--truth {path}: "times" has the shape {times.shape} and "points" {points.shape}: (t,) and (t, n, 3) are needed'
        )
    if len(times) < 2 or not (times[0] >= 0 and times[-1] <= 1 and (np.diff(times) > 0).all()):
        raise InputError(f"--truth {path}: the times must be two or more, ascending and in [0, 1], got {times}")
    if not np.isfinite(points).all():
        raise InputError(f"--truth {path}: some points are not finite: leave them out")
    return Motion(times, points)


def errors(tracks: Float[np.ndarray, "t n 3"], truth: Motion) -> Errors:
    """Of tracks that start at the first time of the truth."""
    shares = np.linalg.norm(tracks - truth.points, axis=-1)[1:] / truth.size
    return Errors(float(np.median(shares)), float((shares <= NEAR).mean()), np.median(shares, axis=1))
