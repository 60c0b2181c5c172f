"""The scene box scaled evenly into [-1, 1]^3: signed distance fields."""

from __future__ import annotations

import torch
from jaxtyping import Float
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor

from nerf_plugins.rays import Rays
from nerf_plugins.spaces.bounds import flat_bounds
from nerf_plugins.spaces.box import BoxSpace, ToField


class CubeSpace(BoxSpace):
    """The scene box, moved and scaled evenly so that its longest side is [-1, 1]: a distance in it is a distance in the world, scaled.

    Rays, ``t`` and the field's positions are all in units of this cube.

    Args:
        aabb: (min, max) corner of the scene box, (2, 3).

    Example:
        >>> space = CubeSpace(torch.tensor([[0.0, 0.0, 0.0], [4.0, 2.0, 2.0]]))
        >>> space.from_world(torch.tensor([4.0, 2.0, 1.0])).tolist(), space.aabb.tolist()
        ([1.0, 0.5, 0.0], [[-1.0, -0.5, -0.5], [1.0, 0.5, 0.5]])
    """

    ones: Tensor
    zeros: Tensor
    centre: Tensor
    scale: Tensor
    """World units per unit of the cube, ()."""

    def __init__(self, aabb: Float[Tensor, "2 3"]) -> None:
        half = 0.5 * (aabb[1] - aabb[0]).float()
        super().__init__(torch.stack([-half, half]) / half.max())
        self.register_buffer("ones", torch.ones(3), persistent=False)
        self.register_buffer("zeros", torch.zeros(3), persistent=False)
        self.register_buffer("centre", 0.5 * (aabb[0] + aabb[1]).float())
        self.register_buffer("scale", half.max())

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in the cube's units, from near to far plane (world distances)."""
        nears, fars = flat_bounds(ray_bundle, near_plane, far_plane)
        origins, viewdirs = self.from_world(ray_bundle.origins), ray_bundle.directions
        scale = (1.0 / self.scale).expand_as(nears)
        return Rays(origins, viewdirs, nears * scale, fars * scale, viewdirs, scale, self.zero.expand_as(nears))

    def from_world(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions in the scene -> in the cube."""
        return (positions - self.centre) / self.scale

    def to_world(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions in the cube -> in the scene."""
        return positions * self.scale + self.centre

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """The same positions."""
        return positions

    def _contracts(self) -> bool | None:
        return False if type(self).field_positions is CubeSpace.field_positions else None

    def _to_field(self) -> ToField:
        return ToField(self.ones, self.zeros, self.one)

    @property
    def world_length(self) -> Float[Tensor, ""]:
        """See :class:`Space`."""
        return self.scale

    def push_forward(self, positions: Float[Tensor, "n 3"], vectors: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 3"]:
        """The same vectors."""
        return vectors

    def field_scale(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """1: the field's space is this one."""
        return torch.ones_like(positions[:, 0])

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        """``t`` -> world distance from the camera."""
        return t * self.scale
