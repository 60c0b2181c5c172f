"""The default sampler of radiance fields: march through the occupancy grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.calls import call_size
from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.ops import PackedSamples, select_samples
from nerf_plugins.rays import Rays, in_pieces
from nerf_plugins.rendering import density_weights
from nerf_plugins.samplers.base import MakeField, Sampling
from nerf_plugins.samplers.grid_march import GridMarchConfig, GridSampler
from nerf_plugins.spaces import Space

VISIBLE_MARCH_ROOM = 4
"""A march that is followed by a choice among its steps has room for this many times the samples of a batch on CUDA."""


@dataclass
class OccupancySamplerConfig(GridMarchConfig):
    """Marching through an occupancy grid."""

    _target: type = field(default_factory=lambda: OccupancySampler, kw_only=True)
    """target class to instantiate"""
    min_transmittance: float = 0.0
    """In training, samples that a smaller share of a ray's light reaches are left out. 0 keeps all, without looking.
    Finding them takes the densities of all first, without gradient, which pays where the density is the smaller part of the field."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.min_transmittance < 1:
            raise InputError(f"occupancy sampler: min_transmittance must be in [0, 1), got {self.min_transmittance}")


class OccupancySampler(GridSampler[RadianceField]):
    """Samples rays in steps of one size (or growing ones) wherever the grid is occupied."""

    def __init__(self, config: OccupancySamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config

    def density(self, positions: Float[Tensor, "n 3"], scene: RadianceField) -> Float[Tensor, "n"]:
        """The field's."""
        points = self.points_in_cells(positions, scene.needs)
        return in_pieces(scene.density, points, call_size(positions.device))

    def sample(self, rays: Rays, scene: RadianceField, stratified: bool) -> Sampling:
        """The steps of the march; in training, where ``min_transmittance`` is set, those that light reaches."""
        if not stratified:
            return Sampling(self.march.march_for_render(rays))
        if self.config.min_transmittance == 0:
            samples = self.march.march(rays)
            self.budget.observe(len(rays.origins), samples.n_wanted)
            return Sampling(samples)
        steps = self.march.march(rays, room=VISIBLE_MARCH_ROOM)
        samples = self._visible(rays, steps, scene)
        n_steps = steps.packed_info[:, 1]
        self.budget.observe(len(rays.origins), samples.n_wanted, steps.n_wanted // VISIBLE_MARCH_ROOM)
        return Sampling(samples, n_looked_at=n_steps)

    @torch.no_grad()
    def _visible(self, rays: Rays, steps: PackedSamples, scene: RadianceField) -> PackedSamples:
        """Of each ray the steps that ``min_transmittance`` of its light reaches."""
        points = self.space.points(rays, steps.ray_indices, steps.t_starts, steps.t_ends, scene.needs)
        sigmas = in_pieces(scene.density, points, call_size(points.positions.device))
        weights = density_weights(steps, sigmas, early_stop_eps=self.config.min_transmittance)
        capacity = self.config.budget.room if rays.origins.is_cuda else None
        return select_samples(steps, weights > 0, capacity=capacity)
