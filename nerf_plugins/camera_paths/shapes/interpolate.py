"""``interpolate``: through images, with the same number of steps from each to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nerf_plugins.camera_paths import checks
from nerf_plugins.camera_paths.shapes.base import ThroughImagesOptions


@dataclass(frozen=True, kw_only=True)
class InterpolateOptions(ThroughImagesOptions):
    """Smoothly through the poses of the dataset's images, with their fields of view."""

    shape: ClassVar[str] = "interpolate"

    steps: int = 10
    """Views from one image to the next."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        checks.at_least("steps", self.steps, 1, "view from one image to the next")

    def times(self, n_images: int) -> list[float]:
        """See ``ThroughImagesOptions``."""
        n_views = n_images * self.steps if self.closed else (n_images - 1) * self.steps + 1
        return [i / self.steps for i in range(n_views)]
