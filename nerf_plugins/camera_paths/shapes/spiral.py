"""``spiral``: turns around an axis, while angle and distance go evenly from their first to their last value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nerf_plugins.camera_paths import checks
from nerf_plugins.camera_paths.shapes.base import Around, AroundPointOptions, Layout, Vector, View, even_steps


@dataclass(frozen=True, kw_only=True)
class SpiralOptions(AroundPointOptions):
    """Turns around an axis through the point, wider and wider (or narrower, or further away).

    In front of a forward-facing scene this is the well-known flat spiral; over an object it winds down from the top.
    """

    shape: ClassVar[str] = "spiral"

    turns: float = 3.0
    """Number of turns; negative for clockwise, seen from the tip of the axis."""
    angles: tuple[float, float] | None = None
    """First and last angle between axis and view, in degrees. None: from 0 to what 9 of 10 training cameras keep within."""
    distances: tuple[float, float] | None = None
    """First and last distance from the point. None: the training cameras' median for both."""
    axis: Vector | None = None
    """From the point. None: towards the training cameras' middle, or up if they are all around."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        checks.direction("axis", self.axis)
        checks.finite("turns", (self.turns,))
        checks.angles("angles", self.angles or ())
        checks.distances("distances", self.distances or ())

    def around(self, layout: Layout) -> Around:
        """See ``AroundPointOptions``."""
        first_and_last = (
            self.angles or (0.0, layout.some_spread()),
            (0.0, 360.0 * self.turns),
            self.distances or (layout.distance, layout.distance),
        )
        views = [View(*values) for values in zip(*(even_steps(self.frames, *ends) for ends in first_and_last))]
        return Around(self.axis or layout.axis, views)
