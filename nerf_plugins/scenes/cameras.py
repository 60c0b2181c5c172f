"""A camera; and poses on a dome around a scene, spread evenly, with held-out ones in the gaps between them.

The training views follow a Fibonacci spiral: view ``s`` of ``N`` has its height at ``z = low + (high - low) (s + 1/2) / N``,
with equal area for each, and its azimuth at ``s`` times the golden angle. Held-out views take ``s`` halfway between two
whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
"""In radians; multiples of it never come close to repeating."""


@dataclass(frozen=True)
class Camera:
    """A perspective camera with the conventions of nerfstudio and Blender.

    Attributes:
        pose: camera-to-world, a rotation and the position: x right, y up, looking along -z.
        fx, fy, cx, cy: focal lengths and principal point in pixels; the first pixel's centre is (0.5, 0.5).
        width, height: of the image, in pixels.
        distortion: ``(k1, k2, k3, k4, p1, p2)`` of the lens, as ``geometry.cameras.project`` says.
    """

    pose: Float[np.ndarray, "3 4"]
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = (0.0,) * 6

    @classmethod
    def centred(
        cls, pose: Float[np.ndarray, "4 4"] | Float[np.ndarray, "3 4"], focal: float, width: int, height: int
    ) -> Camera:
        """One with square pixels that looks through the middle of its image."""
        return cls(pose[:3], focal, focal, 0.5 * width, 0.5 * height, width, height)


def look_at(position: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """Camera-to-world matrix ``(4, 4)`` at ``position``, looking along its -z axis at ``target``, with the world's z up."""
    back = position - target
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(back, right), back, position], axis=1)
    return matrix


def dome(
    s: Float[np.ndarray, "n_views"],
    count: int,
    target: Float[np.ndarray, "3"],
    radius: float,
    elevation: tuple[float, float],
) -> Float[np.ndarray, "n_views 4 4"]:
    """Camera-to-world matrices ``(V, 4, 4)`` of the places ``s`` ``(V,)`` on the spiral of ``count`` views.

    The cameras are ``radius`` away from ``target``, with elevations between the two in degrees.
    """
    low, high = np.sin(np.radians(elevation))
    z = low + (high - low) * np.clip((s + 0.5) / count, 0.0, 1.0)
    azimuth = s * GOLDEN_ANGLE
    around = np.sqrt(1.0 - z * z)
    offsets = radius * np.stack([around * np.cos(azimuth), around * np.sin(azimuth), z], axis=-1)
    return np.stack([look_at(target + offset, target) for offset in offsets])


def held_out_places(count: int, held_out: int) -> Float[np.ndarray, "held_out"]:
    """``held_out`` places ``(held_out,)`` on the spiral of ``count`` views, evenly spread, none of them a whole number.

    Each is halfway between two views; where more are asked for than there are views, those of one gap share it evenly.
    """
    gap = np.floor((np.arange(held_out) + 0.5) * count / held_out)
    first, last = np.searchsorted(gap, gap, side="left"), np.searchsorted(gap, gap, side="right")
    return gap + (np.arange(held_out) - first + 1.0) / (last - first + 1.0)


def pick_evenly(count: int, chosen: int) -> Bool[np.ndarray, "count"]:
    """A mask ``(count,)`` with ``chosen`` entries set, evenly spread."""
    mask = np.zeros(count, dtype=bool)
    mask[((np.arange(chosen) + 0.5) * count / max(chosen, 1)).astype(int)] = True
    return mask
