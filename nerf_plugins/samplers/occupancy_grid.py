"""The occupancy grid: which parts of space hold something, learnt from the field while it trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import empty_blocks
from nerf_plugins.samplers.ranks import from_all_ranks, num_ranks, share_of_rank

DensityFn = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]


@dataclass
class OccupancyGridConfig:
    """The occupancy grid."""

    resolution: int = 96
    """Cells along each side of a level."""
    levels: int | None = None
    """Cascade levels, each twice the size of the one before. None: 1 in a box or device coordinates, 5 in a contracted scene."""
    opacity_threshold: float = 0.01
    """A cell is occupied where one base step through it would be at least this opaque, or where it is as dense as the mean cell."""
    decay: float = 0.9
    """A visited cell remembers max(decay * what it was, what it is now)."""
    warmup_steps: int = 128
    """While each cell is visited once, over this many steps, all count as occupied and steps are coarse."""
    update_every: int = 16
    """Steps between updates."""
    cells_per_update: int = 32768
    """Cells visited in an update after the warm-up: half anywhere (so that a pruned cell can revive), half among the occupied ones.
    On several GPUs each visits its share."""

    def __post_init__(self) -> None:
        for name in ("resolution", "warmup_steps", "update_every", "cells_per_update"):
            if getattr(self, name) < 1:
                raise InputError(f"occupancy grid: {name} must be >= 1, got {getattr(self, name)}")
        if self.levels is not None and not 1 <= self.levels <= 16:
            raise InputError(f"occupancy grid: levels must be in [1, 16], got {self.levels}")
        if not 0 <= self.decay < 1:
            raise InputError(f"occupancy grid: decay must be in [0, 1), got {self.decay}")
        if not 0 <= self.opacity_threshold < 1:
            raise InputError(f"occupancy grid: opacity_threshold must be in [0, 1), got {self.opacity_threshold}")


class _Derived(NamedTuple):
    """What follows from which cells are occupied."""

    occupied: Tensor
    version: int
    empty_blocks: Tensor
    fraction: Tensor


class OccupancyGrid(nn.Module):
    """A cascade of grids of remembered densities; all its state is in buffers, so checkpoints hold it.

    Nothing here reads a value back from the device. Where training is distributed, each rank visits its share of the cells and all ranks
    remember what all of them found, so the grid is the same everywhere without being sent.

    Args:
        config: its options.
        aabb: (min, max) corner of level 0, (2, 3).
        levels: number of levels.
    """

    aabb: Tensor
    densities: Tensor
    """(levels, r, r, r): remembered density of each cell."""
    occupied: Tensor
    """(levels, r, r, r) bool."""
    warmup_order: Tensor

    def __init__(self, config: OccupancyGridConfig, aabb: Float[Tensor, "2 3"], levels: int) -> None:
        super().__init__()
        self.config = config
        shape = (levels, config.resolution, config.resolution, config.resolution)
        self.register_buffer("aabb", aabb.float().contiguous())
        self.register_buffer("densities", torch.zeros(shape))
        self.register_buffer("occupied", torch.ones(shape, dtype=torch.bool))
        # A fixed shuffle of all cells, so that the warm-up's slices are spread over the box.
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(self.densities.numel(), generator=generator, dtype=torch.int32)
        self.register_buffer("warmup_order", order, persistent=False)
        self._derived: _Derived | None = None

    @property
    def fraction_occupied(self) -> Float[Tensor, ""]:
        """Share of the cells that are occupied."""
        return self._of_occupied().fraction

    @property
    def empty_blocks(self) -> UInt8[Tensor, "levels r r r"]:
        """:func:`nerf_plugins.ops.empty_blocks` of ``occupied``."""
        return self._of_occupied().empty_blocks

    def _of_occupied(self) -> _Derived:
        """Made anew when ``occupied`` has changed."""
        known, occupied, version = self._derived, self.occupied, self.occupied._version
        if known is None or known.occupied is not occupied or known.version != version:
            fraction = occupied.mean(dtype=torch.float32)
            known = self._derived = _Derived(occupied, version, empty_blocks(occupied), fraction)
        return known

    def is_warming_up(self, step: int) -> bool:
        """Whether all cells still count as occupied."""
        return step < self.config.warmup_steps

    @torch.no_grad()
    def update(self, step: int, density_fn: DensityFn, step_size: float) -> None:
        """Visits some cells and decides anew which are occupied. Call it each step; it acts on every ``update_every``-th.

        Args:
            step: the training step.
            density_fn: densities at positions (world or device coordinates, in the grid's box).
            step_size: the march's step, to turn densities into opacities.
        """
        if step % self.config.update_every:
            return
        cells = self._next_warmup_cells(step) if self.is_warming_up(step) else self._sample_cells()
        densities = density_fn(self._positions_in(cells)).float()
        cells, densities = from_all_ranks(cells), from_all_ranks(densities)
        remembered = self.densities.view(-1)
        remembered[cells] = remembered[cells] * self.config.decay
        remembered.scatter_reduce_(0, cells, densities, "amax")
        if not self.is_warming_up(step + self.config.update_every):
            self.occupied.copy_(self.occupied_above(self.config.opacity_threshold, step_size))

    def occupied_above(self, opacity_threshold: float, step_size: float) -> Bool[Tensor, "levels r r r"]:
        """Cells of which a step is at least this opaque. Cells as dense as the mean always count, so a grid can never be empty."""
        density = -math.log1p(-opacity_threshold) / step_size
        # Of cells that are all alike, the mean may be rounded to more than any of them.
        mean = torch.minimum(self.densities.mean(), self.densities.max())
        return self.densities >= mean.clamp(max=density)

    def _next_warmup_cells(self, step: int) -> Int[Tensor, "n"]:
        """This rank's share of the next slice of all cells; the slices of the warm-up visit each once."""
        n_updates = -(-self.config.warmup_steps // self.config.update_every)
        return share_of_rank(self.warmup_order.tensor_split(n_updates)[step // self.config.update_every]).long()

    def _sample_cells(self) -> Int[Tensor, "n"]:
        """This rank's random cells, half of them occupied ones (without asking the device how many there are)."""
        n = max(self.config.cells_per_update // (2 * num_ranks()), 1)
        device = self.densities.device
        anywhere = torch.randint(self.densities.numel(), (n,), device=device)
        ranks = torch.cumsum(self.occupied.view(-1), 0)
        wanted = torch.rand(n, device=device, dtype=torch.float64) * ranks[-1]
        occupied = torch.searchsorted(ranks, wanted.long(), right=True).clamp(max=len(ranks) - 1)
        return torch.cat([anywhere, occupied])

    def _positions_in(self, cells: Int[Tensor, "n"]) -> Float[Tensor, "n 3"]:
        """A random point in each cell."""
        r = self.config.resolution
        level = cells // r**3
        index = torch.stack([cells // (r * r) % r, cells // r % r, cells % r], dim=-1)
        unit = (index + torch.rand(index.shape, device=cells.device)) / r * 2.0 - 1.0
        centre, half = 0.5 * (self.aabb[0] + self.aabb[1]), 0.5 * (self.aabb[1] - self.aabb[0])
        return centre + unit * half * torch.exp2(level.float())[:, None]
