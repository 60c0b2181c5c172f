"""Which way is up, where the cameras look, and how large a reconstruction is: its frame is arbitrary until these set it.

Poses here are camera-to-world, x right, y down, z forward (OpenCV, COLMAP).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nerf_plugins.axes import meeting, share_in_front

_DOWNWARDS = 0.3
"""Mean of the cameras' own up directions along the vertical below which it says nothing: they look down, or hang both ways."""

# Stricter than a camera path is: the points are there to fall back on, and a middle far outside makes the whole scene tiny.
_SPREAD = 0.02
_IN_FRONT = 0.8


@dataclass(frozen=True)
class Similarity:
    """x -> scale rotation x + translation."""

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]
    scale: float


def vertical(poses: Float[np.ndarray, "n 3 4"]) -> Float[np.ndarray, "3"]:
    """The direction against gravity, as a unit vector.

    Who holds a camera keeps its horizon level, whether it looks up or down: the vertical is the direction that the cameras' x axes
    are most orthogonal to, the eigenvector of least eigenvalue of sum(x x^T). Where they all look one way it is undetermined about
    that way, and where photos lie on their side it is wrong: then it is the mean of the cameras' up directions.
    """
    across, up, forward = poses[:, :, 0], -poses[:, :, 1], poses[:, :, 2]
    mean_up = up.mean(axis=0)
    values, vectors = np.linalg.eigh(across.T @ across / len(across))
    axis = vectors[:, 0]
    along = float(axis @ mean_up)
    determined = values[0] < 0.3 * values[1] and values[1] > 0.02
    if determined and abs(along) > max(_DOWNWARDS, 0.7 * float(np.linalg.norm(mean_up))):
        return axis * np.sign(along)
    looks_down = abs(float(axis @ forward.mean(axis=0))) > 0.7
    if determined and abs(along) <= _DOWNWARDS and looks_down:
        return -axis * np.sign(float(axis @ forward.mean(axis=0)))
    return _unit(mean_up) if np.linalg.norm(mean_up) > 1e-3 else axis


def focus(poses: Float[np.ndarray, "n 3 4"], points: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "3"]:
    """The point nearest to all optical axes.

    Where the axes are nearly parallel, or meet behind most cameras (as in a room that is looked at from its middle), it is the median
    of the points.
    """
    centres, forward = poses[:, :, 3], poses[:, :, 2]
    found = meeting(centres, forward)
    if found.spread > _SPREAD and share_in_front(found.point, centres, forward) > _IN_FRONT:
        return found.point
    return np.median(points, axis=0)


def upright(poses: Float[np.ndarray, "n 3 4"], points: Float[np.ndarray, "m 3"]) -> Similarity:
    """What takes a reconstruction to z up, the focus at the origin, and the farthest camera at distance 1 from it."""
    up, centre = vertical(poses), focus(poses, points)
    ahead = poses[:, :, 2].mean(axis=0)
    ahead = ahead - up * (ahead @ up)
    if np.linalg.norm(ahead) < 1e-3:
        ahead = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    ahead = _unit(ahead)
    rotation = np.stack([np.cross(ahead, up), ahead, up])
    scale = 1.0 / max(float(np.linalg.norm(poses[:, :, 3] - centre, axis=1).max()), 1e-9)
    return Similarity(rotation, -scale * rotation @ centre, scale)


def _unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return vector / np.linalg.norm(vector)
