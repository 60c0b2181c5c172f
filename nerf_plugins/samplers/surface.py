"""The sampler of surfaces: march the occupancy grid, and draw samples around the surface that the steps find."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import (
    Exploration,
    PackedSamples,
    Sections,
    pack_sections,
    sample_pdf,
    surface_sections,
    surface_weights,
)
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.base import MakeField, Sampling
from nerf_plugins.samplers.grid_march import GridMarchConfig, GridSampler
from nerf_plugins.samplers.spacing import BELOW_ONE, even_edges
from nerf_plugins.spaces import Space

SURFACE_MARCH_ROOM = 2
"""On CUDA the march to the surface has room for this many times the samples of a batch; its steps see the distance only."""

# Sharper than this over a step of the march, a surface would draw all samples of a ray into one step: what is wrong beside it would
# never be seen, and a training that goes on loses the surface.
_SHARPEST_OVER_STEP = 4.0
# A section between two samples is never longer than this many steps of the march: what lies between may be unoccupied.
_LONGEST_SECTION = 2.0


@dataclass
class SurfaceSamplerConfig(GridMarchConfig):
    """Marching through an occupancy grid to the surface, and samples around it."""

    _target: type = field(default_factory=lambda: SurfaceSampler, kw_only=True)
    """target class to instantiate"""
    n_samples: int = 16
    """Samples of a ray that meets an occupied cell."""
    max_inv_s: float | None = None
    """Samples are spread as if the surface were no sharper than this. None: 4 over the length of a step of the march."""
    explore: float = 0.1
    """Share of the training rays without an occupied cell that are sampled evenly all the same, so that a missing part can form."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_samples < 2:
            raise InputError(f"surface sampler: n_samples must be >= 2, got {self.n_samples}")
        if self.max_inv_s is not None and not self.max_inv_s > 0:
            raise InputError(f"surface sampler: max_inv_s must be > 0, got {self.max_inv_s}")
        if not 0 <= self.explore <= 1:
            raise InputError(f"surface sampler: explore must be in [0, 1], got {self.explore}")


class SurfaceSampler(GridSampler[Surface]):
    """Marches the grid, evaluates the distance at its steps, and draws the samples of a ray by the opacity of the march's steps.

    A ray that meets no occupied cell has no samples, but for a random few in training.
    """

    def __init__(self, config: SurfaceSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config

    def density(self, positions: Float[Tensor, "n 3"], scene: Surface) -> Float[Tensor, "n"]:
        r"""The density that NeuS gives to a ray that meets the surface head on, :math:`s (1 - \Phi_s(f))`, at the point of a cell
        nearest to the surface; falling off to both sides, so that the inside of objects is pruned too.

        Args:
            positions: anywhere in the cells.
            scene: the surface.
        """
        grid = self.march.grid
        points = self.points_in_cells(positions, scene.field.needs)
        reach = 0.5 * ((grid.aabb[1] - grid.aabb[0]) / grid.config.resolution).norm()
        distances = (scene.sdf(points).abs() - reach).clamp(min=0.0)
        return scene.inv_s * torch.sigmoid(-scene.inv_s * distances)

    @torch.no_grad()
    def sample(self, rays: Rays, scene: Surface, stratified: bool) -> Sampling:
        """Sections of each ray, at whose middles the field is to be evaluated.

        Args:
            rays: rays of the space.
            scene: the surface.
            stratified: draw at random places of even shares of the opacity (training); a fixed buffer on CUDA.
        """
        steps = self._march(rays, scene, stratified)
        sections = self._sections(rays, steps, scene, stratified)
        capacity = self.config.budget.room if stratified and rays.origins.is_cuda else None
        samples = pack_sections(*sections, capacity=capacity)
        samples = samples._replace(n_dropped_rays=samples.n_dropped_rays + steps.n_dropped_rays)
        if stratified:
            self.budget.observe(len(rays.origins), samples.n_wanted, steps.n_wanted // SURFACE_MARCH_ROOM)
        return Sampling(samples, n_looked_at=steps.packed_info[:, 1])

    def _march(self, rays: Rays, scene: Surface, stratified: bool) -> PackedSamples:
        if stratified:
            return self.march.march(rays, room=SURFACE_MARCH_ROOM)
        # The grid holds what is near distance 0; another level's surface may be anywhere.
        return self.march.march_for_render(rays, opacity_threshold=None if scene.level == 0.0 else 0.0)

    def _sections(self, rays: Rays, steps: PackedSamples, scene: Surface, stratified: bool) -> Sections:
        """The sections between the quantiles of the steps' opacity."""
        sdf = scene.sdf(self.space.points(rays, steps.ray_indices, steps.t_starts, steps.t_ends, scene.field.needs))
        places = (steps.t_starts, steps.t_ends)
        sharpest = self.config.max_inv_s or _SHARPEST_OVER_STEP / self.march.step_size
        weights = surface_weights(sdf, *places, steps.packed_info, scene.inv_s, max_inv_s=sharpest)
        # From 0 to 1: without the tails some light would leak through every surface.
        n_rays, device = len(rays.origins), sdf.device
        u = even_edges(n_rays, self.config.n_samples, device, stratified, last=BELOW_ONE)
        edges = sample_pdf(*places, weights, steps.packed_info, u)
        exploration = None
        if stratified and self.config.explore > 0:
            # A ray that explores has no steps: its quantiles are free.
            chances = torch.rand(n_rays, device=device)
            exploration = Exploration(self.config.explore, chances, u, *self.space.clip(rays))
        longest = _LONGEST_SECTION * self.march.step_size * self.march.coarseness
        return surface_sections(edges, steps.packed_info, longest, exploration)
