"""World space, bounded by the scene box: synthetic scenes, objects with masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor

from nerf_plugins.ops import ConePoints, clip_rays, cone_points, ray_points
from nerf_plugins.rays import Rays
from nerf_plugins.spaces.base import Space
from nerf_plugins.spaces.bounds import box_span, flat_bounds


class ToField(NamedTuple):
    """What takes a box's positions to the field's."""

    scale: Float[Tensor, "3"]
    shift: Float[Tensor, "3"]
    mean_scale: Float[Tensor, ""]
    """Geometric mean of the three."""


class BoxSpace(Space):
    """World space, bounded by the scene box.

    Args:
        aabb: (min, max) corner of the box, (2, 3).

    Example:
        The point at three quarters of the box along x, in its middle along y and on its side along z.

        >>> space = BoxSpace(torch.tensor([[0.0, 0.0, 0.0], [4.0, 2.0, 2.0]]))
        >>> space.field_positions(torch.tensor([3.0, 1.0, 2.0])).tolist()
        [0.5, 0.0, 1.0]
    """

    _known: tuple[Tensor, int, ToField] | None = None

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in this space, from near to far plane (world distances)."""
        nears, fars = flat_bounds(ray_bundle, near_plane, far_plane)
        viewdirs = ray_bundle.directions
        return Rays(
            ray_bundle.origins, viewdirs, nears, fars, viewdirs, self.one.expand_as(nears), self.zero.expand_as(nears)
        )

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions of this space -> [-1, 1]^3 for the field: the box's corners go to the cube's."""
        to_field = self._to_field()
        return torch.addcmul(to_field.shift, positions, to_field.scale)

    def _to_field(self) -> ToField:
        """Computed when the box is another than at the last call."""
        known, version = self._known, self.aabb._version
        if known is None or known[0] is not self.aabb or known[1] != version:
            scale = 1.0 / self._half
            shift = -0.5 * (self.aabb[0] + self.aabb[1]) * scale
            known = self._known = (self.aabb, version, ToField(scale, shift, scale.prod() ** (1 / 3)))
        return known[2]

    def clip(self, rays: Rays) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
        """Near and far of the part of each ray that is in the box; near = far where none is."""
        if not _learn(rays):
            return clip_rays(rays.origins, rays.directions, rays.nears, rays.fars, self.aabb)
        enter, leave = box_span(rays.origins, rays.directions, self.aabb)
        nears, fars = torch.maximum(enter, rays.nears), torch.minimum(leave, rays.fars)
        return nears, torch.maximum(nears, fars)

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        """``t`` -> world distance from the camera."""
        return t

    def push_forward(self, positions: Float[Tensor, "n 3"], vectors: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 3"]:
        """Vectors in the field's space: divided by half the box."""
        return vectors / self._half

    def field_scale(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """One over half the box's side, as the geometric mean over its sides."""
        return self._to_field().mean_scale.expand(len(positions))

    def middles_at_once(
        self, rays: Rays, ray_indices: Int[Tensor, "n"], t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"]
    ) -> Float[Tensor, "n 3"] | None:
        """See :class:`Space`; None where :meth:`_contracts` is."""
        contracted = self._contracts()
        if contracted is None or _learn(rays):
            return None
        places = (t_starts, t_ends, rays.origins, rays.directions, ray_indices.int())
        to_field = self._to_field()
        return ray_points(*places, to_field.scale, to_field.shift, contracted=contracted)

    def cones_at_once(
        self, rays: Rays, ray_indices: Int[Tensor, "n"], t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"]
    ) -> ConePoints | None:
        """See :class:`Space`; None where :meth:`_contracts` is."""
        contracted = self._contracts()
        if contracted is None or rays.radii is None or _learn(rays):
            return None
        places = (t_starts, t_ends, rays.origins, rays.directions, rays.radii, ray_indices)
        to_field = self._to_field()
        return cone_points(*places, to_field.scale, to_field.shift, contracted=contracted)

    def _contracts(self) -> bool | None:
        """Whether the kernels' map to the field contracts; None in a space that is made of this one and has a map of its own."""
        return False if type(self).field_positions is BoxSpace.field_positions else None

    @property
    def _half(self) -> Tensor:
        return 0.5 * (self.aabb[1] - self.aabb[0])


def _learn(rays: Rays) -> bool:
    """Whether they are those of cameras that are refined: the kernels have no gradient."""
    return rays.origins.requires_grad or rays.directions.requires_grad
