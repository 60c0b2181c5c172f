"""The spaces a scene can live in: where rays are marched, and what coordinates the field sees.

* :class:`BoxSpace`: everything is inside the scene box (synthetic scenes, objects with masks).
* :class:`CubeSpace`: the same, scaled evenly into [-1, 1]^3 (signed distance fields).
* :class:`ContractedSpace`: an unbounded scene around the box (captures of rooms and outdoors).
* :class:`NDCSpace`: a forward-facing scene, marched in normalised device coordinates.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor, nn

SpaceKind = Literal["box", "contracted", "ndc"]


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

    def positions(self, ray_indices: Tensor, t: Tensor) -> Tensor:
        """Where some rays are at some ``t``; (n, 3)."""
        return self.origins.index_select(0, ray_indices) + t[:, None] * self.directions.index_select(0, ray_indices)


def flat_bounds(ray_bundle: RayBundle, near_plane: float, far_plane: float) -> tuple[Tensor, Tensor]:
    """The bundle's own near and far where it has them (a viewer's crop sets them), else the planes; each (n_rays,)."""
    n_rays = ray_bundle.origins.shape[0]
    nears = ray_bundle.nears.reshape(-1) if ray_bundle.nears is not None else None
    fars = ray_bundle.fars.reshape(-1) if ray_bundle.fars is not None else None
    nears = ray_bundle.origins.new_full((n_rays,), near_plane) if nears is None else nears.clamp(min=near_plane)
    fars = ray_bundle.origins.new_full((n_rays,), far_plane) if fars is None else fars.clamp(max=far_plane)
    return nears, fars


def box_span(
    origins: Float[Tensor, "*batch 3"], directions: Float[Tensor, "*batch 3"], aabb: Float[Tensor, "2 3"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    r"""Where rays enter and leave a box: :math:`\max_a \min(t_{a0}, t_{a1})` and :math:`\min_a \max(t_{a0}, t_{a1})` over the axes a,
    with :math:`t_{ai} = (b_{ai} - o_a) / d_a`. A ray that misses the box enters after it leaves; what lies behind its origin is negative.

    Args:
        origins: o.
        directions: d, of any length: the results are in units of it. A component near 0 counts as :math:`10^{-12}`.
        aabb: b, the (min, max) corner of the box.
    """
    inverse = 1.0 / torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    t0, t1 = (aabb[0] - origins) * inverse, (aabb[1] - origins) * inverse
    return torch.minimum(t0, t1).amax(-1), torch.maximum(t0, t1).amin(-1)


class BoxSpace(nn.Module):
    """World space, bounded by the scene box.

    Args:
        aabb: (min, max) corner of the box, (2, 3).
    """

    aabb: Tensor
    spacing: Literal["uniform", "disparity"] = "uniform"
    """How samples without a grid are spread over [near, far]."""

    def __init__(self, aabb: Float[Tensor, "2 3"]) -> None:
        super().__init__()
        self.register_buffer("aabb", aabb.float().contiguous())

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in this space, from near to far plane (world distances)."""
        nears, fars = flat_bounds(ray_bundle, near_plane, far_plane)
        viewdirs = ray_bundle.directions
        return Rays(
            ray_bundle.origins, viewdirs, nears, fars, viewdirs, torch.ones_like(nears), torch.zeros_like(nears)
        )

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions of this space -> [-1, 1]^3 for the field: the box's corners go to the cube's."""
        centre, half = 0.5 * (self.aabb[0] + self.aabb[1]), 0.5 * (self.aabb[1] - self.aabb[0])
        return (positions - centre) / half

    def clip(self, rays: Rays) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
        """Near and far of the part of each ray that can hold something; near = far where nothing can."""
        enter, leave = box_span(rays.origins, rays.directions, self.aabb)
        nears, fars = torch.maximum(enter, rays.nears), torch.minimum(leave, rays.fars)
        return nears, torch.maximum(nears, fars)

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        """``t`` -> world distance from the camera."""
        return t


class CubeSpace(BoxSpace):
    """The scene box, moved and scaled evenly so that its longest side is [-1, 1]: a distance in it is a distance in the world, scaled.

    Rays, ``t`` and the field's positions are all in units of this cube.

    Args:
        aabb: (min, max) corner of the scene box, (2, 3).
    """

    centre: Tensor
    scale: Tensor
    """World units per unit of the cube, ()."""

    def __init__(self, aabb: Float[Tensor, "2 3"]) -> None:
        half = 0.5 * (aabb[1] - aabb[0]).float()
        super().__init__(torch.stack([-half, half]) / half.max())
        self.register_buffer("centre", 0.5 * (aabb[0] + aabb[1]).float())
        self.register_buffer("scale", half.max())

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in the cube's units, from near to far plane (world distances)."""
        nears, fars = flat_bounds(ray_bundle, near_plane, far_plane)
        origins, viewdirs = self.from_world(ray_bundle.origins), ray_bundle.directions
        scale = (1.0 / self.scale).expand_as(nears)
        return Rays(origins, viewdirs, nears * scale, fars * scale, viewdirs, scale, torch.zeros_like(nears))

    def from_world(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions in the scene -> in the cube."""
        return (positions - self.centre) / self.scale

    def to_world(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions in the cube -> in the scene."""
        return positions * self.scale + self.centre

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """The same positions."""
        return positions

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        """``t`` -> world distance from the camera."""
        return t * self.scale


class ContractedSpace(BoxSpace):
    r"""World space without end: :math:`x \mapsto x` inside the box, :math:`(2 - 1/|x|_\infty)\, x/|x|_\infty` outside.

    Source: Barron et al., Mip-NeRF 360, 2022, equation 10, with the maximum norm so that grid levels map to cubes.
    """

    spacing = "disparity"

    def field_positions(self, positions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Positions -> [-1, 1]^3: the box fills the inner half of the cube, the rest of the world the shell around it."""
        x = super().field_positions(positions)
        norm = x.abs().amax(-1, keepdim=True).clamp(min=1.0)
        return 0.5 * (2.0 - 1.0 / norm) * (x / norm)

    def clip(self, rays: Rays) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
        """The rays' own near and far: the world has no end."""
        return rays.nears, torch.maximum(rays.nears, rays.fars)


class NDCSpace(BoxSpace):
    r"""Normalised device coordinates of a camera at the origin that looks along -z.

    With :math:`o` moved along the ray to the plane z = -n: :math:`o' = (-f_x o_x/o_z, -f_y o_y/o_z, 1 + 2n/o_z)` and
    :math:`d' = (-f_x(d_x/d_z - o_x/o_z), -f_y(d_y/d_z - o_y/o_z), -2n/o_z)`, where :math:`f_x, f_y` are focal lengths in units of half
    the image size and now :math:`o_z = -n`. Rays that do not look along -z see nothing.

    Source: Mildenhall et al., NeRF, 2020, appendix C.

    Args:
        aabb: the part of device space that the cameras see, (2, 3); z in [-1, 1], x and y a little beyond.
        focal_x: focal length / half the image's width.
        focal_y: focal length / half the image's height.
        near: n, in world units.
    """

    def __init__(self, aabb: Float[Tensor, "2 3"], focal_x: float, focal_y: float, near: float) -> None:
        super().__init__(aabb)
        self.focal_x, self.focal_y, self.near = focal_x, focal_y, near

    def rays(self, ray_bundle: RayBundle, near_plane: float, far_plane: float) -> Rays:
        """The bundle's rays in device coordinates; the planes do not apply, a crop's near and far do."""
        origins, directions = ray_bundle.origins, ray_bundle.directions
        looks_ahead = directions[:, 2] < -1e-6
        dz = torch.where(looks_ahead, directions[:, 2], torch.full_like(directions[:, 2], -1.0))
        t_near = -(self.near + origins[:, 2]) / dz
        x, y = (origins[:, :2] + t_near[:, None] * directions[:, :2]).unbind(-1)  # on the plane z = -n
        n, fx, fy = self.near, self.focal_x, self.focal_y
        o_ndc = torch.stack([fx * x / n, fy * y / n, torch.full_like(x, -1.0)], dim=-1)
        slope_x, slope_y = directions[:, 0] / dz + x / n, directions[:, 1] / dz + y / n
        d_ndc = torch.stack([-fx * slope_x, -fy * slope_y, torch.full_like(x, 2.0)], dim=-1)
        length = d_ndc.norm(dim=-1)
        nears, fars = self._device_bounds(ray_bundle, t_near, dz, length)
        fars = torch.where(looks_ahead, fars, nears)
        return Rays(o_ndc, d_ndc / length[:, None], nears, fars, directions, length, t_near)

    def _device_bounds(
        self, ray_bundle: RayBundle, t_near: Tensor, dz: Tensor, length: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A crop's near and far (world distances) in device units: t' = 1 - n / (n - (t - t_near) d_z)."""

        def to_device(distances: Tensor) -> Tensor:
            ahead = (distances - t_near).clamp(min=0.0)
            return length * (1.0 - self.near / (self.near - ahead * dz))

        nears = torch.zeros_like(length) if ray_bundle.nears is None else to_device(ray_bundle.nears.reshape(-1))
        fars = length if ray_bundle.fars is None else to_device(ray_bundle.fars.reshape(-1))
        return nears, fars

    def distances(self, rays: Rays, t: Float[Tensor, "n_rays"]) -> Float[Tensor, "n_rays"]:
        r"""World distance from the camera: to the plane z = -n and :math:`n t' / ((1 - t')(-d_z))` from it, with :math:`t' = t/|d'|`,
        at most :math:`10^4 n`.
        """
        share = (t / rays.distance_scale).clamp(0.0, 1.0 - 1e-4)
        return rays.distance_start + self.near * share / ((1.0 - share) * (-rays.viewdirs[:, 2]).clamp(min=1e-6))


def make_space(kind: SpaceKind, aabb: Float[Tensor, "2 3"], ndc: dict[str, float] | None) -> BoxSpace:
    """The space of a kind.

    Args:
        kind: which.
        aabb: the scene box.
        ndc: ``focal_x``, ``focal_y`` and ``near`` of the dataparser, for "ndc".
    """
    if kind == "ndc":
        if ndc is None:
            raise ValueError('space "ndc" needs the dataparser\'s metadata["ndc"]: llff-data gives it, others do not')
        return NDCSpace(aabb, ndc["focal_x"], ndc["focal_y"], ndc["near"])
    return {"box": BoxSpace, "contracted": ContractedSpace}[kind](aabb)
