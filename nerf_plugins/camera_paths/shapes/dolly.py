"""``dolly``: a straight line along a direction, with even steps from the first to the last distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nerf_plugins.camera_paths import checks
from nerf_plugins.camera_paths.shapes.base import Around, AroundPointOptions, Layout, Vector, View, even_steps
from nerf_plugins.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DollyOptions(AroundPointOptions):
    """Straight towards the point, or away from it."""

    shape: ClassVar[str] = "dolly"

    start_image: int | str = 0
    """Training image whose camera gives the direction: the end of its path ("train/r_3.png"), or its number in the order of the paths."""
    direction: Vector | None = None
    """Instead of an image: direction from the point to the views."""
    distances: tuple[float, float] | None = None
    """First and last distance from the point.
    None: from that of the image's camera (with a direction: the median of all) to half of it."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        checks.direction("direction", self.direction)
        checks.distances("distances", self.distances or ())

    def around(self, layout: Layout) -> Around:
        """See ``AroundPointOptions``; the line is an axis, at the angle 0."""
        direction, far = self.direction, layout.distance
        if direction is None:
            direction, far = self._from_image(layout)
        return Around(
            direction, [View(0.0, 0.0, d) for d in even_steps(self.frames, *self.distances or (far, 0.5 * far))]
        )

    def _from_image(self, layout: Layout) -> tuple[Vector, float]:
        """From the point to the image's camera, and how far that is."""
        index = layout.find(self.start_image, "--start-image")
        far = math.hypot(*layout.offsets[index])
        if far < 1e-6 * layout.distance:
            name = layout.paths[index].name
            raise InputError(f"dolly: the camera of {name} stands at the point of interest; give another --start-image")
        return layout.offsets[index], far
