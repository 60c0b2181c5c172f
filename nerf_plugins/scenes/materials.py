"""What a surface looks like: two colours blended by a pattern in the shape's own frame, and a gloss.

A pattern is a function of the points ``(..., 3)`` in that frame and returns the share ``(...,)`` in [0, 1] of the second
colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nerf_plugins.scenes.arrays import Scalars, Vectors

Color = tuple[float, float, float]
Pattern = Callable[[Vectors], Scalars]


def plain(p: Vectors) -> Scalars:
    """The first colour everywhere."""
    return np.zeros(p.shape[:-1])


@dataclass(frozen=True)
class Material:
    """Linear-light colours in [0, 1], and the strength and exponent of the highlight (0: matt)."""

    first: Color
    second: Color = (0.0, 0.0, 0.0)
    pattern: Pattern = plain
    specular: float = 0.0
    shininess: float = 40.0

    def albedo(self, p: Vectors) -> Vectors:
        """Colour ``(..., 3)`` at the points ``(..., 3)`` of the shape's frame."""
        share = self.pattern(p)[..., None]
        return np.asarray(self.first) * (1.0 - share) + np.asarray(self.second) * share


def stripes(axis: int, period: float, share: float = 0.5) -> Pattern:
    """Bands across an axis, ``period`` apart in world units; ``share`` of each is the second colour."""
    return lambda p: _band(p[..., axis] / period, share)


def checker(period: float) -> Pattern:
    """Cubes of side ``period / 2`` in alternating colours, one centred on the origin."""
    return lambda p: (np.floor(p / (0.5 * period) + 0.5).sum(axis=-1) % 2 != 0).astype(np.float64)


def globe_checker(meridians: int, parallels: int) -> Pattern:
    """Fields of a globe: ``2 meridians`` round the z axis and ``2 parallels`` from pole to pole."""

    def pattern(p: Vectors) -> Scalars:
        polar = np.arctan2(np.hypot(p[..., 0], p[..., 1]), p[..., 2]) / np.pi
        east, south = _band(_turn(p) * meridians), _band(polar * parallels)
        return np.abs(east - south)

    return pattern


def rings(period: float, share: float = 0.5) -> Pattern:
    """Circles around the z axis, ``period`` apart in world units."""
    return lambda p: _band(np.hypot(p[..., 0], p[..., 1]) / period, share)


def spiral(turns: int, pitch: float) -> Pattern:
    """``turns`` bands that wind around the z axis, climbing ``turns pitch`` a round."""
    return lambda p: _band(_turn(p) * turns + p[..., 2] / pitch)


def sectors(count: int) -> Pattern:
    """``2 count`` equal sectors around the z axis, in alternating colours."""
    return lambda p: _band(_turn(p) * count)


def _turn(p: Vectors) -> Scalars:
    """Angle around the z axis in turns, in [-0.5, 0.5]."""
    return np.arctan2(p[..., 1], p[..., 0]) / (2.0 * np.pi)


def _band(phase: Scalars, share: float = 0.5) -> Scalars:
    """1 in the last ``share`` of each unit of the phase, else 0."""
    return (phase - np.floor(phase) >= 1.0 - share).astype(np.float64)
