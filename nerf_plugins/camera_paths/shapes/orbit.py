"""``orbit``: a level circle around the point, or an arc of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nerf_plugins.camera_paths import checks
from nerf_plugins.camera_paths.shapes.base import Around, AroundPointOptions, Layout, View, even_steps, round_trip
from nerf_plugins.errors import InputError

LOWEST, HIGHEST = 15.0, 40.0
"""Degrees that the elevation is kept between where it is not given: from lower much of a scene hides behind its front, from higher it
loses its height."""


@dataclass(frozen=True, kw_only=True)
class OrbitOptions(AroundPointOptions):
    """A level circle around the point."""

    shape: ClassVar[str] = "orbit"

    distance: float | None = None
    """From the point. None: the training cameras' median."""
    elevation: float | None = None
    """Degrees over the level of the point. None: the training cameras' median, but between 15 and 40."""
    start: float = 0.0
    """Degrees around the up axis to begin at. 0: on the side of the training cameras, or of the first if they are all around."""
    arc: float = 360.0
    """Degrees to go, anti-clockwise seen from above; negative for clockwise. If less than 360, the last view ends the arc."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        if self.distance is not None:
            checks.positive("distance", self.distance)
        if self.elevation is not None and not -90.0 <= self.elevation <= 90.0:
            raise InputError(f"elevation {self.elevation:g}: give degrees from -90 to 90")
        checks.finite("start", (self.start,))
        checks.finite("arc", (self.arc,))

    def around(self, layout: Layout) -> Around:
        """See ``AroundPointOptions``."""
        elevation = min(max(layout.elevation, LOWEST), HIGHEST) if self.elevation is None else self.elevation
        distance = self.distance or layout.distance
        if is_closed(self.arc):
            azimuths = round_trip(self.frames, self.start, self.arc)
        else:
            azimuths = even_steps(self.frames, self.start, self.start + self.arc)
        views = [View(90.0 - elevation, azimuth, distance) for azimuth in azimuths]
        return Around(layout.up, views, is_closed(self.arc))


def is_closed(arc: float) -> bool:
    """Whether an arc is of whole circles."""
    return arc != 0.0 and abs(arc) % 360.0 == 0.0
