"""The default sampler: march through the occupancy grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples, composite, empty_blocks, march_grid, select_samples
from nerf_plugins.samplers.nerfacc_march import march_with_nerfacc, require_nerfacc
from nerf_plugins.samplers.occupancy_grid import DensityFn, OccupancyGrid, OccupancyGridConfig
from nerf_plugins.spaces import BoxSpace, ContractedSpace, Rays

VISIBLE_MARCH_ROOM = 4
"""A march that is followed by a choice among its steps has room for this many times the samples of a batch on CUDA."""


@dataclass
class OccupancySamplerConfig:
    """Marching through an occupancy grid."""

    grid: OccupancyGridConfig = field(default_factory=OccupancyGridConfig)
    """The grid."""
    marcher: Literal["warp", "nerfacc"] = "warp"
    """Whose kernels march: ours, or nerfacc's (CUDA only, compiles its extension at first use)."""
    steps_per_diagonal: int = 400
    """Steps that cross the diagonal of the scene box: sets the step size."""
    warmup_coarseness: float = 4.0
    """While every cell counts as occupied, steps are this many times larger."""
    cone_angle: float | None = None
    """Growth of the step with distance. None: 0 in a box or device coordinates, 1/256 in a contracted scene."""
    samples_per_batch: int | None = 1 << 13
    """The number of rays of a training batch follows the samples they have, so that a batch has about this many.
    None: always train_num_rays_per_batch rays."""
    min_transmittance: float = 0.0
    """In training of NeRF, samples that a smaller share of a ray's light reaches are left out. 0 keeps all, without looking.
    Finding them takes the densities of all first, without gradient, which pays where the density is the smaller part of the field."""
    max_rays_per_batch: int = 1 << 14
    """At most this many rays, however few samples they have."""
    capacity: int | None = None
    """On CUDA: room for samples in a training batch; the field is evaluated on all of it.
    Rays beyond it are dropped (metric dropped_rays). None: a quarter more than samples_per_batch, or 2^20 without that."""

    def __post_init__(self) -> None:
        if self.steps_per_diagonal < 1:
            raise InputError(f"occupancy sampler: steps_per_diagonal must be >= 1, got {self.steps_per_diagonal}")
        if self.warmup_coarseness < 1:
            raise InputError(f"occupancy sampler: warmup_coarseness must be >= 1, got {self.warmup_coarseness}")
        for name in ("capacity", "max_rays_per_batch", "samples_per_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"occupancy sampler: {name} must be >= 1, got {value}")
        if self.cone_angle is not None and self.cone_angle < 0:
            raise InputError(f"occupancy sampler: cone_angle must be >= 0, got {self.cone_angle}")
        if not 0 <= self.min_transmittance < 1:
            raise InputError(f"occupancy sampler: min_transmittance must be in [0, 1), got {self.min_transmittance}")


class OccupancySampler(nn.Module):
    """Samples rays in steps of one size (or growing ones) wherever the grid is occupied."""

    def __init__(self, config: OccupancySamplerConfig, space: BoxSpace) -> None:
        super().__init__()
        if config.marcher == "nerfacc":
            require_nerfacc()
        self.config = config
        unbounded = isinstance(space, ContractedSpace)
        levels = config.grid.levels or (5 if unbounded else 1)
        self.grid = OccupancyGrid(config.grid, space.aabb, levels)
        self.diagonal = float((space.aabb[1] - space.aabb[0]).norm())
        self.cone_angle = config.cone_angle if config.cone_angle is not None else (1 / 256 if unbounded else 0.0)
        self.coarseness = config.warmup_coarseness

    @property
    def step_size(self) -> float:
        """The step of the march after the warm-up."""
        return self.diagonal / self.config.steps_per_diagonal

    def set_step(self, step: int) -> None:
        """Tells how far training is: until the grid has formed, steps are coarse."""
        self.coarseness = self.config.warmup_coarseness if self.grid.is_warming_up(step) else 1.0

    def update(self, step: int, density_fn: DensityFn) -> None:
        """Keeps the grid up to date; to be called before each training step."""
        self.grid.update(step, density_fn, self.step_size)
        self.set_step(step)

    def march(self, rays: Rays, room: int = 1) -> PackedSamples:
        """Training samples: jittered; a fixed buffer on CUDA, ``room`` times as long as ``capacity``."""
        return self._march(
            rays,
            self.step_size * self.coarseness,
            jitter=torch.rand_like(rays.nears),
            capacity=room * self.capacity if rays.origins.is_cuda else None,
        )

    def march_visible(self, rays: Rays, density_fn: DensityFn) -> tuple[PackedSamples, Shaped[Tensor, "n_rays"]]:
        """Training samples, of each ray only those that ``min_transmittance`` of its light reaches.

        Returns:
            The samples, and for each ray the number of its march's steps, divided by the room that the march has for a sample of the batch.
        """
        if self.config.min_transmittance == 0:
            samples = self.march(rays)
            return samples, samples.packed_info[:, 1]
        steps = self.march(rays, room=VISIBLE_MARCH_ROOM)
        with torch.no_grad():
            sigmas = density_fn(rays.positions(steps.ray_indices, 0.5 * (steps.t_starts + steps.t_ends)))
            rendered = composite(
                sigmas,
                sigmas.new_zeros(len(sigmas), 3),
                steps.t_starts,
                steps.t_ends,
                steps.packed_info,
                early_stop_eps=self.config.min_transmittance,
            )
        samples = select_samples(steps, rendered.weights > 0, capacity=self.capacity if rays.origins.is_cuda else None)
        return samples, steps.packed_info[:, 1] / VISIBLE_MARCH_ROOM

    @property
    def capacity(self) -> int:
        """Room for samples in a training batch on CUDA."""
        if self.config.capacity is not None:
            return self.config.capacity
        return 1 << 20 if self.config.samples_per_batch is None else self.config.samples_per_batch * 5 // 4

    def march_for_render(
        self, rays: Rays, steps_per_diagonal: int | None = None, opacity_threshold: float | None = None
    ) -> PackedSamples:
        """Samples for a picture: the same for the same ray, exactly as many as there are.

        Args:
            rays: the rays.
            steps_per_diagonal: other than the config's.
            opacity_threshold: other than the grid's.
        """
        step_size = self.coarseness * self.diagonal / (steps_per_diagonal or self.config.steps_per_diagonal)
        occupied = None if opacity_threshold is None else self.grid.occupied_above(opacity_threshold, step_size)
        return self._march(rays, step_size, jitter=torch.full_like(rays.nears, 0.5), occupied=occupied)

    def _march(
        self,
        rays: Rays,
        step_size: float,
        jitter: Float[Tensor, "n_rays"],
        capacity: int | None = None,
        occupied: Tensor | None = None,
    ) -> PackedSamples:
        blocks = self.grid.empty_blocks if occupied is None else empty_blocks(occupied)
        occupied = self.grid.occupied if occupied is None else occupied
        if self.config.marcher == "nerfacc":
            return march_with_nerfacc(rays, occupied, self.grid.aabb, step_size, self.cone_angle, jitter)
        return march_grid(
            rays.origins,
            rays.directions,
            rays.nears,
            rays.fars,
            occupied,
            self.grid.aabb,
            empty_blocks=blocks,
            step_size=step_size,
            cone_angle=self.cone_angle,
            max_step_size=max(step_size, self.diagonal) if self.cone_angle > 0 else math.inf,
            jitter=jitter,
            capacity=capacity,
        )
