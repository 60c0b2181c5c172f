"""What passes between spaces, samplers and fields: rays, and points on them or anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Need = Literal["scales", "covariances", "times", "camera_indices"]
"""What a field may ask for besides positions and directions; the names are those of :class:`Points`."""
Needs = frozenset[Need]
NOTHING: Needs = frozenset()
GAUSSIANS: Needs = frozenset({"scales", "covariances"})
"""What follows from a pixel's cone, and so is known of any ray."""


class Rays(NamedTuple):
    """Rays of a space. ``t`` is the distance along them in that space, since their directions have length 1."""

    origins: Float[Tensor, "n_rays 3"]
    directions: Float[Tensor, "n_rays 3"]
    nears: Float[Tensor, "n_rays"]
    fars: Float[Tensor, "n_rays"]
    viewdirs: Float[Tensor, "n_rays 3"]
    """Unit directions in the world: what the field's view branch sees."""
    distance_scale: Float[Tensor, "n_rays"]
    """Length of the ray's direction in this space before it was normalised; 1 where space and world agree."""
    distance_start: Float[Tensor, "n_rays"]
    """World distance from the camera to where ``t`` is 0."""
    radii: Float[Tensor, "n_rays"] | None = None
    """Radius of the pixel's cone at t = 1, or everywhere where the space has cylinders. Only where the field needs the cone."""
    times: Float[Tensor, "n_rays"] | None = None
    """When the ray's photo was taken, in [0, 1]. Only where the field needs it."""
    camera_indices: Int[Tensor, "n_rays"] | None = None
    """Which training photo the ray belongs to. Only in training, and only where the field needs it."""

    def positions(self, ray_indices: Tensor, t: Tensor) -> Tensor:
        """Where some rays are at some ``t``; (n, 3)."""
        origins, directions = self.origins.index_select(0, ray_indices), self.directions.index_select(0, ray_indices)
        return torch.addcmul(origins, t[:, None], directions)

    def part(self, chosen: Tensor) -> Rays:
        """Some of the rays."""
        return self._replace(**{name: value[chosen] for name, value in self._asdict().items() if value is not None})


class Points(NamedTuple):
    """What a field knows of the points that it is asked about.

    What belongs to a ray is given once for each ray; :meth:`per_point` spreads it over the points. What a field does not need (see
    ``Field.needs``) is None, and nobody has computed or gathered it.
    """

    positions: Float[Tensor, "n 3"]
    """In [-1, 1]^3, the field's space."""
    ray_indices: Int[Tensor, "n"] | None = None
    """Which ray a point belongs to; None where each has one of its own."""
    directions: Float[Tensor, "n_rays 3"] | None = None
    """Unit view directions, of each ray. None where only density or distance is asked for."""
    times: Float[Tensor, "n_rays"] | None = None
    """In [0, 1], of each ray."""
    camera_indices: Int[Tensor, "n_rays"] | None = None
    """Index of the training photo, of each ray. None means no photo of the training: a field then takes its mean code."""
    scales: Float[Tensor, "n"] | None = None
    """Size of the piece of cone around the point: the standard deviation of its Gaussian, as the geometric mean over three axes."""
    covariances: Float[Tensor, "n 3 3"] | None = None
    """Covariance of that Gaussian; ``positions`` are then its means."""
    ambient: Float[Tensor, "n k"] | None = None
    """Where the points are in further dimensions that a field lives in; they come from another field, not from a space."""

    def per_point(self, of_rays: Shaped[Tensor, "n_rays *rest"]) -> Shaped[Tensor, "n *rest"]:
        """What belongs to rays, for each point."""
        return of_rays if self.ray_indices is None else of_rays.index_select(0, self.ray_indices)

    def encoded(self, encoding: Callable[[Tensor], Tensor], of_rays: Shaped[Tensor, "n_rays *rest"]) -> Tensor:
        """The encoding of what belongs to rays, for each point; computed for rays or for points, whichever are fewer."""
        if len(of_rays) <= len(self.positions):
            return self.per_point(encoding(of_rays))
        return encoding(self.per_point(of_rays))

    def spread(self) -> Points:
        """The same points, each with a ray of its own."""
        if self.ray_indices is None:
            return self
        of_rays = {name: getattr(self, name) for name in ("directions", "times", "camera_indices")}
        spread = {name: self.per_point(values) for name, values in of_rays.items() if values is not None}
        return self._replace(ray_indices=None, **spread)

    def part(self, chosen: slice | Tensor) -> Points:
        """Some of the points."""
        of_points = ["positions", "ray_indices", "scales", "covariances", "ambient"]
        if self.ray_indices is None:
            of_points += ["directions", "times", "camera_indices"]
        values = {name: getattr(self, name) for name in of_points}
        return self._replace(**{name: value[chosen] for name, value in values.items() if value is not None})

    def split(self, size: int) -> Iterator[Points]:
        """The points in pieces of ``size``; one empty piece where there are none."""
        n = len(self.positions)
        return iter([self]) if n <= size else (self.part(slice(i, i + size)) for i in range(0, n, size))


def in_pieces(function: Callable[[Points], Tensor], points: Points, size: int) -> Tensor:
    """A function of points, called with ``size`` of them at a time, so that memory is bounded.

    Args:
        function: points -> (n, ...).
        points: any number of them.
        size: points a call.
    """
    parts = [function(part) for part in points.split(size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
