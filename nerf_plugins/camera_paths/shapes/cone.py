"""``cone``: circles around an axis, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nerf_plugins.camera_paths import checks
from nerf_plugins.camera_paths.shapes.base import Around, AroundPointOptions, Layout, Vector, View, round_trip
from nerf_plugins.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ConeOptions(AroundPointOptions):
    """Circles around an axis through the point, one after the other, each of constant angle and distance.

    The frames are shared out evenly among the circles.
    """

    shape: ClassVar[str] = "cone"

    angles: tuple[float, ...] | None = None
    """For each circle the angle between axis and view, in degrees.
    None, and no radii either: evenly up to what 9 of 10 training cameras keep within, three or as many as there are distances."""
    radii: tuple[float, ...] | None = None
    """Instead of angles: for each circle its radius, at most the distance."""
    distances: tuple[float, ...] | None = None
    """From the point to the views, for each circle or one for all. None: the training cameras' median."""
    axis: Vector | None = None
    """From the point. None: towards the training cameras' middle, or up if they are all around."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        checks.direction("axis", self.axis)
        for name, values in (("angles", self.angles), ("radii", self.radii), ("distances", self.distances)):
            if values == ():
                raise InputError(f"cone: --{name} without a number: give one or more, or leave it out")
        checks.angles("angles", self.angles or ())
        checks.distances("distances", self.distances or ())
        for radius in self.radii or ():
            checks.positive("radii", radius)
        if self.angles and self.radii:
            raise InputError("cone: give angles or radii, not both")
        n_circles, n_distances = len(self.angles or self.radii or ()), len(self.distances or ())
        if n_circles > 1 and n_distances > 1 and n_circles != n_distances:
            raise InputError(
                f"cone: {n_circles} circles but {n_distances} distances: give one for each, or one for all"
            )

    def around(self, layout: Layout) -> Around:
        """See ``AroundPointOptions``."""
        circles = self._circles(layout)
        if self.frames < len(circles):
            raise InputError(f"frames {self.frames}: give at least one for each of the {len(circles)} circles")
        views = []
        for i, (angle, distance) in enumerate(circles):
            count = self.frames // len(circles) + (
                i < self.frames % len(circles)
            )  # the first ones get what is left over
            views += [View(angle, azimuth, distance) for azimuth in round_trip(count)]
        return Around(self.axis or layout.axis, views)

    def _circles(self, layout: Layout) -> list[tuple[float, float]]:
        """Angle and distance of each circle."""
        given = self.angles or self.radii
        distances = self.distances or (layout.distance,)
        n = max(len(given), len(distances)) if given else len(distances) if len(distances) > 1 else 3
        distances = _one_each(distances, n)
        if self.radii:
            return [(_angle_of_radius(r, d), d) for r, d in zip(_one_each(self.radii, n), distances)]
        angles = self.angles or [layout.some_spread() * (i + 1) / n for i in range(n)]
        return list(zip(_one_each(angles, n), distances))


def _angle_of_radius(radius: float, distance: float) -> float:
    if radius > distance:
        raise InputError(f"cone: a radius of {radius:g} is larger than the distance {distance:.4g} from the point")
    return math.degrees(math.asin(radius / distance))


def _one_each(values: Sequence[float], n: int) -> list[float]:
    return list(values) * n if len(values) == 1 else list(values)
