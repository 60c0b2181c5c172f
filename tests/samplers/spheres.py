"""A sphere whose distance is known, rays at it, and both samplers of surfaces."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nerf_plugins.fields.base import Field
from nerf_plugins.fields.sdf import Geometry, SDFField, Surface
from nerf_plugins.ops import Composited, PackedSamples, composite, sdf_optical_depths
from nerf_plugins.rays import Points, Rays
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.surface import SurfaceSampler, SurfaceSamplerConfig
from nerf_plugins.samplers.upsampling import UpSamplingSampler, UpSamplingSamplerConfig
from nerf_plugins.spaces import CubeSpace

RADIUS = 0.5
SPACE = CubeSpace(torch.tensor([[-1.0] * 3, [1.0] * 3]))
SHARP = torch.tensor(300.0)


def no_field() -> Field:
    """These samplers have none of their own."""
    raise AssertionError


class Known(SDFField):
    """A distance that is known."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def sdf(self, points: Points) -> Tensor:
        return self.function(points.positions)

    def geometry(self, points: Points) -> Geometry:
        raise NotImplementedError

    def color(self, points: Points, geometry: Geometry) -> Tensor:
        raise NotImplementedError


def surface(function: Callable[[Tensor], Tensor], inv_s: Tensor) -> Surface:
    return Surface(Known(function), inv_s)


def take(sampler: SurfaceSampler | UpSamplingSampler, rays: Rays, function, inv_s: Tensor, stratified: bool):
    """Its samples of a surface whose distance is known."""
    return sampler.sample(rays, surface(function, inv_s), stratified).samples


def sphere(positions: Tensor) -> Tensor:
    return positions.norm(dim=-1) - RADIUS


def rays_at_discs(radii: Tensor, seed: int = 0) -> Rays:
    """Rays from (0, 0, 3) that pass the centre at these distances (roughly), all around."""
    n = len(radii)
    angles = torch.rand(n, generator=torch.Generator().manual_seed(seed)) * 2 * math.pi
    origins = torch.tensor([[0.0, 0.0, 3.0]]).repeat(n, 1)
    targets = torch.stack([radii * angles.cos(), radii * angles.sin(), torch.zeros(n)], dim=-1)
    directions = torch.nn.functional.normalize(targets - origins, dim=-1)
    far = torch.full((n,), 1e3)
    return Rays(origins, directions, torch.full((n,), 0.05), far, directions, torch.ones(n), torch.zeros(n))


def hitting_rays(n: int = 256) -> Rays:
    return rays_at_discs(0.45 * torch.linspace(0, 1, n).sqrt())


def first_hit(rays: Rays) -> Tensor:
    b = (rays.origins * rays.directions).sum(-1)
    return -b - (b * b - rays.origins.square().sum(-1) + RADIUS**2).sqrt()


def surface_sampler(updated: bool = True, **options) -> SurfaceSampler:
    """After enough updates with the sphere for the grid to have formed, unless not wanted."""
    grid = OccupancyGridConfig(resolution=32, warmup_steps=16, update_every=1)
    sampler = SurfaceSamplerConfig(grid=grid, steps_per_diagonal=128, **options).setup(space=SPACE, make_field=no_field)
    cell = 2 / 32 * math.sqrt(3)
    torch.manual_seed(0)
    for step in range(17 if updated else 0):
        sampler.march.update(step, lambda positions: 1e3 * (sphere(positions).abs() < cell).float())
    return sampler


def upsampling_sampler(**options) -> UpSamplingSampler:
    return UpSamplingSamplerConfig(**options).setup(space=SPACE, make_field=no_field)


SAMPLERS = pytest.mark.parametrize("make", [surface_sampler, upsampling_sampler], ids=["surface", "upsampling"])
STRATIFIED = pytest.mark.parametrize("stratified", [True, False], ids=["stratified", "deterministic"])


def render(rays: Rays, samples: PackedSamples, inv_s: Tensor) -> Composited:
    positions = rays.positions(samples.ray_indices, 0.5 * (samples.t_starts + samples.t_ends))
    normals = torch.nn.functional.normalize(positions, dim=-1)
    slopes = (normals * rays.directions[samples.ray_indices.long()]).sum(-1)
    widths = samples.t_ends - samples.t_starts
    sigmas = sdf_optical_depths(sphere(positions), slopes, widths, inv_s) / widths
    return composite(sigmas, 0.5 + 0.5 * normals, samples.t_starts, samples.t_ends, samples.packed_info)
